"""Self-Guided Fact Enhancement inside the model: which patches differ, and what each fact has to say about them.

Source: Zang et al., ACM Multimedia 2025, section 3. Everything is derived from the prompt's tokens and the image features
that stand in it, so that generation, batching, trainers and adapters work on such a model as on any other:

    <|reference|> ... image        an image that stands behind this mark is a normal reference
    <|close-up|> ... image         shows the place of the test image that a heat map points at
    <|fact|> words ... <|cmp|>     a fact, or a question; its comparison embedding is added at its closing mark
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence

FACT, COMPARISON, REFERENCE, CLOSE_UP = "<|fact|>", "<|cmp|>", "<|reference|>", "<|close-up|>"
MARKS = (FACT, COMPARISON, REFERENCE, CLOSE_UP)
STEPS, FARTHEST = 16, 1.2
"""Over how many steps, from 0 to what, a fusion spreads how distinct the patches are that it attends to."""

SHARPEST = 12.0


def with_marks(tokenizer: Any) -> Any:
    """The tokenizer of transformers with the marks as special tokens, each one id; the same where it has them."""
    tokenizer.add_special_tokens({"additional_special_tokens": list(MARKS)}, replace_extra_special_tokens=False)
    return tokenizer


def distinctness(test: Tensor, reference: Tensor | None) -> Tensor:
    """How little each test patch resembles the reference: 1 minus its highest cosine to any patch there (section 3.2).

    Without a reference: 1 minus its mean cosine to the other patches of its own image.

    Args:
        test: (N, d).
        reference: (M, d), of one or several references; None or M = 0: there is none.

    Returns:
        (N,), 0 to 2.
    """
    with torch.autocast(test.device.type, enabled=False):  # half precision would blur what differs little
        unit = normalize(test.float(), dim=-1)
        if reference is not None and len(reference):
            return 1 - (unit @ normalize(reference.float(), dim=-1).T).amax(-1)
        own = unit @ unit.T
        return 1 - (own.sum(-1) - own.diagonal()) / max(1, len(test) - 1)


def distinct_patches(test: Tensor, reference: Tensor | None, k: int) -> Tensor:
    """Indices of the `k` test patches that are least like the reference, most distinct first; ties in image order.

    Args:
        test: (N, d).
        reference: (M, d), or None; see `distinctness`.
        k: how many; all N where there are fewer.
    """
    return torch.sort(distinctness(test, reference), descending=True, stable=True).indices[:k]


class ZeroLinear(nn.Linear):
    """A linear layer that begins as zero, so that what it is added to begins unchanged."""


def sharpnesses(heads: int) -> Tensor:
    """How strongly each head of a fresh fusion is drawn to what is distinct: from not at all to the most distinct alone."""
    return torch.linspace(0, SHARPEST, heads)


class FactFusion(nn.Module):
    """Cross-attention from facts to patches; gives one comparison embedding a fact (section 3.3).

    Queries are the facts; keys and values the patches' features. Each head is drawn to what is distinct by a strength of its own,
    and hands on, beside what a fact finds, how distinct that was, spread over steps: features tell what is there, and only the
    comparison tells that it should not be, which as one number among many is drowned by them. For the same reason what was found
    comes as long as a step is, whatever the width. How far a patch is from a reference, and from the rest of its own photo where
    there is none, are two quantities with other usual values: each has steps of its own. The output layer is a `ZeroLinear`.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"fusion_heads={heads!r}: does not divide the language model's width, {width}")
        self.heads = heads
        self.fact_norm, self.patch_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.sharpness = nn.Parameter(sharpnesses(heads))
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = ZeroLinear(width + heads * 2 * STEPS, width)

    # Plain tensors, which hooks that spread a model over devices move along.
    def forward(
        self, facts: Tensor, features: Tensor, distinctness: Tensor, there: Tensor, referenced: Tensor
    ) -> Tensor:
        """Comparison embeddings, (B, L, d).

        Args:
            facts: (B, L, d), padded.
            features: (B, k, d) of the patches; this and the next three as in `Patches`.
            distinctness: (B, k).
            there: (B, k); a row without any patch gives zeros before the output layer.
            referenced: (B,).
        """
        seen = self.patch_norm(features)
        values = self._heads(self.value(seen))
        strength = distinctness.to(seen.dtype)[:, None, :, None].expand(-1, self.heads, -1, 1)
        mixed = scaled_dot_product_attention(
            *self._queries_and_keys(facts, seen),
            torch.cat([values, strength], -1),
            attn_mask=self._bias(distinctness, there).to(seen.dtype),
        )
        found, strength = mixed[..., :-1], mixed[..., -1:]
        steps = torch.linspace(0, FARTHEST, STEPS, device=strength.device, dtype=strength.dtype)
        spread = (1 - (strength - steps).abs() * (STEPS - 1) / FARTHEST).clamp(min=0)
        against = referenced[:, None, None, None]
        heads = torch.cat([found * features.shape[-1] ** -0.5, spread * against, spread * ~against], -1)
        heads = heads.transpose(1, 2).flatten(2)
        compared: Tensor = self.out(heads * there.any(-1)[:, None, None])
        return compared

    def attention(self, facts: Tensor, features: Tensor, distinctness: Tensor, there: Tensor) -> Tensor:
        """How much each fact attends to each patch, mean of the heads: (B, L, k), rows summing to 1. Arguments as above."""
        q, k = self._queries_and_keys(facts, self.patch_norm(features))
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        weights: Tensor = (scores + self._bias(distinctness, there)).softmax(-1)
        return weights.mean(1)

    def _queries_and_keys(self, facts: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        return self._heads(self.query(self.fact_norm(facts))), self._heads(self.key(seen))

    def _heads(self, x: Tensor) -> Tensor:
        heads: Tensor = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return heads

    def _bias(self, distinctness: Tensor, there: Tensor) -> Tensor:
        """What is added to the attention's scores, (B, heads, 1, k)."""
        drawn = self.sharpness[:, None] * distinctness[:, None].to(self.sharpness.dtype)
        # A row without a patch would be a softmax over nothing: it looks at the padding, and its result is dropped.
        looked_at = there | ~there.any(-1, keepdim=True)
        return drawn.masked_fill(~looked_at[:, None], -torch.inf).unsqueeze(2)


@dataclass(frozen=True)
class Patches:
    """The patches that facts are held against, in a batch; padded."""

    features: Tensor
    """(B, k, d), as the language model reads them."""
    distinctness: Tensor
    """(B, k): of the most distinct patches of the test image. A close-up's patches, at another scale than the reference's, count
    as the most distinct of them: a heat map points there."""
    there: Tensor
    """(B, k) bool: not padding."""
    places: Tensor
    """(B, k): at which token of the prompt each stands."""
    referenced: Tensor
    """(B,) bool: there was a reference to hold them against."""


@dataclass(frozen=True)
class Layout:
    """Where facts and images stand in a batch of prompts; all (B, T)."""

    patch: Tensor
    """bool: patches of any image."""
    test: Tensor
    """bool: patches of the first image."""
    reference: Tensor
    """bool: patches of images marked as references."""
    close_up: Tensor
    """bool: patches of images marked as close-ups."""
    fact: Tensor
    """int: number of the fact that a word belongs to, from 1; 0 for words of none."""
    comparison: Tensor
    """bool: closing marks of facts."""

    @classmethod
    def of(cls, input_ids: Tensor, image: int, fact: int, comparison: int, reference: int, close_up: int) -> Layout:
        """Read it off the tokens.

        Args:
            input_ids: (B, T).
            image: id of the tokens that image features stand at; neighbouring ones are tiles of one image.
            fact: id of the mark that opens a fact.
            comparison: id of the mark that closes it.
            reference: id of the mark in front of a reference image.
            close_up: id of the mark in front of a close-up.
        """
        patch = input_ids == image
        starts = patch & ~patch.roll(1, 1).index_fill(1, torch.zeros(1, dtype=torch.long, device=patch.device), False)
        number = starts.cumsum(1) * patch  # of the image, from 1
        is_reference, is_close_up = (_behind(input_ids == mark, patch, number) for mark in (reference, close_up))
        opened, closed = (input_ids == fact).cumsum(1), (input_ids == comparison).cumsum(1)
        closing = (input_ids == comparison) & (opened >= closed)
        inside = (opened > closed) & (input_ids != fact) & ~patch
        is_test = (number == 1) & ~is_reference & ~is_close_up
        return cls(patch, is_test, is_reference, is_close_up, opened * inside, closing)


def _behind(mark: Tensor, patch: Tensor, number: Tensor) -> Tensor:
    """Patches of images in front of which a mark came since the image before them; all (B, T)."""
    marks = mark.cumsum(1)
    before = torch.zeros(len(mark), int(number.max()) + 1, dtype=marks.dtype, device=marks.device)
    before = before.scatter_reduce(1, number, marks * patch, "amax")
    marked = torch.cat([before[:, :1] > 0, before[:, 1:] > before[:, :-1].cummax(1).values], 1)
    return marked.gather(1, number) & patch


def fact_embeddings(embedded: Tensor, layout: Layout) -> Tensor:
    """Mean of the word embeddings of each fact, (B, L, d), L the most facts of a prompt; zeros for one without words.

    Args:
        embedded: (B, T, d).
        layout: of the same prompts.
    """
    fact, most = layout.fact, int(torch.maximum(layout.fact.amax(), layout.comparison.sum(1).amax()))
    # Summed in full precision: a long text in bfloat16 would lose most of its words.
    total = torch.zeros(len(embedded), most + 1, embedded.shape[-1], device=fact.device)
    rows = torch.arange(len(fact), device=fact.device)[:, None]
    total = total.index_put((rows, fact), embedded.float(), accumulate=True)
    words = torch.zeros(len(fact), most + 1, device=fact.device)
    words = words.scatter_add(1, fact, torch.ones_like(fact, dtype=torch.float32))
    return (total / words.clamp(min=1).unsqueeze(-1))[:, 1:].to(embedded.dtype)


def chosen_patches(embedded: Tensor, seen: Tensor, layout: Layout, k: int) -> Patches:
    """The `k` most distinct patches of each test image, and all of its close-ups, which a heat map has chosen.

    What the language model reads as one patch is often several of the vision encoder's: it is as distinct as the most
    distinct of them. The encoder is frozen, so what counts as distinct does not drift while the rest is trained.

    Args:
        embedded: (B, T, d), image features at their places.
        seen: (n, s, c): the encoder's own features of the patches of all images in order, s to one of `embedded`. Of the
            images of every e-th row alone where a batch repeats each row e times, as it does for beams.
        layout: of the prompts.
        k: how many.
    """
    repeats = int(layout.patch.sum()) // max(1, len(seen))
    own = seen.split(layout.patch[::repeats].sum(1).tolist())
    places, strengths, referenced = [], [], []
    for i, patch in enumerate(layout.patch):
        of_encoder, at = own[i // repeats], patch.nonzero().flatten()
        test, reference = (of_encoder[mask[i][patch]] for mask in (layout.test, layout.reference))
        referenced.append(len(reference) > 0)
        with torch.no_grad():
            distinct = distinctness(test.flatten(0, 1), reference.flatten(0, 1)).unflatten(0, test.shape[:2]).amax(1)
        ranked = torch.sort(distinct, descending=True, stable=True)
        best = ranked.indices[:k]
        close_up = at[layout.close_up[i][patch]] if len(test) else at[:0]
        places.append(torch.cat([at[layout.test[i][patch]][best], close_up]))
        strengths.append(torch.cat([ranked.values[:k], ranked.values[:1].expand(len(close_up))]))
    there = pad_sequence([torch.ones_like(at, dtype=torch.bool) for at in places], batch_first=True)
    at = pad_sequence(places, batch_first=True)
    features = embedded.gather(1, at.unsqueeze(-1).expand(-1, -1, embedded.shape[-1]))
    held = torch.tensor(referenced, device=at.device)
    return Patches(features, pad_sequence(strengths, batch_first=True), there, at, held)
