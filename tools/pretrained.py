"""Models of anomalib that stand on pre-trained weights, behind one interface."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from tools.detector import DetectorError
from tools.pretrained_weights import RECIPES, quiet

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

Array = NDArray[np.float32]


class Pretrained:
    """One of the four models, built on weights that are on disk."""

    def __init__(self, name: str, weights: Path, seed: int = 0, steps: int | None = None) -> None:
        """Args:
        name: of `RECIPES`.
        weights: as `find_weights` returns it.
        steps: of training, in place of the recipe's.
        """
        import torch

        self.name, self.weights, self.seed = name, weights, seed
        self.recipe = RECIPES[name]
        self.folds = self.recipe.folds
        self.steps = self.recipe.steps if steps is None else steps
        self.made_with = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        with quiet(), torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model: Any = build(name, weights).eval().to(self.device)

    def prepare(self, photo: Image.Image) -> NDArray[np.uint8]:
        """The photo squashed to the model's square, (side, side, 3)."""
        side = self.recipe.side
        return np.asarray(photo.convert("RGB").resize((side, side), resample=2, reducing_gap=3.0))

    def pixels(self, photos: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Prepared photos as the model wants them, (B, 3, side, side) float32."""
        import torch

        mean, std = (torch.tensor(values)[:, None, None] for values in self.recipe.mean_std)
        batch = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float() / 255
        return ((batch - mean) / std).to(self.device)

    def fit(self, photos: Sequence[NDArray[np.uint8]]) -> None:
        """Fit to prepared photos."""
        import torch

        from tools.pretrained_fit import FITS

        with quiet(), torch.random.fork_rng():
            torch.manual_seed(self.seed)
            FITS[self.name](self, photos)
        self.model.eval()

    def score(self, photo: NDArray[np.uint8]) -> tuple[Array, float]:
        """Raw map (side, side) and raw image score of a prepared photo."""
        import torch

        with torch.inference_mode():
            found = self.model(self.pixels([photo]))
        side = self.recipe.side
        raw_map = found.anomaly_map.float().cpu().reshape(side, side).numpy()
        return np.asarray(raw_map, np.float32), float(found.pred_score.reshape(-1)[0])

    def state(self) -> dict[str, NDArray[np.generic]]:
        """What fitting made: the state dict without the pre-trained part."""
        tensors = self.model.state_dict()
        return {
            key: value.cpu().contiguous().numpy()
            for key, value in tensors.items()
            if not key.startswith(f"{self.recipe.backbone}.")
        }

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over what `state` gave."""
        import torch

        kept = {k: v for k, v in self.model.state_dict().items() if k.startswith(f"{self.recipe.backbone}.")}
        self.model.load_state_dict(kept | {k: torch.from_numpy(v.copy()) for k, v in state.items()})
        if self.name == "winclip":
            self.model.k_shot = len(self.model._patch_embeddings)
        self.model.to(self.device)


def build(name: str, weights: Path) -> Any:
    """anomalib's torch model with its pre-trained part read from `weights`.

    Raises:
        DetectorError: a package is missing, or the weights do not fit.
    """
    import torch
    from safetensors import SafetensorError

    model: Any
    try:
        if name == "efficientad":
            from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel

            model = EfficientAdModel()
            model.teacher.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
            return model
        if name == "winclip":
            from anomalib.models.image.winclip import torch_model

            with mock.patch.object(torch_model, "PRETRAINED", str(weights)):
                return torch_model.WinClipModel()
        from timm.models import load_checkpoint
        from timm.models.vision_transformer import checkpoint_filter_fn

        with _untrained_backbone():
            if name == "dinomaly":
                from anomalib.models import Dinomaly

                # The Lightning module freezes the encoder and gives the other parts their first values.
                model = Dinomaly(pre_processor=False, post_processor=False, evaluator=False, visualizer=False).model
            else:
                from anomalib.models.image.anomaly_dino.torch_model import AnomalyDINOModel

                model = AnomalyDINOModel()
        backbone = getattr(model, RECIPES[name].backbone).feature_extractor
        load_checkpoint(backbone, str(weights), filter_fn=checkpoint_filter_fn)
    except ImportError as error:
        raise DetectorError(f"detector {name!r}: {error}") from error
    except (OSError, RuntimeError, ValueError, KeyError, UnpicklingError, SafetensorError) as error:
        why = " ".join(str(error).split())[:200]
        raise DetectorError(
            f"weights {str(weights)!r}: not those of {name} ({why}); it needs {RECIPES[name].file} as published"
        ) from error
    return model


@contextmanager
def _untrained_backbone() -> Iterator[None]:
    """anomalib asks timm to fetch pre-trained weights; here the backbone comes up without, and reads them from disk."""
    import timm

    def create(*args: Any, **kwargs: Any) -> Any:
        return made(*args, **kwargs | {"pretrained": False})

    made = timm.create_model
    with mock.patch.object(timm, "create_model", functools.wraps(made)(create)):
        yield
