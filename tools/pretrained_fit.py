"""How each pre-trained model of anomalib is fitted: as in its Lightning module, on photos in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tools.detector import DetectorError
from tools.pretrained_weights import images_beside

if TYPE_CHECKING:
    from PIL import Image

    from tools.pretrained import Pretrained

Photos = Sequence[NDArray[np.uint8]]
"""As `Pretrained.prepare` makes them."""

BANK = 4_000
"""Patches AnomalyDINO keeps."""
CANDIDATES = 20_000
"""Patches it chooses from."""
REFERENCES = 4
"""Normal photos WinCLIP compares with."""
BATCH = 16
"""Photos a step of Dinomaly."""


def fit_anomalydino(of: Pretrained, photos: Photos) -> None:
    """A bank of patches, bounded by the greedy k-centre choice."""
    import torch

    from tools.bank import coreset

    of.model.train()
    of.model.memory_bank = of.model.memory_bank.new_empty(0)
    of.model.embedding_store.clear()
    with torch.no_grad():
        for photo in photos:
            of.model(of.pixels([photo]))
    pool = torch.cat(of.model.embedding_store).cpu().numpy()
    of.model.embedding_store.clear()
    pool = pool[np.random.default_rng(of.seed).permutation(len(pool))[:CANDIDATES]]
    of.model.memory_bank = torch.from_numpy(pool[coreset(pool, BANK, of.seed)]).to(of.device)


def fit_winclip(of: Pretrained, photos: Photos) -> None:
    """A few of the photos as references."""
    import torch

    chosen = np.random.default_rng(of.seed).permutation(len(photos))
    # With fewer photos some count twice: the shapes saved are the same, and so is the nearest reference.
    with torch.no_grad():
        if not of.model._text_embeddings.numel():  # hundreds of prompts, the same for every fit
            of.model._collect_text_embeddings("object")
        of.model.setup(reference_images=of.pixels([photos[i] for i in np.resize(chosen, REFERENCES).tolist()]))


def fit_dinomaly(of: Pretrained, photos: Photos) -> None:
    """Train bottleneck and decoder."""
    import torch
    from anomalib.models.image.dinomaly.components import StableAdamW, WarmCosineScheduler
    from anomalib.models.image.dinomaly.lightning_model import TRAINING_CONFIG

    trained = [p for p in of.model.parameters() if p.requires_grad]
    optimiser = StableAdamW([{"params": trained}], **TRAINING_CONFIG["optimizer"])
    schedule = WarmCosineScheduler(optimiser, **TRAINING_CONFIG["scheduler"] | {"total_iters": of.steps})
    rng = np.random.default_rng(of.seed)
    of.model.train()
    for step in range(of.steps):
        batch = of.pixels([photos[i] for i in rng.integers(len(photos), size=BATCH).tolist()])
        optimiser.zero_grad()
        of.model(batch, global_step=step).backward()
        torch.nn.utils.clip_grad_norm_(trained, TRAINING_CONFIG["trainer"]["gradient_clip_val"])
        optimiser.step()
        schedule.step()


def fit_efficientad(of: Pretrained, photos: Photos) -> None:
    """Train student and autoencoder, and scale their two maps by quantiles on the photos."""
    import torch
    from anomalib.models.image.efficient_ad.torch_model import reduce_tensor_elems
    from PIL import Image

    others = images_beside(of.weights)
    if not others:
        raise DetectorError(
            f"weights {str(of.weights)!r}: no images of other things beside it; EfficientAD trains against some, such as "
            "those of Imagenette: put a folder of them there, or allow the download"
        )
    model, rng = of.model, np.random.default_rng(of.seed)
    with torch.no_grad():
        moments = []
        for photo in photos:
            seen = model.teacher(of.pixels([photo]))
            moments.append(torch.stack([seen.mean((0, 2, 3)), (seen**2).mean((0, 2, 3))]))
    mean, square = torch.stack(moments).mean(0).clone()
    std = (square - mean**2).clamp(min=1e-12).sqrt()
    model.mean_std.update({"mean": mean[None, :, None, None], "std": std[None, :, None, None]})
    trained = [*model.student.parameters(), *model.ae.parameters()]
    optimiser = torch.optim.Adam(trained, lr=1e-4, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, max(1, int(0.95 * of.steps)), 0.1)
    model.train()
    model.teacher.eval()
    for _ in range(of.steps):
        with Image.open(others[int(rng.integers(len(others)))]) as other:
            grey = rng.random() < 0.3
            outside = _middle((other.convert("L") if grey else other).convert("RGB"), of.recipe.side)
        optimiser.zero_grad()
        torch.stack(model(of.pixels([photos[int(rng.integers(len(photos)))]]), of.pixels([outside]))).sum().backward()
        optimiser.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        maps = [model.get_maps(of.pixels([photo])) for photo in photos]
        for i, part in enumerate(("st", "ae")):
            values = reduce_tensor_elems(torch.cat([m[i] for m in maps]))
            model.quantiles.update({
                f"qa_{part}": torch.quantile(values, 0.9).clone(), f"qb_{part}": torch.quantile(values, 0.995).clone(),
            })  # fmt: skip


def _middle(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """The middle quarter of an image, as in the paper's penalty."""
    return np.asarray(image.resize((2 * side, 2 * side), resample=2))[
        side // 2 : -(side // 2), side // 2 : -(side // 2)
    ]


FITS = {
    "efficientad": fit_efficientad,
    "dinomaly": fit_dinomaly,
    "anomalydino": fit_anomalydino,
    "winclip": fit_winclip,
}
