"""Facts, the files they are read from, and what the shipped pack promises."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

import knowledge.facts
from knowledge.facts import Fact, FactError, Pack, fact_id, load_pack, read_pack_file, shipped_pack, snake
from knowledge.user_files import read_user_file

SCREW = """\
category: screw
title: Screws
falls_back_to: metal
aliases: [wood screw]
facts:
  - {kind: object, text: "A screw is a threaded pin with a head.", source: general practice}
  - {kind: defect, defect: burr, text: "A burr on a screw is a thin raised lip.", source: general practice}
"""
METAL = """\
category: metal
title: Metal surfaces
facts:
  - {kind: object, text: "A metal surface reflects light evenly.", source: general practice}
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_importing_the_package_loads_neither_chroma_nor_the_embedder() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import knowledge; took = time.perf_counter() - start;"
        "heavy = {'chromadb', 'wordllama', 'pydantic', 'numpy', 'torch'} & set(sys.modules);"
        "assert not heavy, heavy; assert took < 0.5, took;"
        "from knowledge import Fact, FactError, FactStore, StoreError;"
        "heavy = {'chromadb', 'wordllama', 'torch'} & set(sys.modules); assert not heavy, heavy"
    )
    root = Path(knowledge.facts.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Facts"):
        _ = knowledge.Facts


def test_the_id_is_readable_stable_and_depends_on_the_content() -> None:
    first = fact_id("screw", "defect", "burr", "A burr is a lip.")
    assert first == fact_id("screw", "defect", "burr", "A burr is a lip.")
    assert re.fullmatch(r"screw-burr-[0-9a-f]{8}", first)
    assert first != fact_id("screw", "cause", "burr", "A burr is a lip.")
    assert fact_id("screw", "object", None, "A screw.").startswith("screw-object-")


def test_a_fact_cannot_be_changed_or_hold_a_score_outside_0_to_1() -> None:
    fact = Fact.create("A screw has a head.", category="screw", kind="object", source="me")
    with pytest.raises(ValidationError):
        fact.text = "Something else."
    with pytest.raises(ValidationError):
        Fact.model_validate({**fact.model_dump(), "score": 1.5})


@pytest.mark.parametrize(("name", "expected"), [("Hex-Nut", "hex_nut"), ("  PCB ", "pcb"), ("a / b", "a_b"), ("!", "")])
def test_snake_case(name: str, expected: str) -> None:
    assert snake(name) == expected


def test_a_folder_of_pack_files_is_read(tmp_path: Path) -> None:
    write(tmp_path / "screw.yaml", SCREW)
    write(tmp_path / "metal.yaml", METAL)
    pack = load_pack(tmp_path)
    assert list(pack.families) == ["metal", "screw"]
    assert pack.families["screw"].falls_back_to == "metal"
    assert pack.families["screw"].aliases == ("wood screw",)
    assert [(fact.category, fact.kind, fact.defect_type) for fact in pack.facts] == [
        ("metal", "object", None),
        ("screw", "object", None),
        ("screw", "defect", "burr"),
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("kind: object", "kind: objct"), ["facts[0].kind", "'objct'", "'object'"]),
        (("defect: burr, ", ""), ["facts[1]", "defect: scratch"]),
        (("defect: burr", "defect: Big Burr"), ["facts[1].defect", "'Big Burr'", "pattern"]),
        (
            (", source: general practice}\n  - {kind: defect", "}\n  - {kind: defect"),
            ["facts[0].source is missing"],
        ),
        (("title: Screws", "titel: Screws"), ["title is missing"]),
        (("title: Screws", "title: Screws\ncolour: red"), ["colour", "not a known field"]),
        (("A burr on a screw is a thin raised lip.", "Lip."), ["facts[1].text", "'Lip.'", "at least 8"]),
        (('kind: defect, defect: burr, text: "A burr', 'kind: object, text: "A burr'), []),
        (("aliases: [wood screw]", "aliases: [wood screw"), ["not valid YAML", "line"]),
        ((SCREW, "- just a list"), ["expected category, title"]),
        ((SCREW, ""), ["expected category, title"]),
    ],
)
def test_an_error_in_a_pack_file_names_the_place_the_value_and_what_was_expected(
    tmp_path: Path, change: tuple[str, str], said: list[str]
) -> None:
    assert change[0] in SCREW
    path = write(tmp_path / "screw.yaml", SCREW.replace(*change))
    if not said:
        assert len(read_pack_file(path).facts) == 2
        return
    with pytest.raises(FactError) as caught:
        read_pack_file(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in [str(path), *said]:
        assert part in message


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.yaml": METAL, "b.yaml": METAL}, "another file of this folder has too"),
        ({"a.yaml": SCREW}, "falls_back_to of 'screw' is 'metal'"),
        (
            {"a.yaml": SCREW, "b.yaml": METAL.replace("title:", "falls_back_to: screw\ntitle:")},
            "goes round: screw > metal > screw",
        ),
        ({"a.yaml": METAL + METAL[METAL.index("  - ") :]}, "a second time"),
        ({}, "no \\*.yaml files"),
    ],
)
def test_a_pack_that_does_not_fit_together_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        write(tmp_path / name, text)
    with pytest.raises(FactError, match=said):
        load_pack(tmp_path)


