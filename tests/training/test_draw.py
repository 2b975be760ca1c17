"""The drawn world: the same every time, whole for every family, and described as it is drawn."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter

import cv2
import numpy as np
import pytest

from knowledge.facts import shipped_pack
from training.draw.allowed import VARIATIONS
from training.draw.defects import SURFACE_DEFECTS
from training.draw.families import BY_NAME, FAMILIES, Family
from training.draw.faults import PRODUCT_FAULTS
from training.draw.noise import fractal, grid
from training.draw.scene import Case, draw_case
from training.draw.sheet import STRIP, Pair, sheet
from training.draw.splits import HELD_OUT_FAMILIES, HELD_OUT_TYPES, SPLITS
from training.draw.surface import Surface, blank
from training.fact_index import KINDS, FactIndex
from training.text import Writer

SIZE = 96


def fingerprint(case: Case) -> str:
    """Of everything that was drawn and said."""
    digest = hashlib.sha256(case.test.tobytes())
    for reference in case.references:
        digest.update(reference.tobytes())
    digest.update(case.mask.tobytes())
    said = [(d.defect_type, d.box, round(d.severity, 9)) for d in case.defects]
    digest.update(repr((case.family, case.category, case.aligned, said)).encode())
    return digest.hexdigest()


# --- the same every time ---


def test_the_same_seed_draws_the_same_pixels_and_another_seed_others() -> None:
    seeds = [(3, i) for i in range(12)]
    prints = [fingerprint(draw_case(seed, size=SIZE, references=2)) for seed in seeds]
    assert prints == [fingerprint(draw_case(seed, size=SIZE, references=2)) for seed in seeds]
    assert len(set(prints)) == len(prints)


def test_another_process_draws_the_same_pixels() -> None:
    """No hash seed, thread or import order has a part in it: training resumes and evaluation repeats on this."""
    code = (
        "import hashlib\nfrom training.draw.scene import draw_case\n"
        "for i in range(8):\n"
        f"    c = draw_case((5, i), size={SIZE})\n"
        "    print(hashlib.sha256(c.test.tobytes() + c.references[0].tobytes() + c.mask.tobytes()).hexdigest())\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    here = []
    for i in range(8):
        case = draw_case((5, i), size=SIZE)
        here.append(
            hashlib.sha256(case.test.tobytes() + case.references[0].tobytes() + case.mask.tobytes()).hexdigest()
        )
    assert run.stdout.split() == here, run.stderr


def test_drawing_leaves_the_global_generators_alone() -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].tolist()
    draw_case((1, 2), size=SIZE)
    assert np.random.get_state()[1].tolist() == before


def test_the_seed_is_all_of_its_numbers() -> None:
    drawn = [(1,), (1, 0), (0, 1), (1, 1)]
    assert len({fingerprint(draw_case(seed, size=SIZE)) for seed in drawn}) == len(drawn)


def test_no_defect_undoes_or_hides_another() -> None:
    """Each of two defects changes the photo where its mask says, beside the photo without them."""
    two = 0
    for i in range(120):
        case = draw_case((22, i), size=SIZE, anomalous=1.0, references=0, twin=True)
        assert case.twin is not None
        if len(case.defects) == 2:
            two += 1
            gap = np.abs(case.twin.astype(int) - case.test.astype(int)).sum(2)
            assert all(gap[defect.mask].max() > 3 for defect in case.defects), case.defects
    assert two > 3


def test_a_reference_shows_none_of_the_allowed_variations() -> None:
    """Else what is said to differ from it might not."""
    fixed = [draw_case((23, i), size=SIZE, anomalous=0.0, aligned=1.0) for i in range(60)]
    plain = [c for c in fixed if not c.variations]
    shaded = [c for c in fixed if "batch_colour" in c.variations]
    assert plain
    assert shaded
    drift = [[abs(float(c.test.mean()) - float(c.references[0].mean())) for c in group] for group in (plain, shaded)]
    assert np.median(drift[1]) > 1.4 * np.median(drift[0])


def test_the_twin_is_the_test_photo_without_its_defect_and_changes_nothing_else() -> None:
    for i in range(16):
        plain, case = draw_case((19, i), size=SIZE), draw_case((19, i), size=SIZE, twin=True)
        assert plain.twin is None
        assert fingerprint(case) == fingerprint(plain)
        assert case.twin is not None
        assert case.twin.shape == case.test.shape
        gap = np.abs(case.twin.astype(int) - case.test.astype(int)).sum(2)
        if not case.anomalous:
            assert not gap.any()
        else:
            assert gap[case.mask].mean() > 2 * gap[~case.mask].mean()


# --- every family, with and without a defect ---


def check(case: Case, family: Family, references: int, size: int = SIZE) -> None:
    """What holds for every case."""
    assert (case.family, case.category) == (family.name, family.category)
    assert len(case.references) == references
    for photo in (case.test, *case.references):
        assert photo.shape == (size, size, 3)
        assert photo.dtype == np.uint8
        assert photo.flags.c_contiguous
        assert photo.std() > 1, "an empty picture"
    assert case.mask.shape == (size, size)
    assert case.mask.dtype == bool
    assert case.anomalous == bool(case.defects) == bool(case.mask.any())
    for defect in case.defects:
        assert defect.defect_type in family.defect_types
        assert 0 <= defect.severity <= 1
        assert defect.mask.any()
        ys, xs = np.nonzero(defect.mask)
        assert defect.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        assert all(type(v) is int for v in defect.box)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_every_family_draws_normal_photos(family: Family) -> None:
    for seed in range(2):
        case = draw_case((11, seed), size=SIZE, anomalous=0.0, references=2, families=[family])
        check(case, family, 2)
        assert not case.anomalous
        assert not np.array_equal(*case.references)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_every_family_draws_defects(family: Family) -> None:
    for seed in range(6):
        case = draw_case((12, seed), size=SIZE, anomalous=1.0, references=0, families=[family])
        check(case, family, 0)
        assert case.anomalous


@pytest.mark.parametrize("size", [64, 224])
def test_other_sizes(size: int) -> None:
    for seed in range(4):
        case = draw_case((13, seed), size=size)
        check(case, BY_NAME[case.family], 1, size)


def test_the_share_of_anomalous_cases_is_as_asked() -> None:
    share = np.mean([draw_case((14, i), size=48, anomalous=0.3, references=0).anomalous for i in range(150)])
    assert share == pytest.approx(0.3, abs=3 * np.sqrt(0.3 * 0.7 / 150))


def disc(seed: int, size: int = 128) -> Surface:
    """A round product with some texture and relief."""
    rng = np.random.default_rng(seed)
    surface = blank(size, (0.5, 0.45, 0.4), 0.3)
    surface.albedo *= (0.8 + 0.4 * fractal(rng, size, 6, 4))[..., None]
    surface.height += 2 * fractal(rng, size, 10, 3)
    x, y = grid(size)
    surface.alpha = (np.hypot(x, y) < 0.8).astype(np.float32)
    return surface


def change(before: Surface, after: Surface) -> np.ndarray:
    """How much two surfaces differ, (size, size)."""
    paint = np.abs(before.albedo - after.albedo).sum(2)
    return paint + np.abs(before.height - after.height) / 5 + np.abs(before.alpha - after.alpha)


def check_mask(mask: np.ndarray, changed: np.ndarray) -> None:
    """The mask lies where something changed, and most of what changed lies in or next to it."""
    assert mask.shape == changed.shape
    assert np.isfinite(mask).all()
    assert mask.min() >= 0
    assert mask.max() <= 1
    seen = mask > 0.3
    assert seen.any()
    near = cv2.dilate(seen.astype(np.uint8), np.ones((9, 9))) > 0
    assert changed[near].sum() > 0.4 * changed.sum() > 0
    assert (changed[seen] > 0.01).mean() > 0.15


@pytest.mark.parametrize("name", SURFACE_DEFECTS)
@pytest.mark.parametrize("severity", [0.3, 1.0])
def test_the_mask_of_a_surface_defect_is_where_the_surface_changed(name: str, severity: float) -> None:
    """A mask over a surface that is as before would teach that normal is defective."""
    for seed in range(3):
        before = disc(seed)
        after = before.copy()
        mask = SURFACE_DEFECTS[name](after, np.random.default_rng([seed, 1]), severity)
        check_mask(mask, change(before, after))


PRODUCTS = [
    (family.name, name) for family in FAMILIES for name in dict.fromkeys(family.defects) if name in PRODUCT_FAULTS
]


@pytest.mark.parametrize(("family", "name"), PRODUCTS)
def test_the_mask_of_a_product_fault_is_where_the_product_changed(family: str, name: str) -> None:
    applied = 0
    for seed in range(4):
        rng = np.random.default_rng([seed, 2])
        product = BY_NAME[family].make(rng)(rng, 128)
        before = product.flatten()
        made = PRODUCT_FAULTS[name](product, rng, 0.7)
        np.testing.assert_array_equal(product.flatten().albedo, before.albedo)
        if made is not None:
            applied += 1
            faulty, mask = made
            check_mask(mask, change(before, faulty.flatten()))
    assert applied, "it never applies to this product"


def test_severity_uses_its_whole_range() -> None:
    drawn = [draw_case((16, i), size=48, anomalous=1.0, references=0).defects[0].severity for i in range(60)]
    assert min(drawn) < 0.2
    assert max(drawn) > 0.8


# --- names ---


def test_families_have_names_of_their_own_and_defects_that_can_be_drawn() -> None:
    assert [name for name, count in Counter(f.name for f in FAMILIES).items() if count > 1] == []
    for family in FAMILIES:
        assert set(family.defects) <= set(SURFACE_DEFECTS) | set(PRODUCT_FAULTS), family.name
        assert len(family.defect_types) >= 2, family.name


@pytest.mark.parametrize(
    ("family", "drawn", "called"),
    [
        ("solar_cell", "open_circuit", "finger_interruption"),
        ("seam", "open_circuit", "skipped_stitch"),
        ("seam", "misprint", "loose_stitch"),
        ("cast_metal", "pit", "porosity"),
        ("cast_metal", "hole", "blowhole"),
        ("weld_bead", "contamination", "spatter"),
        ("ground_ceramic", "fray", "uneven_surface"),
    ],
)
def test_a_defect_is_called_what_it_is_on_this_product(family: str, drawn: str, called: str) -> None:
    assert drawn in BY_NAME[family].defects
    assert drawn not in BY_NAME[family].defect_types
    assert BY_NAME[family].defect_types.count(called) == 1
    assert "open_circuit" in BY_NAME["bare_board"].defect_types


def test_renamed_defects_are_drawn_under_their_new_name() -> None:
    types = {
        draw_case((17, i), size=48, anomalous=1.0, references=0, families=[BY_NAME["seam"]]).defects[0].defect_type
        for i in range(25)
    }
    assert types <= set(BY_NAME["seam"].defect_types)
    assert {"skipped_stitch", "loose_stitch"} <= types


def test_every_category_is_a_family_of_the_shipped_pack() -> None:
    assert {family.category for family in FAMILIES} <= set(shipped_pack().families)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_every_defect_has_its_facts(family: Family) -> None:
    writer = Writer(FactIndex(shipped_pack()))
    missing = [
        (t, kind) for t in family.defect_types for kind in KINDS if not writer.facts.find(family.category, t, kind)
    ]
    assert missing == []
    assert writer.facts.find(family.category, "", "object"), "no fact says what the product is"


# --- splits ---


def test_splits_hold_out_families_and_kinds_of_defect() -> None:
    train, validation = SPLITS["train"], SPLITS["validation"]
    assert (train.families, train.types) == (validation.families, validation.types)
    assert {f.name for f in train.families} == set(BY_NAME) - HELD_OUT_FAMILIES
    assert {f.name for f in SPLITS["unseen_families"].families} == HELD_OUT_FAMILIES
    assert not train.types & HELD_OUT_TYPES
    assert SPLITS["unseen_defects"].types == HELD_OUT_TYPES
    assert len({split.number for split in SPLITS.values()}) == len(SPLITS)
    for split in SPLITS.values():
        for family in split.families:
            assert split.types.intersection(family.defect_types), (split.name, family.name)


def test_only_the_kinds_asked_for_are_drawn() -> None:
    kinds = frozenset({"crack", "stain"})
    drawn = [draw_case((21, i), size=48, anomalous=1.0, families=[BY_NAME["concrete"]], types=kinds) for i in range(12)]
    assert {d.defect_type for case in drawn for d in case.defects} == kinds
    with pytest.raises(ValueError, match="concrete has none of"):
        draw_case((21, 0), families=[BY_NAME["concrete"]], types=frozenset({"solder_bridge"}))


def test_the_world_is_as_wide_as_it_was_meant_to_be() -> None:
    assert len(FAMILIES) >= 40
    assert len({name for family in FAMILIES for name in family.defect_types}) >= 30


@pytest.mark.parametrize("name", VARIATIONS)
def test_what_is_allowed_changes_the_surface_a_little(name: str) -> None:
    for seed in range(3):
        before = disc(seed)
        after = before.copy()
        VARIATIONS[name](after, np.random.default_rng([seed, 4]))
        gap = np.abs(before.albedo - after.albedo)
        assert gap.max() > 0
        assert gap.mean() < 0.12
        np.testing.assert_array_equal(before.alpha, after.alpha)


# --- the contact sheet ---


def test_a_contact_sheet_holds_every_pair() -> None:
    cases = [draw_case((18, i), size=SIZE) for i in range(3)]
    before = [case.test.copy() for case in cases]
    picture = sheet([Pair(case.test, case.references[0], case.mask, case.family) for case in cases], columns=2)
    assert picture.shape == (2 * (SIZE + STRIP), 2 * 2 * SIZE, 3)
    for case, test in zip(cases, before, strict=True):
        np.testing.assert_array_equal(case.test, test)
    np.testing.assert_array_equal(picture[STRIP : STRIP + SIZE, SIZE : 2 * SIZE], cases[0].references[0])
