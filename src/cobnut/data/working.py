"""The size and shape to work at, by the images' own and by the smallest defect worth finding."""

import math
from collections.abc import Sequence
from pathlib import Path

from cobnut.data.images import image_shape
from cobnut.options import ASPECTS, LARGEST, ImageOptions
from cobnut.recipe import Recipe

# Images whose sides differ by less stay square.
NEARLY_SQUARE = 1.1
STEP, LEAST = 64, 128

Shapes = Sequence[tuple[int, int]]  # (height, width) of photographs


def at_working_size(recipe: Recipe, paths: Sequence[Path]) -> tuple[Recipe, float | None]:
    """The recipe with the size and aspect that the good images give, where it lets them (``image.follow``).

    Beside it the width of a defect that covers one feature, in pixels of the photographs; ``None`` where the network
    rebuilds pixels.
    """
    image, network = recipe.image, recipe.network
    if not image.follow and network.rebuilds == "pixels":
        return recipe, None
    shapes = [image_shape(path) for path in paths]
    if image.follow:
        image = follow(image, shapes, network.grain, network.takes_aspect)
    finest = finest_defect(image, shapes, network.grain) if network.rebuilds == "features" else None
    return recipe.model_copy(update={"image": image}), finest


def follow(image: ImageOptions, shapes: Shapes, grain: int, takes_aspect: bool) -> ImageOptions:
    """The options with the size and, if wanted, the aspect that the photographs give; no larger than ``image.size``.

    The size is the median of the geometric means of their sides, in steps of 64, 128 at least: more pixels would show
    nothing new. Where lying and standing ones become squares, it is that of their shorter sides. Where a smallest
    defect is told, it is :func:`size_for` it, also above their own.
    """
    if takes_aspect and image.aspect == 1:
        image = image.model_copy(update={"aspect": usual_aspect(shapes)})
    size = (
        size_for(image, shapes, grain)
        if image.smallest_defect
        else _usual_size(shapes, is_mixed=takes_aspect and image.aspect == 1)
    )
    return image.model_copy(update={"size": min(image.size, size), "follow": False})


def usual_aspect(shapes: Shapes) -> float:
    """The photographs' median width / height; 1.0 unless three quarters of them are longer along the same side.

    Where some lie and some stand, a square does all of them the least harm.
    """
    aspects = sorted(width / height for height, width in shapes)
    low, middle, high = (aspects[len(aspects) * quarter // 4] for quarter in (1, 2, 3))
    if low <= NEARLY_SQUARE and high >= 1 / NEARLY_SQUARE:
        return 1.0
    return round(min(max(middle, ASPECTS[0]), ASPECTS[1]), 3)


def size_for(image: ImageOptions, shapes: Shapes, grain: int) -> int:
    """The least size at which the smallest defect covers a feature, or the largest that an image may have."""
    for size in range(LEAST, LARGEST, STEP):
        if finest_defect(image.model_copy(update={"size": size}), shapes, grain) <= image.smallest_defect:
            return size
    return LARGEST


def finest_defect(image: ImageOptions, shapes: Shapes, grain: int) -> float:
    """The width of a defect that covers a feature of ``grain`` working pixels, in pixels of the photographs.

    It is told along the side that is shrunk more, and as the median of the photographs.
    """
    tall, wide = image.shape
    factors = sorted(max(height / tall, width / wide) for height, width in shapes)
    return grain * factors[len(factors) // 2]


def _usual_size(shapes: Shapes, is_mixed: bool) -> int:
    sides = sorted(min(shape) if is_mixed else math.isqrt(shape[0] * shape[1]) for shape in shapes)
    return max(LEAST, sides[len(sides) // 2] // STEP * STEP)
