"""Solder joints: through-hole pins and gull-wing leads on a board."""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.assemblies import COPPER, GOLD, TIN, pick, shaded
from training.draw.boards import INK, MASKS, tracks
from training.draw.noise import Field, Rng, fractal, grain, grid, lettering, smooth
from training.draw.shapes import dome, lattice, polar, rounded_box
from training.draw.surface import Colour, Part, Product, Surface, blank, paint
from training.draw.textures import Draw


def _solder(rng: Rng, s: Surface, cover: Field, height: Field, clean: float) -> None:
    """Lay solder over the surface: bright where it wetted, `clean` 1, or dull and grainy, 0."""
    n = s.alpha.shape[0]
    s.alpha = np.maximum(s.alpha, cover)
    level = 0.44 + 0.12 * clean
    paint(s, cover, (level, level, 0.99 * level), 0.3 + 0.6 * clean)
    s.height += cover * height
    rough = fractal(rng, n, max(3, n / 5), 3)
    s.height += cover * (rough - 0.5) * n * (0.006 + 0.1 * (1 - clean))
    s.albedo *= (1 + cover * (rough - 0.5) * (0.08 + 0.5 * (1 - clean)))[..., None]


def _pin_joint(rng: Rng, n: int, state: str, finish: Colour, pin: float) -> Surface:
    """Through-hole joint from the solder side: pad, concave fillet, cut pin of half width `pin`."""
    s = blank(n, finish, 0.6)
    x, y, r, angle = polar(n)
    s.alpha = smooth(r - 0.86, 4 / n)
    dome(s, np.asarray(r - 0.86, np.float32), 0.1, n / 60)
    gap = smooth(r - 1.5 * pin, 5 / n)
    paint(s, gap, (0.04, 0.04, 0.04), 0.1)
    rise = {"good": 0.22, "excess_solder": 0.42, "insufficient_solder": 0.1, "cold_solder": 0.3}[state] * n
    edge = 0.8 + 0.03 * np.cos(3 * angle + rng.uniform(0, 6))
    reach = np.clip(1 - r / edge, 0, 1)
    if state == "insufficient_solder":
        side = np.cos(angle - rng.uniform(0, 6))
        some = smooth(r - 0.5 - 0.2 * side, 0.06)
        _solder(rng, s, some, rise * reach, 0.6)
        paint(s, smooth(r - 1.5 * pin, 5 / n) * (side < 0.1), (0.05, 0.05, 0.05), 0.1)
    elif state == "excess_solder":
        _solder(rng, s, smooth(r - 0.98, 5 / n), rise * np.sqrt(np.clip(1 - r * r, 0, 1)), 0.9)
        return s
    elif state == "cold_solder":
        lump = np.clip(1 - (r / (0.78 + 0.12 * np.cos(2 * angle + rng.uniform(0, 6)))) ** 2, 0, 1)
        _solder(rng, s, smooth(0.02 - lump, 0.08), rise * np.sqrt(lump), 0.0)
    else:
        _solder(rng, s, smooth(np.asarray(r - edge, np.float32), 5 / n), rise * reach**1.6, 1.0)
    tip = smooth(rounded_box(x, y, pin, pin, 0.6 * pin), 4 / n)
    paint(s, tip, (0.7, 0.68, 0.64), 0.7)
    s.height = np.where(tip > 0.5, s.height.max() + n / 20, s.height).astype(np.float32)
    return s


def _lead_joint(rng: Rng, n: int, state: str, finish: Colour, half: float) -> Surface:
    """Joint of a gull-wing lead along x, body to the left: pad of half width `half`, lead, heel and toe fillets."""
    s = blank(n, finish, 0.6)
    x, y = grid(n)
    s.alpha = smooth(rounded_box(x - 0.15, y, 0.8, half, 0.2 * half), 4 / n)
    amount = {"good": 1.0, "excess_solder": 2.0, "insufficient_solder": 0.35, "cold_solder": 1.25}[state]
    foot = np.clip((x + 0.95) / 0.4, 0, 1)
    lead = smooth(rounded_box(x + 0.2, y, 0.78, 0.55 * half, 0.1 * half), 4 / n)
    near = np.clip(1 - np.abs(y) / half, 0, 1)
    along = smooth(rounded_box(x - 0.15, y, min(0.8, 0.62 + 0.1 * amount), half * min(1, 0.62 + 0.3 * amount), half * 0.5), 5 / n)  # fmt: skip
    bulge = np.sqrt(near) if amount > 1.2 else near**1.5
    _solder(rng, s, along * min(1.0, amount * 1.6), half * n * 0.3 * amount * bulge, float(state != "cold_solder"))
    if state != "excess_solder":
        s.alpha = np.maximum(s.alpha, lead)
        paint(s, lead, (0.66, 0.65, 0.63), 0.7)
        s.height += lead * (half * n * 0.18 + n * 0.14 * (1 - foot))
    return s


