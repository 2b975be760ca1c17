"""Families of one cast, drawn or coiled part that lies on a background: castings, pipes and springs."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.draw.noise import Field, Rng, fractal, grain, grid, smooth
from training.draw.shapes import (
    away,
    bevel,
    code,
    dome,
    polar,
    rod,
    rounded_box,
    sink,
    skin,
    stripes,
    word,
    word_around,
)
from training.draw.solids import PLATED, STEEL, join, metal, turned_face
from training.draw.surface import Product, Surface, paint
from training.draw.textures import Draw, shade


def spring(rng: Rng) -> Draw:
    """A helical spring on its side: compression, or extension with hooks."""
    turns, wide = int(rng.integers(5, 16)), rng.uniform(0.22, 0.42)
    tone, gloss = metal(rng, (*STEEL, *PLATED[:5]))
    hooks = rng.random() < 0.4
    reach = 0.85 - (0.95 * wide if hooks else 0)
    pitch = 2 * reach / turns
    thick = min(pitch * rng.uniform(0.27, 0.47 if hooks else 0.36), wide * 0.25)
    cone = rng.uniform(-0.25, 0.25) if rng.random() < 0.25 else 0.0

    def draw(rng: Rng, size: int) -> Product:
        s = skin(rng, size, tone, gloss, marks=10)
        steps = np.linspace(0, np.pi, 13)
        fronts: list[NDArray[np.float64]] = []
        backs: list[NDArray[np.float64]] = []
        for k in range(turns):
            for first, into in ((0.0, fronts), (np.pi, backs)):
                a = steps + first
                px = -reach + pitch * (k + a / (2 * np.pi)) * rng.uniform(0.995, 1.005)
                into.append(np.stack([px, wide * (1 + cone * px) * np.cos(a)], 1))
        if hooks:
            arc = np.linspace(-2.6, 1.4, 20)
            for sign in (-1, 1):
                ring = np.stack(
                    [sign * (reach + 0.5 * wide * 0.75 + wide * 0.42 * np.cos(arc)), wide * 0.5 * np.sin(arc)], 1
                )
                fronts.append(ring)
        else:  # closed and ground ends
            for sign in (-1, 1):
                fronts.append(
                    np.array(
                        [
                            [sign * reach, -wide * (1 + sign * cone * reach)],
                            [sign * reach, wide * (1 + sign * cone * reach)],
                        ]
                    )
                )
        far, near = away(size, backs) - thick, away(size, fronts) - thick
        s.alpha = np.maximum(smooth(far, 3 / size), smooth(near, 3 / size))
        over = smooth(near, 3 / size)
        back, front = (0.5 * size * np.sqrt(np.clip(thick**2 - (d + thick) ** 2, 0, None)) for d in (far, near))
        s.height = (s.height + back * (1 - over) + over * (front + 0.5 * size * wide * 0.5)).astype(np.float32)
        shadow = cv2.GaussianBlur(over, (0, 0), size / 60) * (1 - over)
        s.albedo *= (1 - (1 - over) * 0.35 - 0.4 * shadow)[..., None]
        return Product(s)

    return draw


def pipe_end(rng: Rng) -> Draw:
    """A tube from its cut end or its side; or a bundle of cut ends."""
    view = str(rng.choice(["end", "end", "bundle", "side", "side"]))
    plastic = rng.random() < 0.35
    plastics = ((0.3, 0.31, 0.32), (0.75, 0.74, 0.71), (0.07, 0.07, 0.08), (0.66, 0.4, 0.2), (0.2, 0.33, 0.5))
    tone, gloss = (
        (shade(rng, plastics), rng.uniform(0.2, 0.5)) if plastic else metal(rng, (*STEEL, PLATED[1], PLATED[7]))
    )
    wall, square, saw = rng.uniform(0.1, 0.35), rng.random() < 0.25, rng.uniform(0.3, 1.5)
    radius, seam, text = rng.uniform(0.2, 0.42), rng.random() < 0.5, " ".join(code(rng, 2, 5) for _ in range(4))
    printed, slant, rows = rng.random() < 0.5, rng.uniform(0, np.pi), int(rng.integers(2, 4))

    def face(s: Surface, rng: Rng, x: Field, y: Field, size: int, big: float) -> Field:
        """One cut end of half width `big` about the origin of (x, y); returns its outline."""
        r = np.hypot(x, y)
        outer = rounded_box(x, y, big, big, big * 0.25) if square else r - big
        inner = outer + wall * big
        hollow = smooth(inner, 0.012)
        # The bore: dark in the depth, its far wall catching some light.
        depth = np.clip(-inner / (big * (1 - wall)), 0, 1)
        lit = 0.2 + 0.4 * (1 - depth) ** 2 * (0.5 + 0.5 * (x * np.cos(slant) + y * np.sin(slant)) / big)
        s.albedo *= (1 - hollow * (1 - lit))[..., None].astype(np.float32)
        s.gloss *= 1 - 0.8 * hollow
        marks = stripes(rng, np.clip(x * np.cos(slant) + y * np.sin(slant) + 0.15 * y * y, -1.4, 1.4), size, 0.9)
        rim = smooth(outer, 0.01) * (1 - hollow)
        s.height += (0.2 * saw * np.clip(marks, -2, 2) * rim).astype(np.float32)
        s.albedo *= (1 + (0.15 + 0.05 * saw * np.clip(marks, -2, 2)) * rim)[..., None].astype(np.float32)
        bevel(s, join(outer, -inner), 0.02, 2)
        return np.asarray(outer, np.float32)

    def draw(rng: Rng, size: int) -> Product:
        s = skin(rng, size, tone, gloss, marks=20)
        x, y = grid(size)
        pattern = None
        if view == "end":
            s.alpha = smooth(face(s, rng, x, y, size, 0.8), 3 / size)
        elif view == "bundle":
            big = 0.9 / rows
            cx = np.clip(np.round((x / big - (rows - 1)) / 2), -(rows - 1), 0) * 2 * big + (rows - 1) * big
            cy = np.clip(np.round((y / big - (rows - 1)) / 2), -(rows - 1), 0) * 2 * big + (rows - 1) * big
            spin = rng.uniform(0.94, 1.06, 9).astype(np.float32)
            s.alpha = smooth(
                face(s, rng, (x - cx).astype(np.float32), (y - cy).astype(np.float32), size, big * 0.95), 3 / size
            )
            s.albedo *= spin[((cx + cy * 3) * 7).astype(int) % 9][..., None]
        else:
            distance = np.abs(y) - radius
            s.alpha = smooth(join(distance, np.abs(x) - 0.95), 3 / size)
            rod(s, y, radius)
            drawn = stripes(rng, y, size, 0.6)  # marks of the die run along the tube
            s.albedo *= (1 + 0.03 * drawn)[..., None]
            if seam and not plastic:
                bead = np.abs(y - 0.3 * radius) - 0.03
                s.height += 1.2 * smooth(bead, 0.04) * (0.6 + 0.4 * np.sin(x * 140)).astype(np.float32)
                paint(s, 0.3 * smooth(bead - 0.03, 0.08), (0.25, 0.2, 0.2))
            if printed:
                pattern = word(size, text, 0, -0.15 * radius, 0.1)
        ink = (0.85, 0.85, 0.82) if sum(tone) < 1.2 else (0.1, 0.1, 0.12)
        return Product(s, pattern=pattern, pattern_colour=ink, pattern_gloss=0.2, pattern_height=0.1)

    return draw


def casting_part(rng: Rng) -> Draw:
    """A cast flange, cover or bracket: rough skin, machined faces, bosses with bolt holes, ribs and cast lettering."""
    ears = int(rng.choice([2, 2, 3, 4, 4, 6]))
    radius = rng.uniform(0.4, 0.6) if ears < 4 else rng.uniform(0.52, 0.68)
    tones = (
        (0.6, 0.6, 0.6),
        (0.5, 0.5, 0.5),
        (0.25, 0.24, 0.24),
        (0.33, 0.32, 0.31),
        (0.6, 0.5, 0.33),
        (0.2, 0.28, 0.36),
    )
    tone, bright = shade(rng, tones), shade(rng, STEEL[:2])
    bore, boss, rough = radius * rng.uniform(0.3, 0.6), rng.uniform(0.13, 0.2), rng.uniform(0.5, 2)
    ribs, text, lettered = int(rng.choice([0, 0, 3, 4, 6])), code(rng, 3, 7), rng.random() < 0.6
    turn, machined, blind = rng.uniform(0, 6), rng.random() < 0.75, rng.random() < 0.3

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = skin(rng, size, tone, 0.2, cloud=0.3, marks=4)
        x, y, r, angle = polar(size)
        sand = 0.7 * grain(rng, size, (0.8 * unit, 0.8 * unit)) + 3 * (fractal(rng, size, 26, 3) - 0.5)
        s.albedo *= (1 + 0.05 * rough * sand)[..., None].astype(np.float32)
        reach, root = 0.9 - boss, radius * 0.85 if ears < 4 else boss * 1.15
        outline, faces, holes = r - radius, r - bore * 1.35, (r - bore if not blind else np.full_like(r, 1.0))
        for k in range(ears):
            a = turn + 2 * np.pi * k / ears
            ex, ey = x - reach * np.cos(a), y - reach * np.sin(a)
            along, across = x * np.cos(a) + y * np.sin(a), y * np.cos(a) - x * np.sin(a)
            # Arms narrow from the body to the ear.
            arm = np.abs(across) - (root + (boss - root) * np.clip(along / reach, 0, 1))
            ear = np.hypot(ex, ey)
            outline = np.minimum(outline, np.minimum(join(arm, along - reach, -along), ear - boss))
            faces = np.minimum(faces, ear - boss * 0.72)
            holes = np.minimum(holes, ear - boss * 0.42)
        shape = join(outline, -holes)
        s.alpha = smooth(shape, 3 / size)
        dome(s, np.asarray(outline, np.float32), 0.09, 7 * unit)  # draft and fillets of the mould
        for k in range(ribs):
            a = turn + np.pi / ears + 2 * np.pi * k / ribs
            across, along = y * np.cos(a) - x * np.sin(a), x * np.cos(a) + y * np.sin(a)
            sink(s, join(np.abs(across) - 0.03, -along, r - radius * 0.97), -4, 0.05)
        sink(s, np.asarray(faces, np.float32), -5, 0.03)
        if lettered:
            s.height += 2.5 * unit * word_around(text, r, angle + np.float32(turn), (bore * 1.35 + radius) / 2, 0.1)
        flat = smooth(np.asarray(faces + 0.01, np.float32), 0.015)
        s.height += (0.35 * rough * sand * (1 - flat * machined)).astype(np.float32)
        if machined:
            paint(s, 0.9 * flat, bright, 0.6)
            turned_face(s, rng, r, 0.8, flat)
        bevel(s, np.asarray(-holes, np.float32), 0.02, 2)
        return Product(s)

    return draw
