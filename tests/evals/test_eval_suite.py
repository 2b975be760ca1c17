"""Suites of runs, their table, and the ablation of parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.ablation import PARTS, markdown, run_ablation, sentence
from evals.errors import EvalError
from evals.figures.metrics import Metric
from evals.suite import main, read_suite, run_suite, table

Make = Callable[..., Path]


def test_every_folder_in_every_setting_and_nothing_twice(fake: Any, make_folder: Make, tmp_path: Path) -> None:
    data = make_folder(good=2, bad=2, name="sets/plates").parent
    make_folder(good=2, bad=3, name="sets/rings")
    agent, out, settings = fake(), tmp_path / "out", ["one-shot", "fitted"]
    results = run_suite(lambda: agent, data, settings, out=out, show=False)
    assert {(r.data, r.setting) for r in results} == {(d, s) for d in ("plates", "rings") for s in settings}
    seen = len(agent.calls)
    assert run_suite(lambda: agent, data, settings, out=out, show=False) == results
    assert len(agent.calls) == seen
    text = (out / "table.md").read_text()
    assert text == table(results)
    rows = [line for line in text.splitlines() if line.startswith("| plates | one-shot | 4 |")]
    assert rows == ["| plates | one-shot | 4 | 1.000 | 1.000 | 0.500 | 0.500 | 1.000 | 1.000 | 0.000 | 0.000 |"]
    assert "| mean of 2 | fitted | 9 | 1.000 |" in text


def test_a_suite_asked_otherwise_is_refused_and_failures_are_in_the_table(
    fake: Any, make_folder: Make, tmp_path: Path
) -> None:
    data, out = make_folder(good=3, bad=3, name="sets/a[b]").parent, tmp_path / "out"
    results = run_suite(lambda: fake(fails_on=["good/000.png"]), data, ["zero-shot"], out=out, show=False)
    assert "| a\\[b] | zero-shot | 6 (1 failed) |" in table(results)
    for changed in ({"limit": 2}, {"model": "other"}):
        with pytest.raises(EvalError, match=f"holds runs of another {next(iter(changed))}"):
            run_suite(fake, data, ["zero-shot"], out=out, show=False, **changed)
    (out / "asked.json").write_text("{")
    with pytest.raises(EvalError, match="cannot be used"):
        run_suite(fake, data, ["zero-shot"], out=out, show=False)


def test_a_folder_without_sets_is_refused(fake: Any, tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="holds no folder with test/good"):
        run_suite(fake, tmp_path, out=tmp_path / "out", show=False)


def test_a_mean_that_lacks_a_value_is_none(fake: Any, make_folder: Make, tmp_path: Path) -> None:
    data = make_folder(good=2, bad=2, name="sets/plates").parent
    make_folder(good=2, bad=0, name="sets/rings")
    results = run_suite(fake, data, ["zero-shot"], out=tmp_path / "out", show=False)
    assert "| mean of 2 | zero-shot | 6 | - |" in table(results)


def test_the_table_goes_between_the_marks_of_a_file(
    fake: Any, make_folder: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_folder(good=2, bad=2, name="sets/plates").parent
    results = run_suite(fake, data, ["zero-shot"], out=tmp_path / "out", show=False)
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- suite -->\nold\n<!-- /suite -->\nafter\n")
    for _ in range(2):
        main([str(tmp_path / "out"), "--write", str(page)])
        assert page.read_text() == f"before\n<!-- suite -->\n{table(results)}<!-- /suite -->\nafter\n"
    page.write_text("no marks")
    for arguments in ([str(tmp_path / "out"), "--write", str(page)], [str(tmp_path / "nothing")]):
        with pytest.raises(SystemExit):
            main(arguments)
    assert "<!-- suite -->" in capsys.readouterr().err
    (tmp_path / "out/plates-zero-shot/results.json").write_text("{")
    with pytest.raises(EvalError, match="is none of photos inspected"):
        read_suite(tmp_path / "out")


def test_ablation_leaves_out_one_part_at_a_time(fake: Any, make_folder: Make, tmp_path: Path) -> None:
    made: list[tuple[str, ...]] = []

    def load(without: tuple[str, ...]) -> Any:
        made.append(without)
        return fake(blind=without == ("zoom",))  # as if all that is seen were seen by zooming

    data, out = make_folder(good=6, bad=6), tmp_path / "out"
    found = run_ablation(load, data, out=out, show=False)
    assert made == [(), *((part,) for part in PARTS)]
    assert found.whole.metrics["accuracy"].value == 1
    assert found.without["zoom"]["accuracy"].value == -0.5
    assert found.without["facts"]["accuracy"].value == 0
    assert sentence(found).startswith("The agent is worse without zoom (accuracy -0.500), zoom (mle_type -2.000)")
    assert (out / "ablation.md").read_text() == markdown(found)
    made.clear()
    (out / f"without-{PARTS[-1]}/results.json").unlink()  # as if it had been stopped there
    assert markdown(run_ablation(load, data, out=out, show=False)) == markdown(found)
    assert made == [(PARTS[-1],)]
    found.without["zoom"] = {"accuracy": Metric(None, reason="nothing")}
    assert sentence(found) == "No part matters beyond chance on these photos."
    found.failed["without zoom"] = 2
    assert sentence(found).endswith("Photos that failed and are in no difference: without zoom: 2.")
