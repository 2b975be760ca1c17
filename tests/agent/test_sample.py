"""Answers drawn over what the agent gathered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from parts import plate, scripted

from agent.inspector import Inspector
from agent.model import load_vlm
from agent.sample import gather
from agent.vlm.prompt import VERDICT_QUESTION, Views, choice_text


@pytest.fixture(scope="module")
def inspector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspector]:
    made = Inspector.load(home=tmp_path_factory.mktemp("home"))
    yield made
    made.facts.close()


def test_another_question_is_asked_as_the_agent_would_ask_it(inspector: Inspector) -> None:
    plan, verdict = ("category: hex nut\nfacts: scratch", None), ("False. Nothing stands out [E1].", 0.4)
    asked_of_old = scripted(plan, plan, ("", 0.4), verdict, ("True. It is flat [E1].", 0.5))
    asked_of_new = scripted(plan, plan, ("", 0.4), verdict, ("True. It is flat [E1].", 0.5))
    question = "Is it flat?"
    parts = inspector.encoder, inspector.facts, inspector.home, inspector.weights
    # A good part: of a bad one the report knows more facts than the verdict question did, and later questions see them.
    Inspector(asked_of_old, *parts).inspect(plate(False), reference=plate(False), question=question)
    gathered = gather(Inspector(asked_of_new, *parts), plate(False), reference=plate(False))
    assert gathered.answer(question, temperature=0.5, seed=3) == "True. It is flat [E1]."
    old, new = asked_of_old.chat._asked, asked_of_new.chat._asked
    assert [m.content for m in new[4]] == [m.content for m in old[4]]
    assert VERDICT_QUESTION in new[3][1].content[-1]["text"]
    assert VERDICT_QUESTION not in new[4][1].content[-1]["text"]
    text = new[4][1].content[-1]["text"]
    assert all(f"[F{i}]" in text and fact.text in text for i, fact in enumerate(gathered.facts, 1))
    assert all(f"[E{i}] {summary}" in text for i, summary in enumerate(gathered.evidence, 1))


def test_options_are_put_to_the_agent_and_to_the_model_alone(inspector: Inspector) -> None:
    plan, verdict = ("category: hex nut\nfacts: scratch", None), ("False. Nothing stands out [E1].", 0.4)
    vlm = scripted(plan, plan, ("", 0.4), verdict, ("A", 0.5), ("A", 0.5), ("True. So it is.", 0.5))
    alone = Inspector(vlm, inspector.encoder, inspector.facts, inspector.home, inspector.weights)
    gathered, options = alone.gather(plate(True), reference=plate(False)), {"A": "Flat.", "B": "Bent."}
    # The script's first tokens are True and False: no letter was about to come.
    assert gathered.choose("How is it?", options) is None
    assert alone.choose_alone(plate(True), "How is it?", options, reference=plate(False)) is None
    assert alone.answer_alone(plate(True), "Is it flat?") == "True. So it is."
    chosen, chosen_alone, answered = (messages[1].content for messages in vlm.chat._asked[4:])
    ending = choice_text("How is it?", options)
    assert chosen[-1]["text"].endswith(ending)
    assert all(fact.text in chosen[-1]["text"] for fact in gathered.facts)
    assert chosen_alone[-1]["text"] == ending
    assert [part["type"] for part in chosen_alone].count("image") == 2
    assert [part["type"] for part in answered].count("image") == 1
    assert vlm.chat._limits[4:] == [1, 1, None]


def test_what_the_agent_does_without_is_not_gathered_either(inspector: Inspector) -> None:
    vlm = scripted(
        ("category: hex nut\nfacts: scratch", None),
        ("category: hex nut", None),
        ("", 0.4),
        ("False. Nothing [E1].", 0.4),
    )
    parts = inspector.encoder, inspector.facts, inspector.home, inspector.weights
    gathered = Inspector(vlm, *parts, without=("facts", "compare")).gather(plate(True), reference=plate(False))
    assert gathered.facts == []
    assert {item.tool for item in gathered.report.evidence}.isdisjoint({"compare"})


def test_support_is_the_share_of_sentences_that_hold(inspector: Inspector) -> None:
    gathered = gather(inspector, plate(True), reference=plate(False))
    assert gathered.support("True. Look at the heat map [E1]. It is bent. It is 987654 px long [E1].") == pytest.approx(
        1 / 3
    )
    assert gathered.support("True. See it [E1].") == 1
    assert gathered.support("True.") is None


def test_a_drawn_reply_follows_its_seed_and_leaves_the_random_state_alone(tiny_model: Path) -> None:
    vlm = load_vlm(str(tiny_model))

    def reply(**settings: float) -> str:
        return str(vlm.ask([plate(True)], Views(), "Is it good?", max_tokens=12, **settings).content)

    before = torch.get_rng_state()
    drawn = [reply(temperature=1.0, seed=seed) for seed in (1, 2, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert drawn[0] == drawn[2]
    assert drawn[0] != drawn[1]
    assert reply() == reply(temperature=0, seed=5)
