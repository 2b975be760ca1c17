"""What happens to drawn cases on the way to the eye: on the accelerator, a batch at a time.

A case is a test photo and normal photos of the same product. What changes the product or the station (mirroring,
colours, zoom) is drawn once a case and done to all its photos; what differs from photo to photo (light, noise, focus, a small
shift) is drawn for each. Drawn defects are joined by pasted ones, which are of no kind but come in every shape (after
DRAEM, Zavrtanik et al., ICCV 2021).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def to_pixel_values(images: Tensor) -> Tensor:
    """(…, H, W) uint8 in 0..255 to float in -1..1."""
    return images.float() / 127.5 - 1


def uniform(like: Tensor, low: float, high: float, *shape: int) -> Tensor:
    """Numbers between two bounds, on the device of another tensor."""
    return torch.empty(*shape, device=like.device).uniform_(low, high)


def _chance(like: Tensor, share: float, *shape: int) -> Tensor:
    return torch.rand(*shape, device=like.device) < share


def smooth_noise(like: Tensor, n: int, cells: int) -> Tensor:
    """(n, 1, H, W) noise without structure finer than 1/`cells` of the picture, each of mean 0 and deviation 1."""
    field = F.interpolate(torch.randn(n, 1, cells, cells, device=like.device), like.shape[-2:], mode="bicubic")
    return (field - field.mean((2, 3), keepdim=True)) / field.std((2, 3), keepdim=True).clamp(min=1e-3)


def paste_defects(test: Tensor, mask: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Blend spots of other photos, or of another place of the same photo, into a share of the test photos.

    Args:
        test: (B, 3, H, W) float in -1..1.
        mask: (B, H, W) bool, what is defective already.
        share: of the photos that get one.

    Returns:
        Both with what was pasted and can be seen.
    """
    b, _, h, w = test.shape
    noise = smooth_noise(test, b, 6) + 0.5 * smooth_noise(test, b, 14) + 0.35 * smooth_noise(test, b, 40)
    # One spot a photo, from a few pixels to a fifth of the picture: the noise cut off by distance from a centre.
    y = torch.linspace(0, 1, h, device=test.device)[None, None, :, None]
    x = torch.linspace(0, 1, w, device=test.device)[None, None, None, :]
    cy, cx, angle = (uniform(test, *r, b, 1, 1, 1) for r in ((0.03, 0.97), (0.03, 0.97), (0.0, 3.1416)))
    long = torch.exp(uniform(test, -3.9, -1.5, b, 1, 1, 1))
    thin = long * torch.exp(uniform(test, -1.6, 0.0, b, 1, 1, 1))
    u = (x - cx) * angle.cos() + (y - cy) * angle.sin()
    v = (y - cy) * angle.cos() - (x - cx) * angle.sin()
    inside = (1 - (u / long) ** 2 - (v / thin) ** 2 + 0.35 * noise) > 0
    other = test[torch.randperm(b, device=test.device)].flip(-1)
    dy, dx = (int(v) for v in torch.randint(h // 8, h - h // 8, (2,)))
    moved = torch.roll(test, (dy, dx), (2, 3))
    flat = uniform(test, -1, 1, b, 3, 1, 1).expand_as(test) + 0.1 * torch.randn_like(test)
    blurred = F.avg_pool2d(F.pad(test, (4,) * 4, mode="reflect"), 9, 1)
    kind = torch.rand(b, 1, 1, 1, device=test.device)
    source = torch.where(kind < 0.35, other, torch.where(kind < 0.65, moved, torch.where(kind < 0.9, flat, blurred)))
    alpha = torch.where(kind < 0.9, uniform(test, 0.2, 1.0, b, 1, 1, 1), torch.ones_like(kind))
    soft = F.avg_pool2d(F.pad(inside.float(), (1,) * 4, mode="reflect"), 3, 1)
    pasted = test + soft * alpha * (source - test)
    seen = ((pasted - test).abs().amax(1) > 0.12) & inside[:, 0]
    # Where hardly anything can be seen nothing is pasted: the label would be noise.
    enough = F.avg_pool2d(seen[:, None].float(), 5, 1, 2)[:, 0].amax((1, 2)) > 0.5
    take = _chance(test, share, b) & enough
    return torch.where(take[:, None, None, None], pasted, test), mask | (seen & take[:, None, None])


def jitter(x: Tensor) -> Tensor:
    """Photometric nuisance, one draw an image: light that falls off, gain, offset, gamma, tint, focus, noise; (B, 3, H, W)
    in -1..1."""
    b = x.shape[0]
    y = ((x + 1) / 2).clamp(1e-3, 1) ** uniform(x, 0.75, 1.35, b, 1, 1, 1)
    light = 1 + smooth_noise(x, b, 3) * uniform(x, 0.0, 0.1, b, 1, 1, 1) * _chance(x, 0.5, b, 1, 1, 1)
    y = y * light * uniform(x, 0.8, 1.2, b, 1, 1, 1) * uniform(x, 0.96, 1.04, b, 3, 1, 1) + uniform(
        x, -0.06, 0.06, b, 1, 1, 1
    )
    soft = F.avg_pool2d(F.pad(y, (1,) * 4, mode="reflect"), 3, 1)
    y = y + (soft - y) * uniform(x, 0.0, 0.8, b, 1, 1, 1) * _chance(x, 0.4, b, 1, 1, 1)
    y = y + torch.randn_like(y) * uniform(x, 0.0, 0.03, b, 1, 1, 1)
    return y.clamp(0, 1) * 2 - 1


def restyle(photos: Tensor) -> Tensor:
    """Other colours and contrast for a case as a whole; (B, n, 3, H, W) in -1..1, one draw a case."""
    b = photos.shape[0]
    y = (photos + 1) / 2
    order = torch.rand(b, 3, device=photos.device).argsort(1)
    y = y.gather(2, order[:, None, :, None, None].expand_as(y))
    grey = y.mean(2, keepdim=True)
    colour = uniform(photos, 0.3, 1.3, b, 1, 1, 1, 1) * ~_chance(photos, 0.25, b, 1, 1, 1, 1)
    y = (grey + (y - grey) * colour).clamp(1e-3, 1) ** torch.exp(uniform(photos, -0.6, 0.6, b, 1, 1, 1, 1))
    y = torch.where(_chance(photos, 0.1, b, 1, 1, 1, 1), 1 - y, y)
    middle = y.mean((1, 2, 3, 4), keepdim=True)
    y = middle + (y - middle) * uniform(photos, 0.6, 1.25, b, 1, 1, 1, 1)
    return y.clamp(0, 1) * 2 - 1


def reframe(photos: Tensor, mask: Tensor, close: Tensor, still: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror, turn by quarters and zoom a case as a whole; shift and turn each photo a little where the station is not still.

    Args:
        photos: (B, n, 3, H, W) float, the test photo first.
        mask: (B, H, W) bool of the test photo.
        close: (B,) bool, whether a part of the picture may stand for the whole: the same is seen in every photo.
        still: (B,) bool, whether the photos agree pixel by pixel.

    Returns:
        Photos and mask of the same shapes.
    """
    b, n = photos.shape[:2]
    zoom = torch.where(close, uniform(photos, 0.55, 1.0, b), uniform(photos, 0.9, 1.05, b))
    room = (1 - zoom).clamp(min=0)
    cx, cy = uniform(photos, -1, 1, b) * room, uniform(photos, -1, 1, b) * room
    quarter = torch.randint(0, 4, (b,), device=photos.device) * (torch.pi / 2)
    mirror = torch.where(_chance(photos, 0.5, b), 1.0, -1.0)
    loose = (~still).float()[:, None]
    turn = quarter[:, None] + uniform(photos, -0.05, 0.05, b, n) * loose
    size = zoom[:, None] * (1 + uniform(photos, -0.03, 0.03, b, n) * loose)
    dx, dy = (
        cx[:, None] + uniform(photos, -0.03, 0.03, b, n) * loose,
        cy[:, None] + uniform(photos, -0.03, 0.03, b, n) * loose,
    )
    cos, sin = turn.cos() * size, turn.sin() * size
    theta = torch.stack([
        torch.stack([cos * mirror[:, None], -sin, dx], -1), torch.stack([sin * mirror[:, None], cos, dy], -1)
    ], -2)  # fmt: skip
    grid = F.affine_grid(theta.flatten(0, 1), [b * n, 3, *photos.shape[-2:]], align_corners=False)
    seen = F.grid_sample(photos.flatten(0, 1), grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    own = grid.unflatten(0, (b, n))[:, 0]
    moved = F.grid_sample(mask[:, None].float(), own, mode="bilinear", padding_mode="reflection", align_corners=False)
    return seen.unflatten(0, (b, n)), moved[:, 0] > 0.5
