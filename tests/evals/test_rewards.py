"""Rewards of ranked answers: by the reference judge, by tiny reward models with random weights, and what gets none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.language_models import FakeListChatModel
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)
from typer.testing import CliRunner, Result

from agent.cli import app
from agent.model import Vlm
from agent.report import ModelInfo
from evals.errors import EvalError
from evals.judges.records import read_records
from evals.judges.reference import ReferenceJudge
from evals.judges.truth import truths_below
from evals.mle import MleScore, Truth
from evals.reward_model import RewardModel
from evals.rewards import JudgeEvaluator, evaluator_named, reward
from training.adpl import PreferenceRecord
from training.adpl_file import AdplFault, read_adpl
from training.make import Order, make

TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</s>{% endfor %}"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def adpl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn records."""
    folder = tmp_path_factory.mktemp("adpl")
    assert list(make(Order(6, seed=4, size=64), folder, processes=1))[-1] == 6
    return folder


@pytest.fixture(scope="module")
def records(adpl: Path) -> list[PreferenceRecord]:
    return read_records(adpl / "train.jsonl")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["data", *map(str, arguments)])


def lines(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def answers(record: Json) -> list[list[Json]]:
    return [question["answer_options"] for question in record["question_answer"]]


def edited(adpl: Path, to: Path, edit: Callable[[list[Json]], Any]) -> Path:
    """A copy of the drawn records with something changed."""
    found = lines(adpl / "train.jsonl")
    edit(found)
    to.write_text("\n".join(json.dumps(record, ensure_ascii=False) for record in found), encoding="utf-8")
    return to


# --- judges ---


def test_the_reference_judge_puts_the_best_answer_first_and_its_file_passes_the_check(
    adpl: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new/scored.jsonl"
    done = run("score", adpl / "train.jsonl", "--out", out, "--images", adpl, "--by", "reference")
    assert done.exit_code == 0, done.output
    given, scored = lines(adpl / "train.jsonl"), lines(out)
    rewards = [[option["reward"] for option in question] for record in scored for question in answers(record)]
    other = sum(question[0] < max(question) for question in rewards)
    assert other < 0.1 * len(rewards)
    # Of right answers and wrong ones: all the same would put the first at the top, too.
    assert sum(question[0] > max(question[1:]) for question in rewards) > 0.7 * len(rewards)
    assert f"{len(rewards)} questions scored, 0 not; in {other} the best answer by reference judge 2" in done.stdout
    assert {record["rewarded_by"] for record in scored} == {"reference judge 2"}
    # Nothing else is changed.
    for record in scored:
        del record["rewarded_by"]
        for question in answers(record):
            for option in question:
                del option["reward"]
    assert scored == given
    checked = run("check", out, "--images", adpl)
    assert checked.exit_code == 0, checked.output
    assert f"{len(given)} good records" in checked.stdout
    assert list(out.parent.iterdir()) == [out]


def test_each_reward_is_the_mean_of_the_judges_scales(adpl: Path, records: list[PreferenceRecord]) -> None:
    truth_of = truths_below(adpl)
    evaluator = JudgeEvaluator(ReferenceJudge(), truth_of)
    for question in records[0].question_answer:
        scores = [ReferenceJudge().judge(o.answer_en, truth_of(records[0], question)) for o in question.answer_options]
        assert evaluator.rewards(records[0], question) == [score.mean for score in scores]


class Picky:
    """A judge that gives 1 to answers it is told of, nothing to others, else 3."""

    name = "picky 1"

    def __init__(self, *, bad: str = "", silent: str = "") -> None:
        self.bad, self.silent = bad, silent

    def judge(self, answer: str, truth: Truth) -> MleScore:
        if answer == self.silent:
            return MleScore(unscored="no\nreply")
        score = 1 if answer == self.bad else 3
        return MleScore(type=score, location=score, logic=score)


def test_a_question_with_an_answer_that_cannot_be_scored_gets_no_rewards(
    adpl: Path, records: list[PreferenceRecord]
) -> None:
    options = [question.answer_options for question in records[1].question_answer]
    judge = Picky(bad=options[3][0].answer_en, silent=options[1][2].answer_en)
    found = reward(records[:2], JudgeEvaluator(judge, truths_below(adpl)))
    assert [str(fault) for fault in found.unscored] == ["record 2, question 2: answer 3: no reply"]
    assert (found.scored, found.other_best) == (9, 1)
    scored = [json.loads(line) for line in found.lines]
    assert [["reward" in option for option in question] for question in answers(scored[1])] == [
        [number != 1] * 4 for number in range(5)
    ]
    assert [option["reward"] for option in answers(scored[1])[3]] == [1, 3, 3, 3]


def test_records_nobody_marked_are_listed_by_the_reference_judge_and_lose_old_rewards(
    adpl: Path, tmp_path: Path
) -> None:
    def publish(found: list[Json]) -> None:
        del found[1]["defects"]
        found[1]["rewarded_by"] = "someone"
        for option in answers(found[1])[0]:
            option["reward"] = 0.5

    file, out = edited(adpl, tmp_path / "published.jsonl", publish), tmp_path / "out.jsonl"
    done = run("score", file, "--out", out, "--images", adpl, "--by", "reference")
    assert done.exit_code == 0, done.output
    listed = [line for line in done.stderr.splitlines() if "record " in line]
    assert len(listed) == 5
    assert f"{file}: record 2, question 1: the record does not say which defects there are" in listed[0]
    assert "5 not; " in done.stdout
    scored = lines(out)
    assert scored[1]["rewarded_by"] == "reference judge 2"
    assert not any("reward" in option for question in answers(scored[1]) for option in question)
    assert all("reward" in option for question in answers(scored[0]) for option in question)
    assert run("check", out, "--images", adpl).exit_code == 0


def test_a_chat_model_judges_by_its_grades(
    adpl: Path, records: list[PreferenceRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = [json.dumps({"why": "So.", "type": type, "location": 4, "logic": 3}) for type in (5, 2) for _ in range(4)]
    vlm = Vlm(FakeListChatModel(responses=replies), ModelInfo(name="grader", revision="7", stage="external"))
    monkeypatch.setattr("agent.model.load_vlm", lambda model: {"http://host/v1": vlm}[model])
    evaluator = evaluator_named("http://host/v1", records, adpl)
    assert evaluator.name.startswith("grader (7; prompt ")
    assert evaluator.rewards(records[0], records[0].question_answer[0]) == [4, 3, 4, 3]


def test_keys_and_nulls_that_are_not_known_survive(adpl: Path, tmp_path: Path) -> None:
    def more(found: list[Json]) -> None:
        found[0] |= {"source": {"line": None, "page": 2}, "note": None}
        found[0]["question_answer"][0] |= {"asked_by": "anna", "question_cn": None}
        answers(found[0])[0][1] |= {"answer_cn": "理由\u2028二", "votes": [1, 2]}

    file, out = edited(adpl, tmp_path / "own.jsonl", more), tmp_path / "out.jsonl"
    assert run("score", file, "--out", out, "--images", adpl, "--by", "reference").exit_code == 0
    (read, *_) = read_adpl(out)
    assert isinstance(read, PreferenceRecord)
    (record, *_) = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n") if line]
    assert record["source"] == {"line": None, "page": 2}
    assert record["note"] is None
    assert record["question_answer"][0]["asked_by"] == "anna"
    assert record["question_answer"][0]["question_cn"] is None
    option = answers(record)[0][1]
    assert (option["answer_cn"], option["votes"]) == ("理由\u2028二", [1, 2])


# --- reward models ---


@pytest.fixture(scope="module")
def tokenizer(records: list[PreferenceRecord]) -> PreTrainedTokenizerFast:
    """Of the words of the drawn answers."""
    own = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    own.normalizer, own.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "</s>"]
    texts = [o.answer_en for r in records for q in r.question_answer for o in q.answer_options]
    own.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special))
    own.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=own, unk_token="[UNK]", model_max_length=256)


