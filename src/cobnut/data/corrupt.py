"""Synthetic defects on good images: what options are chosen with, so that no real defect is ever looked at.

They also train the networks that learn to undo them (:mod:`cobnut.data.spoil`).
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

# So often a place is drawn anew where a defect does not touch the region.
_ATTEMPTS = 20
_LEAST_SIDE = 16
Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Draw = Callable[[Image, tuple[int, ...]], tuple[Image, Mask]]


def corrupt(
    images: NDArray[np.uint8], seed: int, window: float = 1.0, region: Mask | None = None, apart: int = 1
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Give every image (n, h, w, c) one defect of every kind: (n·kinds, h, w, c) and the masks (n·kinds, h, w).

    The kinds are a pasted patch and a pasted scar (cut-paste, Li et al. 2021), a stain and a scratch. Under 1,
    ``window`` draws each as if the image were that much smaller: at its scale, in a window at a place of chance. With a
    ``region`` (h, w) the defects lie in the box around it, and touch it. Pasted pixels come from images whose number
    differs by a multiple of ``apart``, so that no two of the sets ``images[k::apart]`` share any. The same images and
    seed give the same defects.
    """
    spoilt, masks = [], []
    box = np.s_[:, :] if region is None else _box(region)
    for index, image in enumerate(images):
        for number, kind in enumerate(KINDS.values()):
            draw = partial(_draw, kind, window, box, images[index % apart :: apart], index // apart)
            corrupted, mask = _draw_onto(region, draw, image, (seed, index, number))
            spoilt.append(corrupted)
            masks.append(mask)
    return np.stack(spoilt), np.stack(masks)


def _draw_onto(region: Mask | None, draw: Draw, image: Image, seeds: tuple[int, ...]) -> tuple[Image, Mask]:
    """A defect that touches the ``region``: drawn again until it does, and at last moved there."""
    corrupted, mask = draw(image, seeds)
    for attempt in range(1, _ATTEMPTS):
        if region is None or (mask & region).any():
            return corrupted, mask
        corrupted, mask = draw(image, (*seeds, attempt))
    if region is None or (mask & region).any() or not mask.any():
        return corrupted, mask
    # A frame, or parts that lie apart: the image is shifted round until a place of the region lies under the defect.
    there = np.random.default_rng(seeds).choice(np.argwhere(region))
    shift = there - np.argwhere(mask)[0]
    shifted, moved = draw(np.roll(image, -shift, (0, 1)), (*seeds, _ATTEMPTS - 1))
    return np.roll(shifted, shift, (0, 1)), np.roll(moved, shift, (0, 1))


def _draw(
    kind: "Kind",
    window: float,
    box: tuple[slice, ...],
    donors: NDArray[np.uint8],
    number: int,
    image: Image,
    seeds: tuple[int, ...],
) -> tuple[Image, Mask]:
    """One defect in the box of ``image``, which is this number of the ``donors``."""
    random = np.random.default_rng(seeds)
    donor = _donor(donors, number, random)
    corrupted, mask = image.copy(), np.zeros(image.shape[:2], bool)
    corrupted[box], mask[box] = _within(kind, window, image[box], donor[box], random)
    return corrupted, mask


def _donor(images: NDArray[np.uint8], index: int, random: np.random.Generator) -> Image:
    """Another of the images than number ``index``, if there is another."""
    donor: Image = images[(index + random.integers(1, max(2, len(images)))) % len(images)]
    return donor


def _box(region: Mask) -> tuple[slice, ...]:
    """The rows and columns that a region spans, and some around it where it is too small to draw in."""
    spans = []
    for axis in (1, 0):
        places = np.flatnonzero(region.any(axis=axis))
        first, past = int(places[0]), int(places[-1]) + 1
        around = max(0, _LEAST_SIDE - (past - first))
        spans.append(slice(max(0, first - around), past + around))
    return tuple(spans)


def paste_patch(image: Image, donor: Image, random: np.random.Generator) -> tuple[Image, Mask]:
    """Paste a rectangle of 1 to 4 % of the area, taken elsewhere from another good image."""
    return _paste(image, donor, random, area=random.uniform(0.01, 0.04), aspect=random.uniform(0.5, 2.0))


def paste_scar(image: Image, donor: Image, random: np.random.Generator) -> tuple[Image, Mask]:
    """Paste a long thin rectangle of about half a per cent of the area."""
    aspect = random.uniform(6, 12) ** random.choice([-1, 1])
    return _paste(image, donor, random, area=random.uniform(0.003, 0.008), aspect=aspect)


def stain(image: Image, donor: Image, random: np.random.Generator) -> tuple[Image, Mask]:  # noqa: ARG001
    """Darken or lighten a soft spot with a radius of 3 to 8 % of the side."""
    height, width = image.shape[:2]
    y, x = _place_inside(image, random)
    rows, columns = np.ogrid[:height, :width]
    squared = (rows - y) ** 2 + (columns - x) ** 2
    spread = (random.uniform(0.03, 0.08) * min(height, width)) ** 2
    strength = np.exp(-((squared / spread) ** 2)) * random.uniform(0.25, 0.6)
    ground = 255.0 * random.choice([0, 1])
    spoilt = image + strength[..., None] * (ground - image)
    return np.rint(spoilt).astype(np.uint8), np.asarray(strength > 0.05)


def scratch(image: Image, donor: Image, random: np.random.Generator) -> tuple[Image, Mask]:  # noqa: ARG001
    """Draw a slightly bent bright or dark line, 1 to 2 % of the side wide."""
    height, width = image.shape[:2]
    side = min(height, width)
    y, x = _place_inside(image, random)
    angle, bend = random.uniform(0, np.pi), random.uniform(-1, 1) / side
    rows, columns = np.mgrid[:height, :width]
    along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle) - bend * along**2
    mask = (abs(across) <= max(0.5, random.uniform(0.005, 0.01) * side)) & (
        abs(along) < random.uniform(0.06, 0.15) * side
    )
    ground = 255.0 * random.choice([0, 1])
    spoilt = np.where(mask[..., None], image + 0.5 * (ground - image), image)
    return np.rint(spoilt).astype(np.uint8), mask