def test_a_file_that_is_missing_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FactError, match="cannot be read"):
        read_pack_file(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FactError, match="not UTF-8"):
        read_pack_file(tmp_path / "binary.yaml")


def test_sentences_become_facts_about_the_product(tmp_path: Path) -> None:
    path = write(
        tmp_path / "notes.md",
        "\ufeff# Our valves\n\n- A valve body is grey.\n* A valve stem is bright.\n2. A valve seat is flat.\n"
        "- A valve body is grey.\n",
    )
    pack = read_user_file(path, category="Ball Valve")
    assert [fact.text for fact in pack.facts] == [
        "A valve body is grey.",
        "A valve stem is bright.",
        "A valve seat is flat.",
    ]
    assert {(fact.category, fact.kind, fact.source) for fact in pack.facts} == {("ball_valve", "object", "notes.md")}


def test_records_become_facts(tmp_path: Path) -> None:
    path = write(
        tmp_path / "own.jsonl",
        '{"text": "A valve body is grey."}\n\n'
        '{"text": "A nick is a small cut.", "category": "valve", "kind": "defect", "defect_type": "Nick",'
        ' "source": "drawing 7", "score": 0.5}\n',
    )
    first, second = read_user_file(path, category="valve").facts
    assert (first.kind, first.source, first.category) == ("object", "own.jsonl", "valve")
    assert (second.defect_type, second.source, second.score) == ("nick", "drawing 7", None)


def test_a_family_of_the_users_own_is_read_with_its_names(tmp_path: Path) -> None:
    pack = read_user_file(write(tmp_path / "own.yml", SCREW))
    assert pack.families["screw"].aliases == ("wood screw",)
    assert len(pack.facts) == 2


@pytest.mark.parametrize(
    ("name", "text", "category", "said"),
    [
        ("a.txt", "A valve body is grey.", None, "category is missing"),
        ("a.txt", "A valve body is grey.\nshort", "valve", "line 2: text is 'short'"),
        ("a.txt", "\n\n", "valve", "holds no facts"),
        ("a.txt", "A valve body is grey.", "!", "category is '!'"),
        ("a.csv", "A valve body is grey.", "valve", "suffix is '.csv'"),
        ("a.jsonl", '{"text": "A valve body is grey."}', None, "line 1: category is missing"),
        ("a.jsonl", '{"text": "A valve body is grey.", "category": "nut"}', "valve", "category is 'nut'"),
        ("a.jsonl", '{"text": "A valve body is grey."}\n{"text"', "valve", "line 2"),
        ("a.jsonl", '{"text": "A valve is grey.", "kind": "fault"}', "valve", "line 1: kind is 'fault'"),
        ("a.jsonl", '["A valve body is grey."]', "valve", "line 1"),
        ("a.yaml", SCREW, "nut", "category is 'screw', expected 'nut'"),
    ],
)
def test_an_error_in_a_users_file_names_the_line(
    tmp_path: Path, name: str, text: str, category: str | None, said: str
) -> None:
    with pytest.raises(FactError, match=re.escape(said)) as caught:
        read_user_file(write(tmp_path / name, text), category=category)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def pack() -> Pack:
    return shipped_pack()


def test_the_shipped_pack_is_as_large_as_promised(pack: Pack) -> None:
    assert len(pack.families) >= 30
    assert len({fact.defect_type for fact in pack.facts} - {None}) >= 60
    assert len(pack.facts) >= 1000


def test_every_shipped_fact_is_one_plain_sentence_that_is_there_once(pack: Pack) -> None:
    assert len({fact.id for fact in pack.facts}) == len(pack.facts)
    assert len({fact.text for fact in pack.facts}) == len(pack.facts)
    for fact in pack.facts:
        assert fact.text.isascii(), fact
        assert re.fullmatch(r"[A-Z][^\n;]*\.", fact.text), fact
        assert not re.search(r"[.!?]\s+[A-Z]", fact.text), fact


def test_every_shipped_family_falls_back_to_one_that_exists_and_never_to_itself(pack: Pack) -> None:
    for category in pack.families:
        chain = [category]
        while (following := pack.families[chain[-1]].falls_back_to) is not None:
            assert following in pack.families
            assert following not in chain
            chain.append(following)
    assert {"generic_object", "generic_texture"} <= set(pack.families)


def test_every_shipped_defect_has_its_look_cause_impact_and_remedy(pack: Pack) -> None:
    kinds: dict[tuple[str, str], set[str]] = {}
    for fact in pack.facts:
        if fact.defect_type is not None:
            kinds.setdefault((fact.category, fact.defect_type), set()).add(fact.kind)
    for place, held in kinds.items():
        if "defect" in held:
            assert {"cause", "impact", "remedy"} <= held, place


def test_every_file_of_the_shipped_pack_is_named_after_its_family() -> None:
    for path in (Path(knowledge.facts.__file__).parent / "pack").glob("*.yaml"):
        assert list(read_pack_file(path).families) == [path.stem]
