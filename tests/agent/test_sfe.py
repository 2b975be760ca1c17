"""Self-guided fact enhancement in the model: what it adds is what a slow, plain reading of the method gives, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.vlm.sfe import FARTHEST, STEPS, FactFusion, Layout, chosen_patches, distinct_patches, distinctness

IMAGE, FACT, CMP, REF, CLOSE = 90, 91, 92, 93, 94


def test_the_planted_patches_are_the_most_distinct() -> None:
    torch.manual_seed(0)
    reference = torch.randn(40, 16)
    test = reference[torch.randperm(40)][:30].clone() + 0.01 * torch.randn(30, 16)
    for place, strength in ((3, 1.0), (17, 3.0)):
        test[place] += strength * torch.randn(16) * 5
    assert set(distinct_patches(test, reference, 2).tolist()) == {3, 17}
    slow = [1 - max(float(torch.cosine_similarity(t, r, dim=0)) for r in reference) for t in test]
    assert torch.allclose(distinctness(test, reference), torch.tensor(slow), atol=1e-5)
    order = distinct_patches(test, reference, 30).tolist()
    assert order == sorted(range(30), key=lambda i: -distinctness(test, reference)[i])


def test_without_a_reference_the_patch_unlike_the_others_is_chosen_and_ties_keep_their_order() -> None:
    test = torch.ones(6, 4)
    assert distinct_patches(test, None, 3).tolist() == [0, 1, 2]
    test[4] = torch.tensor([1.0, -1, 1, -1])
    assert distinct_patches(test, None, 1).tolist() == [4]
    assert torch.equal(distinctness(test, test[:0]), distinctness(test, None))
    assert distinct_patches(test[:2], None, 5).tolist() == [0, 1]


def test_layout_is_read_off_the_tokens() -> None:
    # Two tiles of the test image, an image without a mark, a marked reference of two tiles, another, a close-up, two facts.
    ids = [1, IMAGE, IMAGE, 2, IMAGE, REF, 3, IMAGE, IMAGE, REF, IMAGE, CLOSE, IMAGE, FACT, 5, 6, CMP, 7, FACT, CMP, 8]
    layout = Layout.of(torch.tensor([ids]), IMAGE, FACT, CMP, REF, CLOSE)
    assert layout.patch[0].nonzero().flatten().tolist() == [1, 2, 4, 7, 8, 10, 12]
    assert layout.test[0].nonzero().flatten().tolist() == [1, 2]
    assert layout.reference[0].nonzero().flatten().tolist() == [7, 8, 10]
    assert layout.close_up[0].nonzero().flatten().tolist() == [12]
    assert layout.fact[0].tolist() == [0] * 14 + [1, 1] + [0] * 5
    assert layout.comparison[0].nonzero().flatten().tolist() == [16, 19]
    nothing = Layout.of(torch.tensor([[1, 2, CMP, 3]]), IMAGE, FACT, CMP, REF, CLOSE)
    assert not nothing.test.any()
    assert not nothing.comparison.any()  # it closes what nothing has opened


def test_a_token_is_as_distinct_as_the_most_distinct_of_its_patches_and_close_ups_are_looked_at_whole() -> None:
    torch.manual_seed(0)
    ids = torch.tensor(
        [[IMAGE] * 4 + [REF] + [IMAGE] * 4 + [CLOSE] + [IMAGE] * 4 + [FACT, 5, CMP], [IMAGE] * 4 + [1] * 13]
    )
    seen = torch.randn(16, 3, 8)  # 3 of the encoder's patches a token
    seen[4:8] = seen[:4]  # the reference shows the same
    seen[2, 1] = -10 * seen[2, 1]  # but for one patch
    layout = Layout.of(ids, IMAGE, FACT, CMP, REF, CLOSE)
    embedded = torch.arange(17.0).expand(2, 17).unsqueeze(-1)
    patches = chosen_patches(embedded, seen, layout, 1)
    assert patches.places.tolist() == [[2, 10, 11, 12, 13], [int(patches.places[1, 0]), 0, 0, 0, 0]]
    assert patches.features[0, :, 0].tolist() == [2, 10, 11, 12, 13]
    assert patches.there.tolist() == [[True] * 5, [True] + [False] * 4]
    assert patches.distinctness[0, 0] > 0.2
    assert patches.distinctness[0, 1:].tolist() == [patches.distinctness[0, 0]] * 4
    # Beams repeat every row, images and all, while the encoder's features come once.
    twice = Layout.of(ids.repeat_interleave(2, 0), IMAGE, FACT, CMP, REF, CLOSE)
    repeated = chosen_patches(embedded.repeat_interleave(2, 0), seen, twice, 1)
    assert torch.equal(repeated.places, patches.places.repeat_interleave(2, 0))


@pytest.fixture(scope="module")
def wrapped(tiny_internvl: Path) -> Any:
    from agent.vlm import SageForConditionalGeneration

    return SageForConditionalGeneration.from_internvl(tiny_internvl, distinct_patches=3, fusion_heads=2).eval()


def wake(model: Any) -> Any:
    """Give the fusion's output layer weights, as training does."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in model.model.language_model.parameters():
            weights.mul_(8 if weights.ndim > 1 else 1)  # a fresh language model hardly looks at what it reads
        model.model.fact_fusion.out.weight.normal_(0, 2)
        model.model.fact_fusion.out.bias.normal_(0, 1)
    return model


