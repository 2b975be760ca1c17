"""Self-Guided Fact Enhancement inside the model: which patches differ, and what each fact has to say about them.

Source: Zang et al., ACM Multimedia 2025, section 3. Everything is derived from the prompt's tokens and the image features
that stand in it, so that generation, batching, trainers and adapters work on such a model as on any other:

    <|reference|> ... image        an image that stands behind this mark is a normal reference
    <|fact|> words ... <|cmp|>     a fact; its comparison embedding is added at its closing mark
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence

FACT, COMPARISON, REFERENCE = "<|fact|>", "<|cmp|>", "<|reference|>"
MARKS = (FACT, COMPARISON, REFERENCE)


def distinctness(test: Tensor, reference: Tensor | None) -> Tensor:
    """How little each test patch resembles the reference: 1 minus its highest cosine to any patch there (section 3.2).

    Without a reference: 1 minus its mean cosine to the other patches of its own image.

    Args:
        test: (N, d).
        reference: (M, d), of one or several references; None or M = 0: there is none.

    Returns:
        (N,), 0 to 2.
    """
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


class FactFusion(nn.Module):
    """Cross-attention from facts to the distinct patches; gives one comparison embedding a fact (section 3.3).

    Queries are the facts, keys and values the patches' features. The output layer is a `ZeroLinear`.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.fact_norm, self.patch_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = ZeroLinear(width, width)

    def forward(self, facts: Tensor, patches: Tensor, there: Tensor) -> Tensor:
        """Comparison embeddings.

        Args:
            facts: (B, L, d), padded.
            patches: (B, k, d), padded.
            there: (B, k), True where a patch is; a row without any gives zeros before the output layer.

        Returns:
            (B, L, d).
        """
        seen = self.patch_norm(patches)
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, self.fact_norm(facts)), (self.key, seen), (self.value, seen))
        )
        # A row without a patch would be a softmax over nothing: it looks at the padding, and its result is dropped.
        mask = (there | ~there.any(-1, keepdim=True))[:, None, None]
        mixed = scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
        compared: Tensor = self.out(mixed * there.any(-1)[:, None, None])
        return compared


@dataclass(frozen=True)
class Layout:
    """Where facts and images stand in a batch of prompts; all (B, T)."""

    test: Tensor
    """bool: patches of the first image."""
    reference: Tensor
    """bool: patches of images marked as references."""
    fact: Tensor
    """int: number of the fact that a word belongs to, from 1; 0 for words of none."""
    comparison: Tensor
    """bool: closing marks of facts."""

    @classmethod
    def of(cls, input_ids: Tensor, image: int, fact: int, comparison: int, reference: int) -> Layout:
        """Read it off the tokens.

        Args:
            input_ids: (B, T).
            image: id of the tokens that image features stand at; neighbouring ones are tiles of one image.
            fact: id of the mark that opens a fact.
            comparison: id of the mark that closes it.
            reference: id of the mark in front of a reference image.
        """
        patch = input_ids == image
        starts = patch & ~patch.roll(1, 1).index_fill(1, torch.zeros(1, dtype=torch.long, device=patch.device), False)
        number = starts.cumsum(1) * patch  # of the image, from 1
        marks = (input_ids == reference).cumsum(1)
        # Marks in front of each image; an image is a reference where one came since the image before it.
        before = torch.zeros(len(input_ids), int(number.max()) + 1, dtype=marks.dtype, device=marks.device)
        before = before.scatter_reduce(1, number, marks * patch, "amax")
        marked = torch.cat([before[:, :1] > 0, before[:, 1:] > before[:, :-1].cummax(1).values], 1)
        is_reference = marked.gather(1, number) & patch
        opened, closed = (input_ids == fact).cumsum(1), (input_ids == comparison).cumsum(1)
        closing = (input_ids == comparison) & (opened >= closed)
        inside = (opened > closed) & (input_ids != fact) & ~patch
        return cls((number == 1) & ~is_reference, is_reference, opened * inside, closing)


def fact_embeddings(embedded: Tensor, layout: Layout) -> Tensor:
    """Mean of the word embeddings of each fact, (B, L, d), L the most facts of a prompt; zeros for one without words.

    Args:
        embedded: (B, T, d).
        layout: of the same prompts.
    """
    fact, most = layout.fact, int(torch.maximum(layout.fact.amax(), layout.comparison.sum(1).amax()))
    total = embedded.new_zeros(len(embedded), most + 1, embedded.shape[-1])
    total = total.index_put((torch.arange(len(fact), device=fact.device)[:, None], fact), embedded, accumulate=True)
    words = torch.zeros(len(fact), most + 1, device=fact.device, dtype=embedded.dtype)
    words = words.scatter_add(1, fact, torch.ones_like(fact, dtype=embedded.dtype))
    return (total / words.clamp(min=1).unsqueeze(-1))[:, 1:]


def chosen_patches(embedded: Tensor, layout: Layout, k: int) -> tuple[Tensor, Tensor]:
    """Features of the most distinct test patches, (B, k', d), padded, and where they are, (B, k') bool."""
    found = []
    for row, test, reference in zip(embedded, layout.test, layout.reference, strict=True):
        own = row[test]
        with torch.no_grad():
            best = distinct_patches(own, row[reference], k)
        found.append(own[best])
    there = pad_sequence(
        [torch.ones(len(p), dtype=torch.bool, device=embedded.device) for p in found], batch_first=True
    )
    return pad_sequence(found, batch_first=True), there
