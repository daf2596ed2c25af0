"""The networks that rebuild, and the detector that judges by what they could not rebuild.

Adding a network is a file of its own, its options in :mod:`cobnut.options`, and a line here.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from cobnut.data.region import Region
from cobnut.errors import RecipeError
from cobnut.losses import build_error
from cobnut.models.dense import DenseAutoencoder
from cobnut.models.detector import Detector
from cobnut.models.feature import FeatureDetector, build_feature
from cobnut.models.rebuilding import Inpainting, Patchwise
from cobnut.models.ssim_ae import SsimAutoencoder
from cobnut.models.transfer import build_transfer
from cobnut.models.upsampling import UpsamplingAutoencoder
from cobnut.options import ScoreOptions
from cobnut.recipe import Recipe

# More would make the exported model larger than it is worth.
MOST_PATCHES = 256

NETWORKS: dict[str, Callable[[Any, Any], nn.Module]] = {
    "dense": DenseAutoencoder,
    "upsampling": UpsamplingAutoencoder,
    "transfer": build_transfer,
    "ssim-ae": SsimAutoencoder,
    "feature": build_feature,
}
DETECTORS: dict[str, Callable[[Any, ScoreOptions, float], Detector]] = {
    "pixels": Detector,
    "features": FeatureDetector,
}


def build_network(recipe: Recipe) -> nn.Module:
    """The recipe's network with fresh weights: images (n, c, h, w) in [0, 1] in, reconstructions out.

    ``h`` and ``w`` are a patch's where the recipe cuts patches. Raises :class:`RecipeError` where sizes do not fit.
    """
    image, factor = recipe.image, recipe.network.shrinks_by
    if image.aspect != 1 and not recipe.network.takes_aspect:
        raise RecipeError(f"image.aspect = {image.aspect:g}: network {recipe.network.name} needs a square; set it to 1")
    if recipe.patches.size:
        _check_patches(recipe)
        image = image.model_copy(update={"size": recipe.patches.size})
    if image.aspect == 1 and image.size % factor:
        key = "patches.size" if recipe.patches.size else "image.size"
        raise RecipeError(f"{key} = {image.size}: network {recipe.network.name} needs a multiple of {factor}")
    return NETWORKS[recipe.network.name](recipe.network, image)


def _check_patches(recipe: Recipe) -> None:
    size, stride, side = recipe.patches.size, recipe.patches.stride, recipe.image.size
    if size > side:
        raise RecipeError(f"patches.size = {size}: is larger than image.size = {side}")
    if stride > size:
        raise RecipeError(
            f"patches.stride = {stride}: leaves gaps between patches of {size}; set patches.stride to {size} at most"
        )
    count = (-(-(side - size) // stride) + 1) ** 2
    if count > MOST_PATCHES:
        raise RecipeError(
            f"patches.stride = {stride}: makes {count} patches of each image, more than {MOST_PATCHES}; raise it"
        )


def check_error(recipe: Recipe) -> None:
    """Refuse an error that the recipe's network cannot show, with :class:`RecipeError`."""
    network, error = recipe.network, recipe.score.error
    if not network.errors:
        build_error(error)
    elif error not in (valid := (*network.errors, "auto")):
        raise RecipeError(
            f"score.error = {error!r}: network {network.name} has no such error; valid are {', '.join(valid)}"
        )


def build_rebuilding(network: nn.Module, recipe: Recipe) -> nn.Module:
    """The network as it rebuilds a whole image at inspection."""
    if recipe.corruption.name == "mask":
        network = Inpainting(network, recipe.corruption, recipe.patches.size or recipe.image.size)
    return Patchwise(network, recipe.patches, recipe.image.size) if recipe.patches.size else network


def build_detector(network: nn.Module, recipe: Recipe, region: Region | None = None) -> Detector:
    """The recipe's detector around a trained network; its automatic least area is 0 until it is chosen.

    It looks only where ``region``, of the images' size, holds.
    """
    area = recipe.score.least_area
    build = DETECTORS[recipe.network.rebuilds]
    detector = build(build_rebuilding(network, recipe), recipe.score, 0.0 if area == "auto" else area)
    if region is not None:
        detector.look_only_at(region, recipe.image.channels)
    return detector