@pytest.fixture
def awake(tiny_internvl: Path) -> Any:
    from agent.vlm import SageForConditionalGeneration

    return wake(SageForConditionalGeneration.from_internvl(tiny_internvl, distinct_patches=3, fusion_heads=2).eval())


def prompts(model: Any, seed: int = 0) -> list[tuple[list[int], Tensor]]:
    """Tokens and pictures: with a reference and two facts; with a tiled test image, two references, a close-up and one fact;
    without a reference; without a fact; with an empty fact."""
    c, words = model.config, iter(range(100, 400))
    image = [c.image_token_id] * c.image_seq_length
    ref, fact, mark = [c.reference_token_id], [c.fact_token_id], [c.comparison_token_id]
    close = [c.close_up_token_id]

    def said(n: int) -> list[int]:
        return [next(words) for _ in range(n)]

    made = [
        (said(2) + image + ref + image + fact + said(3) + mark + said(1) + fact + said(2) + mark + said(3), 2),
        (
            said(1) + image * 2 + ref + image + said(1) + ref + image + close + image + fact + said(4) + mark + said(2),
            5,
        ),
        (said(1) + image + fact + said(2) + mark + fact + said(3) + mark + fact + said(1) + mark + said(2), 1),
        (said(2) + image + ref + image + said(4), 2),
        (said(2) + image + ref + image + fact + mark + said(1), 2),
    ]
    torch.manual_seed(seed)
    return [(ids, torch.randn(pictures, 3, 56, 56)) for ids, pictures in made]


def batched(model: Any, rows: Sequence[tuple[list[int], Tensor]]) -> dict[str, Tensor]:
    """Padded on the left, as for generation."""
    longest, pad = max(len(ids) for ids, _ in rows), model.config.text_config.pad_token_id
    return {
        "input_ids": torch.tensor([[pad] * (longest - len(ids)) + ids for ids, _ in rows]),
        "attention_mask": torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids, _ in rows]),
        "pixel_values": torch.cat([pictures for _, pictures in rows]),
    }