Kind = Callable[[Image, Image, np.random.Generator], tuple[Image, Mask]]
KINDS: dict[str, Kind] = {"patch": paste_patch, "scar": paste_scar, "stain": stain, "scratch": scratch}


def _within(kind: Kind, window: float, image: Image, donor: Image, random: np.random.Generator) -> tuple[Image, Mask]:
    if window == 1:
        return kind(image, donor, random)
    height, width = image.shape[:2]
    tall, wide = max(8, round(window * height)), max(8, round(window * width))
    y, x = _place_inside(image, random)
    top, left = int(np.clip(y - tall // 2, 0, height - tall)), int(np.clip(x - wide // 2, 0, width - wide))
    place = np.s_[top : top + tall, left : left + wide]
    spoilt, mask = image.copy(), np.zeros((height, width), bool)
    spoilt[place], mask[place] = kind(image[place], donor[place], random)
    return spoilt, mask


def _paste(image: Image, donor: Image, random: np.random.Generator, area: float, aspect: float) -> tuple[Image, Mask]:
    height, width = image.shape[:2]
    tall = int(np.clip(round(np.sqrt(area * height * width * aspect)), 1, height // 2))
    wide = int(np.clip(round(np.sqrt(area * height * width / aspect)), 1, width // 2))
    y, x = _place_inside(image, random)
    top, left = int(np.clip(y - tall // 2, 0, height - tall)), int(np.clip(x - wide // 2, 0, width - wide))
    from_top, from_left = random.integers(height - tall + 1), random.integers(width - wide + 1)
    spoilt, mask = image.copy(), np.zeros((height, width), bool)
    spoilt[top : top + tall, left : left + wide] = donor[from_top : from_top + tall, from_left : from_left + wide]
    mask[top : top + tall, left : left + wide] = True
    return spoilt, mask


def _place_inside(image: Image, random: np.random.Generator) -> tuple[float, float]:
    """A point (y, x) in the middle 60 % of the image, where parts usually lie."""
    height, width = image.shape[:2]
    return random.uniform(0.2, 0.8) * height, random.uniform(0.2, 0.8) * width