def solder_joints(rng: Rng) -> Draw:
    """Rows of soldered pins or leads, close up."""
    through = rng.random() < 0.55
    ground, finish = pick(rng, MASKS), pick(rng, (GOLD, TIN, COPPER))
    dark = sum(ground) < 1.5
    columns, rows = (int(rng.integers(3, 8)), int(rng.integers(1, 5))) if through else (int(rng.integers(4, 10)), 2)
    gap, pin, foot, layout = (
        rng.uniform(0.7, 0.86),
        rng.uniform(0.16, 0.26),
        rng.uniform(0.24, 0.38),
        rng.integers(2**31),
    )
    word, silk = "".join(rng.choice(list(INK), 4)), rng.random() < 0.6
    states = ("cold_solder", "insufficient_solder", "excess_solder")

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, ground, 0.45)
        s.albedo *= (1 + 0.12 * (fractal(rng, size, 3, 3) - 0.5) + 0.03 * grain(rng, size, (unit, unit)))[..., None]
        step = size * min(1.8 / columns, 1.8 / rows if through else 9) / 2
        copper = cv2.GaussianBlur(
            tracks(np.random.default_rng(layout), size, 0.8 * step / size / 2, 0.4)[0], (0, 0), 0.6 * unit + 0.2
        )
        paint(s, 0.8 * copper, shaded(ground, 1.5 if dark else 0.88))
        s.height += 0.6 * unit * copper + 0.04 * unit * grain(rng, size, (unit, unit))
        joint = _pin_joint if through else _lead_joint
        n = int(gap * step) if through else int(min(0.3 * size, 2.6 * step))
        wide = pin if through else foot * step / n * 2
        good = [joint(rng, n, "good", finish, wide) for _ in range(3)]
        span = step / size * 2
        parts = []
        if through:
            seats = lattice(columns, rows, (span * (columns - 1) / 2, span * (rows - 1) / 2), size, rng, 0.2)
            box = rounded_box(*grid(size), span * columns / 2, span * rows / 2, 0.03)
            if silk:
                paint(
                    s, 0.8 * smooth(np.abs(box) - 0.008, 3 / size), (0.85, 0.85, 0.82) if dark else (0.1, 0.1, 0.1), 0.1
                )
            parts = [Part(good[int(rng.integers(3))], a, b, float(rng.integers(4) * 90), "joint") for a, b in seats]
        else:
            x, y = grid(size)
            h = 0.42
            body = rounded_box(x, y, span * columns / 2 + 0.03, h, 0.03)
            mould = smooth(body, 3 / size)
            for side in (-1, 1):
                for i in range(columns):
                    at = size / 2 + step * (i + 0.5 - columns / 2)
                    parts.append(
                        Part(
                            good[int(rng.integers(3))],
                            at,
                            size / 2 * (1 + side * h) + side * 0.42 * n,
                            -90.0 * side,
                            "joint",
                        )
                    )
            paint(s, mould, (0.075, 0.075, 0.08), 0.2)
            s.height += mould * (9 * unit - s.height)
            dome(s, body, 0.05, 4 * unit)
            s.height += 0.08 * unit * mould * grain(rng, size, (unit, unit))
            ink = lettering(size, word, (round(0.3 * size), round(0.55 * size)), 0.8 * unit, max(1, round(1.4 * unit)))
            paint(s, 0.6 * ink, (0.6, 0.6, 0.58))
        spare = tuple(Part(joint(rng, n, state, finish, wide), 0, 0, 0, state) for state in states)
        return Product(s, tuple(parts), spare=spare)

    return draw