def slowly(model: Any, row: tuple[list[int], Tensor]) -> dict[int, Tensor]:
    """The comparison embedding at each closing mark, written out step by step."""
    ids, pictures = row
    c, fusion, embedded = model.config, model.model.fact_fusion, embedded_of(model, row)
    images: list[tuple[str, list[int]]] = []
    facts: list[tuple[list[int], int]] = []
    kind, words = "", None
    for i, token in enumerate(ids):
        if token == c.image_token_id:
            if i == 0 or ids[i - 1] != token:
                images.append((kind or ("other" if images else "test"), []))
                kind = ""
            images[-1][1].append(i)
        elif token == c.reference_token_id:
            kind = "reference"
        elif token == c.close_up_token_id:
            kind = "close-up"
        elif token == c.fact_token_id:
            words = []
        elif token == c.comparison_token_id and words is not None:
            facts.append((words, i))
            words = None
        elif words is not None:
            words.append(i)

    # What the encoder saw at each image token: a square of its patches, behind the class token.
    hidden = model.model.vision_tower(pictures).last_hidden_state[:, 1:]
    side, step = round(hidden.shape[1] ** 0.5), round(1 / c.downsample_ratio)
    squares = []
    for picture in hidden.reshape(len(pictures), side, side, -1):
        for y in range(0, side, step):
            for x in range(0, side, step):
                squares.append(picture[y : y + step, x : x + step].flatten(0, 1))
    seen = dict(zip([i for _, places in images for i in places], squares, strict=True))

    def cosine(one: Tensor, other: Tensor) -> float:
        return float(torch.cosine_similarity(one, other, dim=0))

    test = [i for name, places in images if name == "test" for i in places]
    others = [patch for name, places in images if name == "reference" for i in places for patch in seen[i]]
    distinct = {}
    for i in test:
        if others:
            distinct[i] = max(1 - max(cosine(patch, other) for other in others) for patch in seen[i])
        else:
            all_own = [patch for j in test for patch in seen[j]]
            distinct[i] = max(
                1 - (sum(cosine(patch, other) for other in all_own) - cosine(patch, patch)) / (len(all_own) - 1)
                for patch in seen[i]
            )
    best = sorted(test, key=lambda i: (-round(distinct[i], 6), i))[: c.distinct_patches]
    close_up = [i for name, places in images if name == "close-up" for i in places]
    strengths = torch.tensor([distinct[i] for i in best] + [distinct[best[0]] for _ in close_up])
    patches = fusion.patch_norm(embedded[best + close_up])
    keys, values = fusion.key(patches), fusion.value(patches)
    size = embedded.shape[-1] // fusion.heads
    found = {}
    for words_at, mark in facts:
        mean = embedded[words_at].mean(0) if words_at else torch.zeros_like(embedded[0])
        query = fusion.query(fusion.fact_norm(mean))
        heads = []
        for h in range(fusion.heads):
            part = slice(h * size, (h + 1) * size)
            weights = torch.softmax(keys[:, part] @ query[part] / size**0.5 + fusion.sharpness[h] * strengths, 0)
            heads.append(weights @ values[:, part] / embedded.shape[-1] ** 0.5)
            strength = float(weights @ strengths)
            steps = [FARTHEST * i / (STEPS - 1) for i in range(STEPS)]
            spread = torch.tensor([max(0.0, 1 - abs(strength - at) / steps[1]) for at in steps])
            heads += [spread, torch.zeros(STEPS)] if others else [torch.zeros(STEPS), spread]
        found[mark] = fusion.out(torch.cat(heads))
    return found


def embedded_of(model: Any, row: tuple[list[int], Tensor]) -> Tensor:
    ids, pictures = row
    words = model.get_input_embeddings()(torch.tensor(ids))
    features = model.get_image_features(pictures, return_dict=True).pooler_output.flatten(0, 1)
    return words.masked_scatter((torch.tensor(ids) == model.config.image_token_id)[:, None], features)


def seen_of(model: Any, row: tuple[list[int], Tensor]) -> Tensor:
    return model.model.patches_seen(model.model.vision_tower(row[1]).last_hidden_state)


@torch.no_grad()
def test_comparison_embeddings_are_those_of_the_method(awake: Any) -> None:
    for row in prompts(awake):
        embedded = embedded_of(awake, row)
        got = awake.model.with_comparisons(torch.tensor([row[0]]), embedded[None], seen_of(awake, row))[0] - embedded
        expected = torch.zeros_like(embedded)
        for place, compared in slowly(awake, row).items():
            expected[place] = compared
        assert torch.allclose(got, expected, atol=1e-5)


@torch.no_grad()
def test_a_batch_of_mixed_prompts_equals_one_by_one(awake: Any) -> None:
    rows = prompts(awake)
    together = awake(**batched(awake, rows)).logits
    for row, logits in zip(rows, together, strict=True):
        alone = awake(**batched(awake, [row])).logits[0]
        assert torch.allclose(logits[-len(row[0]) :], alone, atol=1e-5)


@torch.no_grad()
def test_wrapping_changes_no_logit(wrapped: Any, tiny_internvl: Path) -> None:
    from transformers import InternVLForConditionalGeneration

    assert wrapped.model.fact_fusion.out.weight.abs().sum() == 0
    assert wrapped.model.fact_fusion.sharpness.tolist() == [0, 12]
    plain = InternVLForConditionalGeneration.from_pretrained(tiny_internvl).eval()
    old = plain.get_input_embeddings().num_embeddings
    plain.resize_token_embeddings(wrapped.get_input_embeddings().num_embeddings, mean_resizing=False)
    plain.get_input_embeddings().weight[old:] = wrapped.get_input_embeddings().weight[old:]
    for row in prompts(wrapped):
        inputs = batched(wrapped, [row])
        assert torch.equal(wrapped(**inputs).logits, plain(**inputs).logits)


