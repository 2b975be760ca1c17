"""Ranked answers (AD-PL) as rows for supervised training: each question with its best answer."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from datasets import Dataset
from PIL import Image, ImageOps

from agent.vlm.prompt import NumberedFact, Views, inert, question_text
from knowledge.facts import Fact, shipped_pack
from training.adpl import PreferenceRecord
from training.adpl_file import AdplFault, read_adpl
from training.fact_index import numbered
from training.recipe import RecipeError
from training.sfe.rows import conversation


def adpl_rows(file: Path, images: Path | None, *, facts: bool = True, references: bool = True) -> Dataset:
    """Prompt-completion rows, a question each; photos are read when a row is.

    Args:
        file: an AD-PL file.
        images: folder that its photos lie below; None: the file's own.
        facts: put the record's facts before the model.
        references: show the reference.

    Raises:
        RecipeError: the file is none, or holds a fault; the first is named.
    """
    folder = file.parent if images is None else images
    records = records_of(file, folder)
    places = [(i, q) for i, record in enumerate(records) for q in range(len(record.question_answer))]

    def made(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        rows = []
        for i, q in zip(batch["record"], batch["question"], strict=True):
            record = records[i]
            question = record.question_answer[q]
            shown = shown_facts(record) if facts else []
            names, views = shown_photos(record, references=references)
            photos = [upright(folder / name) for name in names]
            text = question_text(question.question_en, shown, shown_evidence(record))
            rows.append(conversation(text, inert(question.answer_options[0].answer_en), photos, views))
        return {key: [row[key] for row in rows] for key in rows[0]}

    table = Dataset.from_dict({"record": [i for i, _ in places], "question": [q for _, q in places]})
    return table.with_transform(made)


def records_of(file: Path, folder: Path, argument: str = "adpl") -> list[PreferenceRecord]:
    """The records of a file, all of them sound.

    Args:
        file: an AD-PL file.
        folder: that its photos lie below.
        argument: what the file is called in errors.

    Raises:
        RecipeError: the file is none, or holds a fault; the first is named.
    """
    if not file.is_file():
        raise RecipeError(f"{argument} {str(file)!r}: no file there; make one with `sage-iad data make`")
    records: list[PreferenceRecord] = []
    for record in read_adpl(file, folder, _pack()):
        if isinstance(record, AdplFault):
            raise RecipeError(f"{argument} {str(file)!r}: {record}; see `sage-iad data check {file}`")
        records.append(record)
    if not records:
        raise RecipeError(f"{argument} {str(file)!r}: holds no record")
    return records


def shown_photos(record: PreferenceRecord, *, references: bool = True) -> tuple[list[str], Views]:
    """Paths of the photos that the model is shown, and what they are."""
    reference = [record.reference_image] if references else []
    close_up = [] if record.close_up is None else [record.close_up]
    return [record.test_image, *reference, *close_up], Views(len(reference), bool(close_up))


def shown_facts(record: PreferenceRecord) -> list[NumberedFact]:
    """The facts of a record with the short ids by which its answers cite them."""
    return numbered([_pack()[id] for id in record.facts or ()])


def shown_evidence(record: PreferenceRecord) -> list[tuple[str, str]]:
    """What tools found, with the short ids by which answers cite it."""
    return [(f"E{i}", text) for i, text in enumerate(record.evidence or (), 1)]


@lru_cache(maxsize=1)
def _pack() -> dict[str, Fact]:
    return {fact.id: fact for fact in shipped_pack().facts}


def upright(path: Path) -> Image.Image:
    """A photo as a person sees it, RGB."""
    with Image.open(path) as photo:
        return ImageOps.exif_transpose(photo).convert("RGB")