@pytest.fixture
def tiny(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Callable[..., Path]:
    """Saves a model with random weights beside the tokenizer."""

    def save(
        kind: Any = BertForSequenceClassification, *, template: str | None = None, pad: bool = True, **config: Any
    ) -> Path:
        torch.manual_seed(0)
        sizes = {
            "vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 2, "max_position_embeddings": 256, "initializer_range": 1.0, "num_labels": 1,
            "pad_token_id": 0 if pad else None,
        }  # fmt: skip
        model = kind((BertConfig if "Bert" in kind.__name__ else LlamaConfig)(**sizes | config))
        folder = tmp_path / "tiny"
        model.save_pretrained(folder)
        tokenizer.pad_token = "[PAD]" if pad else None
        tokenizer.chat_template = template
        tokenizer.save_pretrained(folder)
        return folder

    return save


def alone(folder: Path, inputs: Any) -> float:
    """The logit of one text without padding, straight from the model."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        return float(model(**inputs).logits.item())


@pytest.mark.parametrize(
    ("kind", "template", "pad"),
    [
        (BertForSequenceClassification, None, True),
        (LlamaForSequenceClassification, TEMPLATE, True),
        (LlamaForSequenceClassification, TEMPLATE, False),
    ],
    ids=["text pair", "chat", "chat without a pad token"],
)
def test_a_reward_is_the_models_own_logit(
    kind: Any,
    template: str | None,
    pad: bool,
    tiny: Callable[..., Path],
    tokenizer: PreTrainedTokenizerFast,
    records: list[PreferenceRecord],
) -> None:
    folder, question = tiny(kind, template=template, pad=pad), records[0].question_answer[1]
    found = RewardModel.load(str(folder)).rewards(records[0], question)
    assert isinstance(found, list)
    expected = []
    for option in question.answer_options:
        if template is None:
            inputs = tokenizer(question.question_en, option.answer_en, return_tensors="pt")
        else:
            text = f"<user>{question.question_en}</s><assistant>{option.answer_en}</s>"
            inputs = tokenizer(text, add_special_tokens=False, return_token_type_ids=False, return_tensors="pt")
        expected.append(alone(folder, inputs))
    assert found == pytest.approx(expected, abs=1e-5)
    assert len({round(logit, 3) for logit in expected}) == 4


def test_a_reward_model_needs_no_images(
    adpl: Path, tiny: Callable[..., Path], records: list[PreferenceRecord], tmp_path: Path
) -> None:
    folder, out = tiny(), tmp_path / "out.jsonl"
    done = run("score", adpl / "train.jsonl", "--out", out, "--by", f"reward:{folder}")
    assert done.exit_code == 0, done.output
    model = RewardModel.load(str(folder))
    for record, scored in zip(records, lines(out), strict=True):
        assert scored["rewarded_by"] == model.name
        assert model.name.startswith("tiny (")
        for question, options in zip(record.question_answer, answers(scored), strict=True):
            assert [option["reward"] for option in options] == model.rewards(record, question)
    assert run("check", out, "--images", adpl).exit_code == 0


def test_answers_too_long_for_the_model_and_logits_that_are_no_numbers_are_no_rewards(
    tiny: Callable[..., Path], records: list[PreferenceRecord]
) -> None:
    folder, question = tiny(max_position_embeddings=20), records[0].question_answer[0]
    found = RewardModel.load(str(folder)).rewards(records[0], question)
    assert isinstance(found, str)
    assert found.startswith("answer 1: is ")
    assert found.endswith("tokens with its question, the model takes 20")
    model = RewardModel.load(str(tiny()))
    model._model.classifier.bias.data.fill_(float("nan"))
    assert model.rewards(records[0], question) == "answer 1: its logit is nan"


def test_what_is_no_reward_model_is_refused(tiny: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"it has 2 labels.*one label, in safetensors"):
        RewardModel.load(str(tiny(num_labels=2)))
    # Models without a head: transformers would draw one at random.
    for kind in (BertModel, LlamaForCausalLM):
        with pytest.raises(EvalError, match=r"its weights lack (classifier|score)"):
            RewardModel.load(str(tiny(kind)))
    folder = tiny()
    torch.save(BertForSequenceClassification.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(EvalError, match="cannot be loaded as a reward model"):
        RewardModel.load(str(folder))
    with pytest.raises(EvalError, match="cannot be loaded as a reward model"):
        RewardModel.load(str(tmp_path / "nothing"))


# --- what is refused ---


def test_bad_input_is_one_line_and_leaves_no_file(adpl: Path, tmp_path: Path) -> None:
    file = edited(adpl, tmp_path / "in.jsonl", lambda found: None)
    before, link = file.read_bytes(), tmp_path / "link.jsonl"
    link.symlink_to(file)
    out, asked = tmp_path / "out.jsonl", ("--images", adpl, "--by", "reference")
    for arguments, says in [
        ((file, "--out", file, *asked), "is the input; name another file"),
        ((file, "--out", link, *asked), "is the input; name another file"),
        ((file, "--out", tmp_path, *asked), "is a folder; name another file"),
        ((tmp_path / "none.jsonl", "--out", out, *asked), "cannot be read (No such file"),
        ((file, "--out", out, "--images", tmp_path, "--by", "reference"), "is not in"),
        ((file, "--out", out, "--by", "reference"), "expected the folder of the records' photos"),
        ((file, "--out", out, "--images", adpl, "--by", tmp_path / "none"), "cannot be loaded"),
        ((file, "--out", out, "--by", f"reward:{tmp_path / 'none'}"), "cannot be loaded as a reward model"),
    ]:
        done = run("score", *arguments)
        assert done.exit_code == 2, done.output
        (line,) = done.stderr.strip().splitlines()
        assert says in line
        assert not out.exists()
    assert file.read_bytes() == before


def test_the_embedded_model_cannot_judge(records: list[PreferenceRecord], adpl: Path) -> None:
    from agent.vlm.nano import shipped

    with pytest.raises(EvalError, match="was trained on fixed prompts alone"):
        evaluator_named(str(shipped("sage-nano")), records, adpl)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("NaN", "reward is NaN, expected a finite number"),
        ("-Infinity", "reward is -Infinity, expected a finite number"),
        ("1e999", "reward is Infinity, expected a finite number"),
        ('"4"', 'reward is "4", expected a valid number'),
        ("true", "reward is true, expected a valid number"),
    ],
)
def test_a_reward_that_is_no_finite_number_is_named(adpl: Path, tmp_path: Path, value: str, says: str) -> None:
    def odd(found: list[Json]) -> None:
        for option in answers(found[1])[2]:
            option["reward"] = 12345.5

    file = edited(adpl, tmp_path / "odd.jsonl", odd)
    file.write_text(file.read_text(encoding="utf-8").replace("12345.5", value, 1), encoding="utf-8")
    faults = [str(fault) for fault in read_adpl(file) if isinstance(fault, AdplFault)]
    assert faults == [f"record 2, question 3, answer 1: {says}"]
    assert run("check", file).exit_code == 2


def test_rewards_are_for_all_answers_or_none_and_in_any_order(adpl: Path, tmp_path: Path) -> None:
    def some(found: list[Json]) -> None:
        for place, option in enumerate(answers(found[0])[0]):
            option["reward"] = place - 2
        for option in answers(found[0])[1][1:]:
            option["reward"] = 1.0

    file = edited(adpl, tmp_path / "some.jsonl", some)
    faults = [str(fault) for fault in read_adpl(file) if isinstance(fault, AdplFault)]
    assert faults == ["record 1, question 2: 3 of 4 answers have rewards, expected all or none"]


def test_a_record_stays_the_same_when_it_is_scored(adpl: Path, tmp_path: Path) -> None:
    out, seen = tmp_path / "out.jsonl", dict[str, str]()
    assert run("score", adpl / "train.jsonl", "--out", out, "--images", adpl, "--by", "reference").exit_code == 0
    assert not [one for one in read_adpl(adpl / "train.jsonl", seen=seen) if isinstance(one, AdplFault)]
    twice = [str(one) for one in read_adpl(out, seen=seen)]
    assert twice[0] == "record 1: is the same as record 1 of train.jsonl"