@torch.no_grad()
def test_generation_is_the_same_however_it_is_run_and_the_fusion_takes_part_in_it(awake: Any) -> None:
    rows = prompts(awake)[:3]
    inputs = batched(awake, rows)

    def text(model: Any, given: dict[str, Tensor], **how: Any) -> list[list[int]]:
        out = model.generate(**given, max_new_tokens=8, do_sample=False, eos_token_id=-1, **how)
        return [row[given["input_ids"].shape[1] :].tolist() for row in out]

    cached = text(awake, inputs)
    assert text(awake, inputs, use_cache=False) == cached
    assert text(awake, inputs, cache_implementation="static") == cached
    assert [text(awake, batched(awake, [row]))[0] for row in rows] == cached
    beams = text(awake, inputs, num_beams=3)
    assert [text(awake, batched(awake, [row]), num_beams=3)[0] for row in rows] == beams
    awake.model.fact_fusion.out.weight.zero_()
    awake.model.fact_fusion.out.bias.zero_()
    assert text(awake, inputs) != cached


def test_gradients_reach_the_fusion_and_no_word_through_the_facts(awake: Any) -> None:
    awake.requires_grad_(False)
    awake.model.fact_fusion.requires_grad_(True)
    row = prompts(awake)[0]
    awake(**batched(awake, [row]), labels=torch.tensor([row[0]])).loss.backward()
    with_gradient = {name for name, p in awake.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    # The key's bias shifts all scores of a query alike, which softmax does not see.
    fusion = {f"model.fact_fusion.{name}" for name, _ in awake.model.fact_fusion.named_parameters()}
    assert with_gradient >= fusion - {"model.fact_fusion.key.bias"}
    assert with_gradient <= fusion
    embedded = embedded_of(awake, row).detach().requires_grad_()
    ids = torch.tensor([row[0]])
    (awake.model.with_comparisons(ids, embedded[None], seen_of(awake, row))[0] - embedded).sum().backward()
    assert embedded.grad is not None
    touched = embedded.grad.abs().sum(-1).nonzero().flatten().tolist()
    names = ("image", "fact", "comparison", "reference", "close_up")
    layout = Layout.of(ids, *(getattr(awake.config, f"{name}_token_id") for name in names))
    assert set(touched) <= set(layout.test[0].nonzero().flatten().tolist())
    assert len(touched) == awake.config.distinct_patches


@torch.no_grad()
def test_weights_and_settings_survive_saving(awake: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText

    awake.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    assert again.config.distinct_patches == 3
    state = awake.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())
    inputs = batched(awake, prompts(awake))
    assert torch.equal(again(**inputs).logits, awake(**inputs).logits)


@torch.no_grad()
def test_half_precision_checkpointing_and_a_model_without_fusion(awake: Any, tiny_model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText

    plain = AutoModelForImageTextToText.from_pretrained(tiny_model)
    plain.without_fusion()
    plain.save_pretrained(tmp_path)
    assert not hasattr(AutoModelForImageTextToText.from_pretrained(tmp_path).model, "fact_fusion")
    inputs = batched(awake, prompts(awake))
    full = awake(**inputs).logits
    half = awake.to(torch.bfloat16)(**inputs).logits
    assert half.dtype == torch.bfloat16
    assert torch.corrcoef(torch.stack([half.float().flatten(), full.flatten()]))[0, 1] > 0.99
    awake.float().train()
    awake.activation_checkpointing_enable()
    with torch.enable_grad():
        row = prompts(awake)[0]
        awake(**batched(awake, [row]), labels=torch.tensor([row[0]])).loss.backward()
    assert awake.model.fact_fusion.out.weight.grad is not None


def test_a_row_without_patches_gets_the_bias_alone() -> None:
    torch.manual_seed(0)
    fusion = FactFusion(8, 2)
    torch.nn.init.normal_(fusion.out.weight)
    there = torch.tensor([[True, False], [False, False]])
    compared = (torch.randn(2, 3, 8), torch.randn(2, 2, 8), torch.rand(2, 2), there)
    out = fusion(*compared, torch.tensor([True, False]))
    assert torch.allclose(out[1], fusion.out.bias.expand(3, 8))
    assert not torch.isnan(out).any()
    attention = fusion.attention(*compared)
    assert attention.shape == (2, 3, 2)
    assert torch.allclose(attention.sum(-1), torch.ones(2, 3))
    assert attention[0, :, 1].tolist() == [0, 0, 0]


def test_the_processor_marks_facts_and_references(tiny_model: Path) -> None:
    from PIL import Image
    from transformers import AutoProcessor

    from agent.vlm.prompt import NumberedFact, question_text
    from agent.vlm.sfe import CLOSE_UP, COMPARISON, FACT, MARKS, REFERENCE, with_marks

    processor = AutoProcessor.from_pretrained(tiny_model)
    facts = [NumberedFact("F1", "defect", "scratch", "A fine line."), NumberedFact("F2", "object", None, "A plate.")]
    text = question_text("Is it fine? [F1] it says", facts, [("E1", "The heat map is low.")])
    content = [
        {"type": "text", "text": "Test image:"}, {"type": "image"}, {"type": "text", "text": "Reference:"}, {"type": "image"},
        {"type": "text", "text": "Close-up:"}, {"type": "image"}, {"type": "text", "text": text},
    ]  # fmt: skip
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
    pictures = [Image.new("RGB", (64, 64), (i * 90,) * 3) for i in range(3)]
    marked = processor.marked(prompt)
    assert f"{FACT}[F1] scratch defect: A fine line.{COMPARISON}\n{FACT}[F2] object: A plate.{COMPARISON}\n" in marked
    assert f"{FACT}Question: Is it fine? [F1] it says{COMPARISON}" in marked
    assert marked.count(FACT) == marked.count(COMPARISON) == 3
    assert f"{REFERENCE}Reference:{processor.image_token}" in marked
    assert f"{CLOSE_UP}Close-up:{processor.image_token}" in marked
    assert marked.count(REFERENCE) == marked.count(CLOSE_UP) == 1
    assert processor.marked(marked) == marked
    bare = marked
    for mark in MARKS:
        bare = bare.replace(mark, "")
    assert bare == prompt
    with_marks(processor.tokenizer)
    ids = processor(images=pictures, text=[prompt])["input_ids"][0]
    vocab = processor.tokenizer.get_vocab()
    names = ("<IMG_CONTEXT>", FACT, COMPARISON, REFERENCE, CLOSE_UP)
    layout = Layout.of(torch.tensor([ids]), *(vocab[name] for name in names))
    for part in (layout.test, layout.reference, layout.close_up):
        assert int(part.sum()) == processor.image_seq_length
    assert int(layout.comparison.sum()) == 3


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_trl_trains_every_part_but_the_eye(tiny_internvl: Path, tmp_path: Path) -> None:
    """Ten steps of the real trainer on rows with pictures and facts: no override of trainer or collator is needed."""
    pytest.importorskip("trl")
    from datasets import Dataset
    from PIL import Image
    from trl import SFTConfig, SFTTrainer

    from agent.vlm import SageForConditionalGeneration, SageProcessor

    model = SageForConditionalGeneration.from_internvl(tiny_internvl, distinct_patches=3, fusion_heads=2)
    model.model.vision_tower.requires_grad_(False)
    processor = SageProcessor.from_internvl(tiny_internvl)
    torch.manual_seed(0)
    text = "Facts:\n<data>\n[F1] scratch defect: A fine line.\n</data>\nQuestion: Does it have a defect?"
    ask = [
        {"type": "text", "text": "Test image:"}, {"type": "image"}, {"type": "text", "text": "Reference:"}, {"type": "image"},
        {"type": "text", "text": text},
    ]  # fmt: skip
    rows = [
        {
            "prompt": [{"role": "user", "content": ask}],
            "completion": [
                {"role": "assistant", "content": [{"type": "text", "text": f"{i % 2 == 0}. It is so [F1]."}]}
            ],
            "images": [Image.effect_noise((56, 56), 60 + 20 * (i % 2)).convert("RGB") for _ in range(2)],
        }
        for i in range(4)
    ]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    arguments = SFTConfig(
        output_dir=str(tmp_path), max_steps=10, per_device_train_batch_size=2, learning_rate=1e-2, use_cpu=True, bf16=False,
        report_to="none", max_length=None, disable_tqdm=True, save_strategy="no", remove_unused_columns=False,
        gradient_checkpointing=False, dataloader_pin_memory=False,
    )  # fmt: skip
    SFTTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=processor).train()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    parts_changed = {".".join(name.split(".")[:2]) for name in changed}
    assert parts_changed == {
        "model.fact_fusion",
        "model.language_model",
        "model.multi_modal_projector",
        "lm_head.weight",
    }
    assert {n for n in before if "fact_fusion" in n} - changed <= {"model.fact_fusion.key.bias"}
