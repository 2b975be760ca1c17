"""The exam of a core model: its figures follow from what was said, and what was said is asked for as the agent asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("datasets")

from agent.vlm.prompt import DECLINED
from evals.exam import Exam, Sheet
from knowledge.facts import shipped_pack
from training.draw.scene import Case, draw_case
from training.fact_index import FactIndex
from training.recipe import RecipeError
from training.story import Look, Looks

INDEX = FactIndex(shipped_pack())


def sheet(index: int, anomalous: bool) -> Sheet:
    case = draw_case((91, index), size=96, anomalous=float(anomalous), references=1)
    place = {"place": "centre", "score": 0.9 if anomalous else 0.1, "regions": [], "level": "high"}
    found = Looks((Look("heatmap", "Heat map: high, peak in the centre.", place),), None)
    made = Sheet(case, found, INDEX.defects(case.category, 8))
    types = [d.defect_type for d in case.defects]
    made.facts = INDEX.about(case.category, types) if types else made.described
    return made


def right(made: Sheet) -> Sheet:
    """Filled in as a model that knows would."""
    case: Case = made.case
    kinds = [f.defect_type for f in made.facts]
    made.alone, made.compared, made.score = (0.9, 0.8, 0.95) if case.anomalous else (0.2, 0.3, 0.05)
    made.declined = True
    if case.anomalous:
        kind = case.defects[0].defect_type
        made.suspects = [kind]
        alias = f"F{kinds.index(kind) + 1}"
        made.verdict = f"True. It has the look of the defect {kind.replace('_', ' ')} [{alias}]."
    else:
        made.verdict = "False. Nothing looks like the described defects [F1]."
    made.told = made.verdict.split(".")[0] + ". It is said [F1]."
    return made


@pytest.fixture
def exam() -> Exam:
    return Exam(None)  # type: ignore[arg-type]  # no cases: the sheets are made by hand


def test_who_knows_gets_full_marks(exam: Exam) -> None:
    figures = exam.metrics([right(sheet(i, i % 2 == 0)) for i in range(12)])
    for name in ("accuracy", "type_accuracy", "suspect_accuracy", "citation_precision", "parsed", "declined"):
        assert figures[name].value == 1, name
    for name in ("image_auroc", "image_auroc_alone", "image_auroc_compared", "image_auroc_detector"):
        assert figures[name].value == 1, name
    assert figures["mle_type"].value == 5
    assert figures["accuracy_compared"].value == 1


def test_each_fault_lowers_its_own_figure(exam: Exam) -> None:
    sheets = [right(sheet(i, i % 2 == 0)) for i in range(12)]
    before = exam.metrics(sheets)
    sheets[0].verdict = sheets[0].verdict.replace("True", "False")
    sheets[2].suspects = ["no_such_kind"]
    sheets[4].verdict = "True. All is lost."
    sheets[6].verdict = ""
    sheets[8].declined = False
    sheets[1].alone = None
    after = exam.metrics(sheets)

    def lost(name: str) -> float:
        first, second = before[name].value, after[name].value
        assert first is not None
        assert second is not None
        return first - second

    assert lost("accuracy") == pytest.approx(2 / 12)
    assert lost("suspect_accuracy") == pytest.approx(1 / 6)
    assert lost("type_accuracy") == pytest.approx(2 / 6)
    assert lost("declined") == pytest.approx(1 / 12)
    assert (after["unscored"].value or 0) > 0
    assert after["declined_wrongly"].value == 0
    assert lost("parsed") == pytest.approx(1 / 12)
    assert lost("citation_precision") > 0
    assert lost("image_auroc_alone") == 0  # 0.5 lies between those of normal and of anomalous cases
    assert lost("mle") > 0
    assert lost("image_auroc") == 0
    low, high = after["accuracy"].ci95 or (None, None)
    assert low is not None
    assert high is not None
    assert low < (after["accuracy"].value or 0) < high


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("True. It has the look of the defect missing part [F3].", "missing_part"),
        ("True. This fits the description of scratch. It is no dent.", None),
        ("True. None of the described defects fits it.", None),
        ("True. It fits the description of wrong colour.", None),
    ],
)
def test_a_kind_is_what_the_words_name(exam: Exam, reply: str, kind: str | None) -> None:
    assert exam.named(reply) == kind


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Drawn cases, kept as training keeps them, with looks that cost nothing."""
    from training.cases import kept_cases

    def look(case: Case, setting: str) -> Looks:
        values = {"place": "centre", "score": 0.6, "regions": [], "level": "medium"}
        return Looks(
            (Look("heatmap", "Heat map: medium, peak in the centre.", values),), np.zeros((64, 64, 3), np.uint8)
        )

    folder = tmp_path_factory.mktemp("exam")
    return kept_cases(folder, 5, 92, look, 1, "none", "validation")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random sage-nano."""
    from agent.vlm import SageVisionConfig, SageVisionModel
    from agent.vlm.nano import build_model, build_processor, train_tokenizer

    folder = tmp_path_factory.mktemp("tiny")
    eye = SageVisionModel(SageVisionConfig(image_size=64, widths=(8, 8, 8), depths=(1, 1, 1), hidden_size=16))
    tokenizer = train_tokenizer(["True. False. The heat map is high [E1]."] * 4, 400)
    model = build_model(eye, tokenizer, width=32, layers=1, heads=2, ratio=0.25, seed=0)
    model.save_pretrained(folder)
    build_processor(tokenizer, 64, model.config.image_seq_length).save_pretrained(folder)
    return folder


def test_a_model_is_asked_as_the_agent_asks_it(cases: Any, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    import evals.exam as module

    monkeypatch.setattr(module, "REPLY", 6)
    prompts: list[str] = []
    processor = AutoProcessor.from_pretrained(tiny)
    template = processor.apply_chat_template
    monkeypatch.setattr(
        processor, "apply_chat_template", lambda *a, **k: prompts.append(template(*a, **k)) or prompts[-1]
    )
    sheets = Exam(cases).sit(AutoModelForImageTextToText.from_pretrained(tiny).eval(), processor)
    assert len(sheets) == 5
    assert len(prompts) == 5 * 5
    assert sum("Close-up:" in p for p in prompts) == 3 * 5
    assert sum("Plan:" in p for p in prompts) == 5
    assert sum("Evidence:" in p for p in prompts) == 3 * 5
    assert sum("Reference:" in p for p in prompts) == 5 * sum(bool(s.case.references) for s in sheets)
    without = Exam(cases, facts=False, references=False).sit(
        AutoModelForImageTextToText.from_pretrained(tiny).eval(), processor
    )
    assert not any("Reference:" in p or "Facts:" in p for p in prompts[25:])
    assert all(not s.case.references and not s.described for s in without)
    assert all(not s.told.startswith(DECLINED) for s in sheets)


def test_the_ablation_trains_each_arm_once_and_shows_all(
    cases: Any, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    import evals.exam as module
    from evals import sfe_ablation

    monkeypatch.setattr(module, "REPLY", 2)
    monkeypatch.setattr(sfe_ablation, "kept_cases", lambda *_: cases)
    trained: dict[str, list[str]] = {}

    def train(config: Path, overrides: list[str], looks: Any) -> Path:
        out = Path(overrides[-1].removeprefix("output_dir="))
        trained[out.name] = [
            o for o in overrides[1:-1] if not o.startswith(("eval_strategy", "load_best", "exam_cases"))
        ]
        (out / "model").mkdir(parents=True)
        (out / "model" / "training.json").write_text('{"steps": 7}', encoding="utf-8")
        return tiny

    monkeypatch.setattr(sfe_ablation, "train_sfe", train)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("max_steps: 7\n", encoding="utf-8")
    table = sfe_ablation.ablate_sfe(recipe, ["seed=3"], tmp_path / "out", 5)
    assert set(trained) == {
        "no-sfe", "facts-as-text", "comparison-no-facts", "no-reference", "no-top-k", "full-sfe"
    }  # fmt: skip
    assert trained["no-sfe"] == ["facts=false", "fusion=false"]
    assert trained["full-sfe"] == []
    text = table.read_text(encoding="utf-8")
    assert text.startswith("7 training steps each;")
    assert all(f"| {name} |" in text for name in sfe_ablation.ARMS)
    assert (tmp_path / "out" / "ablation.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "out" / "ablation.json").read_text())["full SFE"]["accuracy_compared"]["value"] == 0
    trained.clear()
    with pytest.raises(RecipeError, match="arms of another recipe"):
        sfe_ablation.ablate_sfe(recipe, ["seed=4"], tmp_path / "out", 5)
    assert sfe_ablation.ablate_sfe(recipe, ["seed=3"], tmp_path / "out", 5).read_text(encoding="utf-8") == text
    assert not trained
