"""Pre-trained weights of anomalib's models: found on disk, and fetched only where the user asks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.detector import DetectorError

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
IMAGES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Recipe:
    """What a model needs, after its paper and anomalib's defaults."""

    side: int
    """Pixels of the square a photo is squashed to; nothing is cropped, or a defect at the edge would be lost."""
    mean_std: tuple[tuple[float, ...], tuple[float, ...]]
    backbone: str
    """The part whose pre-trained weights stay as they are, and are not saved again."""
    file: str
    """Name of the weights file."""
    repository: str | None
    """Where it is kept on the Hugging Face hub; None: among anomalib's own downloads."""
    folds: int | None
    """Parts the photos are held out in; None: a model so slow to train that one part is held out, once."""
    steps: int = 0
    """Of training."""


RECIPES = {
    # Batzner et al., WACV 2024
    "efficientad": Recipe(256, PLAIN, "teacher", "pretrained_teacher_small.pth", None, None, 70_000),
    # Guo et al., CVPR 2025
    "dinomaly": Recipe(
        392, IMAGENET, "encoder", "model.safetensors", "timm/vit_base_patch14_reg4_dinov2.lvd142m", None, 5_000
    ),
    # Damm et al., WACV 2025
    "anomalydino": Recipe(
        252, IMAGENET, "feature_encoder", "model.safetensors", "timm/vit_small_patch14_dinov2.lvd142m", 4
    ),
    # Jeong et al., CVPR 2023
    "winclip": Recipe(
        240, CLIP, "clip", "open_clip_model.safetensors", "timm/vit_base_patch16_plus_clip_240.laion400m_e31", 4
    ),
}


def find_weights(name: str, given: Path | None = None, *, download: bool = False) -> Path:
    """File of a model's pre-trained weights: in the file or folder given, else in the local caches.

    Args:
        name: of `RECIPES`.
        given: file, or a folder that holds it somewhere.
        download: fetch it where it is missing.

    Raises:
        DetectorError: it is not there.
    """
    recipe = RECIPES[name]
    if given is not None:
        found = given if given.is_file() else next(iter(sorted(given.rglob(recipe.file))), None)
        if found is None:
            raise DetectorError(f"weights {str(given)!r}: no {recipe.file} there, which {name} needs; name its folder")
        return found
    if recipe.repository is None:
        return _efficientad_weights(recipe.file, download)
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(recipe.repository, recipe.file)
    if isinstance(cached, str):
        return Path(cached)
    if download:
        try:
            return Path(hf_hub_download(recipe.repository, recipe.file))
        except OSError as error:
            raise DetectorError(f"{name}: {recipe.file} of {recipe.repository} cannot be fetched ({error})") from error
    raise _missing(name, f"{recipe.file} of {recipe.repository}", f"the Hugging Face cache {constants.HF_HUB_CACHE}")


def _efficientad_weights(file: str, download: bool) -> Path:
    with quiet():
        from anomalib.data.utils import download_and_extract
        from anomalib.models.image.efficient_ad import lightning_model
        from anomalib.utils.path import get_pretrained_weights_dir

    cache = get_pretrained_weights_dir()
    folder = cache / "efficientad_pretrained_weights"
    if download and not folder.is_dir():
        download_and_extract(cache, lightning_model.WEIGHTS_DOWNLOAD_INFO)
    if download and not images_beside(folder / file):
        download_and_extract(folder, lightning_model.IMAGENETTE_DOWNLOAD_INFO)
    if not (folder / file).is_file():
        raise _missing("efficientad", file, str(folder))
    return folder / file


def _missing(name: str, what: str, where: str) -> DetectorError:
    return DetectorError(
        f"detector {name!r}: needs the pre-trained weights {what}, which are not in {where}; name a folder that holds "
        "them, allow the download, or fit `patchcore` or `padim`, which need none"
    )


def images_beside(weights: Path) -> list[Path]:
    """Images of other things in the folder of the weights, which EfficientAD trains against."""
    return sorted(p for p in weights.parent.rglob("*") if p.suffix.lower() in IMAGES)


@contextmanager
def quiet() -> Iterator[None]:
    """anomalib imports modules that say they have moved."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
