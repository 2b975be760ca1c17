"""Sessions that go on later: in another process, with files that moved, a detector that is gone, a store that is full."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from parts import plate, scripted
from sessions import INSPECTION, begun, use

from agent.images import InputError
from agent.session import Session, sessions
from agent.session.files import SessionError


def test_a_session_goes_on_in_another_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = tmp_path / "part.png"
    plate(True).save(source)
    use(monkeypatch, scripted(*INSPECTION, ("It is in the upper left [E1].", None)), tmp_path)
    session = Session(source, reference=plate(False), home=tmp_path)
    first = session.ask("Where is it?")
    vlm = scripted(("It is red [E1].", None))
    use(monkeypatch, vlm, tmp_path)
    again = Session.resume(session.id, home=tmp_path)
    assert again.notes == []
    assert again.report.model_dump(exclude={"created"}) == first.report.model_dump(exclude={"created"})
    assert np.array_equal(again.report.pictures.anomaly_map, first.report.pictures.anomaly_map)
    again.ask("What colour is it?")
    assert [turn.number for turn in again.turns()] == [1, 2]
    assert [info.id for info in sessions(tmp_path)] == [session.id]


def test_a_photo_that_moved_or_changed_is_told_and_the_session_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "part.png"
    plate(True).save(source)
    use(monkeypatch, scripted(), tmp_path)
    id = Session(source, home=tmp_path).id
    plate(False).save(source)
    assert Session.resume(id, home=tmp_path).notes == [
        f"{source} has changed since; the session goes on with the photo as it was"
    ]
    source.write_text("no photo")
    assert "has changed since" in Session.resume(id, home=tmp_path).notes[0]
    source.unlink()
    assert Session.resume(id, home=tmp_path).notes == [
        f"{source} is no longer there; the session goes on with its own copy"
    ]
    kept = tmp_path / "sessions" / id / "test.png"
    plate(False).save(kept)
    with pytest.raises(SessionError, match=r"test.png is not the one it began with; put that back"):
        Session.resume(id, home=tmp_path)
    kept.unlink()
    with pytest.raises(SessionError, match=r"test.png is gone; put it back"):
        Session.resume(id, home=tmp_path)


def test_a_session_whose_detector_is_gone_can_be_read_and_exported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inspector = use(monkeypatch, scripted(*INSPECTION, ("It is in the upper left [E1].", None)), tmp_path)
    rng = np.random.default_rng(0)
    photos = [np.clip(np.asarray(plate(False)) + rng.normal(0, 5, (96, 96, 3)), 0, 255) for _ in range(6)]
    detector = inspector.fit([photo.astype(np.uint8) for photo in photos], false_alarm_rate=0.2)
    detector.save(tmp_path / "detectors" / "plates")
    session = Session(plate(True), category="plates", home=tmp_path)
    first = session.report
    untouched = Session(plate(True), category="plates", home=tmp_path)
    shutil.rmtree(tmp_path / "detectors" / "plates")
    again = Session.resume(session.id, home=tmp_path)
    assert "category='plates'" in again.notes[0]
    assert "what was found with it stands" in again.notes[0]
    assert (again.report.setting, again.report.category) == ("fitted", "plates")
    assert again.report.anomaly_score == first.anomaly_score
    assert "plates" in again.export(tmp_path / "record.html").read_text(encoding="utf-8")
    with pytest.raises(InputError, match="neither a fitted detector"):
        Session.resume(untouched.id, home=tmp_path)


@pytest.mark.parametrize("id", ["20200101T000000-abcdef", "../x", "", ".", "a/b"])
def test_an_unknown_id_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, id: str) -> None:
    use(monkeypatch, scripted(), tmp_path)
    with pytest.raises(SessionError, match=r"`sage-iad chat --list` shows those there are") as caught:
        Session.resume(id, home=tmp_path)
    assert "\n" not in str(caught.value)


def test_a_session_of_another_version_is_refused_and_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, scripted(), tmp_path)
    id = begun(tmp_path).id
    card = tmp_path / "sessions" / id / "session.json"
    card.write_text(card.read_text().replace('"version": 1', '"version": 7'))
    with pytest.raises(
        SessionError, match="is of version 7, expected 1; open it with the version of sage-iad that made it"
    ):
        Session.resume(id, home=tmp_path)
    card.write_text("{")
    with pytest.raises(SessionError, match=r"its session.json cannot be read"):
        Session.resume(id, home=tmp_path)
    assert sessions(tmp_path) == []


def test_a_store_that_is_full_loses_nothing_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    vlm = scripted(*INSPECTION, ("One [E1].", None), ("Two [E1].", None), ("Two [E1].", None))
    use(monkeypatch, vlm, tmp_path)
    session = begun(tmp_path)
    session.ask("One?")
    store = session._thread.checkpoints.saver.conn  # type: ignore[attr-defined]
    store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = store.execute("PRAGMA page_count").fetchone()[0]
    store.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SessionError, match=r"a step cannot be kept or read \(database or disk is full\); make room"):
        session.ask("Two?")
    store.execute("PRAGMA max_page_count = 1000000")
    assert [turn.question for turn in session.turns()][:1] == ["One?"]


def test_a_photo_that_cannot_be_kept_begins_no_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, scripted(), tmp_path)
    (tmp_path / "sessions").write_text("in the way")
    with pytest.raises(SessionError, match="the session cannot be kept"):
        begun(tmp_path)


def test_postgres_without_its_packages_is_one_line_without_the_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, scripted(), tmp_path)
    monkeypatch.setenv("SAGE_SESSIONS", "postgresql://joe:secret@db.example/x")
    monkeypatch.setitem(sys.modules, "langgraph.checkpoint.postgres", None)
    with pytest.raises(
        SessionError, match=r"^SAGE_SESSIONS=postgresql://db.example/x: Postgres needs two packages more: pip install"
    ) as caught:
        begun(tmp_path)
    assert "secret" not in str(caught.value)
    assert list((tmp_path / "sessions").glob("*/")) == []


# --- a person's part
