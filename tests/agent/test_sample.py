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
from agent.vlm.prompt import VERDICT_QUESTION, Views


@pytest.fixture(scope="module")
def inspector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspector]:
    made = Inspector.load(home=tmp_path_factory.mktemp("home"))
    yield made
    made.facts.close()


def test_another_question_is_asked_as_the_agent_would_ask_it(inspector: Inspector) -> None:
    plan, verdict = ("category: hex nut\nfacts: scratch", None), ("False. Nothing stands out [E1].", 0.4)
    asked_of_old = scripted(plan, plan, verdict, ("True. It is flat [E1].", 0.5))
    asked_of_new = scripted(plan, plan, verdict, ("True. It is flat [E1].", 0.5))
    question = "Is it flat?"
    parts = inspector.encoder, inspector.facts, inspector.home, inspector.weights
    Inspector(asked_of_old, *parts).inspect(plate(True), reference=plate(False), question=question)
    gathered = gather(Inspector(asked_of_new, *parts), plate(True), reference=plate(False))
    assert gathered.answer(question, temperature=0.5, seed=3) == "True. It is flat [E1]."
    old, new = asked_of_old.chat._asked, asked_of_new.chat._asked
    assert [m.content for m in new[3]] == [m.content for m in old[3]]
    assert VERDICT_QUESTION in new[2][1].content[-1]["text"]
    assert VERDICT_QUESTION not in new[3][1].content[-1]["text"]
    text = new[3][1].content[-1]["text"]
    assert all(f"[F{i}]" in text and fact.text in text for i, fact in enumerate(gathered.facts, 1))
    assert all(f"[E{i}] {summary}" in text for i, summary in enumerate(gathered.evidence, 1))


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
