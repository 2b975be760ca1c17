"""Ranked answers (AD-PL) as rows for supervised training: each question with its best answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import Dataset
from PIL import Image, ImageOps

from agent.vlm.prompt import Views, inert, question_text
from knowledge.facts import shipped_pack
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
    if not file.is_file():
        raise RecipeError(f"adpl {str(file)!r}: no file there; make one with `sage-iad data make adpl`")
    pack = {fact.id: fact for fact in shipped_pack().facts}
    records: list[PreferenceRecord] = []
    for record in read_adpl(file, folder, pack):
        if isinstance(record, AdplFault):
            raise RecipeError(f"adpl {str(file)!r}: {record}; see `sage-iad data check {file}`")
        records.append(record)
    if not records:
        raise RecipeError(f"adpl {str(file)!r}: holds no record")
    places = [(i, q) for i, record in enumerate(records) for q in range(len(record.question_answer))]

    def made(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        rows = []
        for i, q in zip(batch["record"], batch["question"], strict=True):
            record = records[i]
            question = record.question_answer[q]
            shown = numbered([pack[id] for id in record.facts or ()]) if facts else []
            photos = [_photo(folder / record.test_image)]
            photos += [_photo(folder / record.reference_image)] if references else []
            text = question_text(question.question_en, shown, [])
            rows.append(conversation(text, inert(question.answer_options[0].answer_en), photos, Views(len(photos) - 1)))
        return {key: [row[key] for row in rows] for key in rows[0]}

    table = Dataset.from_dict({"record": [i for i, _ in places], "question": [q for _, q in places]})
    return table.with_transform(made)


def _photo(path: Path) -> Image.Image:
    with Image.open(path) as photo:
        return ImageOps.exif_transpose(photo).convert("RGB")
