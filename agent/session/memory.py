"""What the agent remembers of a session for later ones: how the part looked, and what was decided of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.findings import UNCLASSIFIED
from agent.session.files import SessionInfo
from agent.setup import Setup
from knowledge.cases import CaseStore, PastCase
from tools.detector import PatchEncoder
from tools.similar import embed_photo


def remember(
    cases: CaseStore, encoder: PatchEncoder, info: SessionInfo, setup: Setup, values: Mapping[str, Any]
) -> None:
    """Keep the part, and its references as normal ones, among past cases; what was kept before of this session is replaced.

    Args:
        cases: takes them.
        encoder: how they look.
        info: of the session.
        setup: its photos.
        values: the state, with a verdict.

    Raises:
        knowledge.StoreError: they cannot be kept.
    """
    corrections = values.get("corrections") or []
    by_person = bool(values.get("accepted")) or any(c.verdict or c.defect_type or c.box for c in corrections)
    kinds = [f.defect_type for f in values["findings"] if f.defect_type != UNCLASSIFIED]
    category = info.category or values.get("category")
    part = PastCase(
        id=info.id,
        kind="inspection",
        created=info.created,
        category=category,
        verdict=values["verdict"],
        defect_types=kinds[:20],
        decided_by="person" if by_person else "agent",
        note=corrections[-1].why if corrections else "",
        sha256=info.image.sha256,
    )
    seen = [(part, setup.photo)]
    for reference in setup.references:
        good = PastCase(
            id=f"reference-{reference.id}",
            kind="reference",
            created=info.created,
            category=category,
            verdict="normal",
            decided_by="person",
            sha256=reference.sha256,
        )
        seen.append((good, reference))
    cases.add_all((case, embed_photo(encoder, photo.pixels)) for case, photo in seen)
