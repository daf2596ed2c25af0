"""What a network sees while it learns to undo harm: images with cells blotted out, synthetic defects, or noise."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cobnut.data.corrupt import paste_patch, paste_scar, scratch, stain
from cobnut.options import CorruptionOptions

Images = NDArray[np.uint8]
Masks = NDArray[np.bool_]
# Colour of a blotted-out cell.
BLANK = 128


def spoil(images: Images, options: CorruptionOptions, random: np.random.Generator) -> tuple[Images, Masks]:
    """Spoil a share of a batch (n, h, w, c): the batch, and masks (n, h, w) of the places that were spoilt."""
    ways = {"none": _leave, "mask": blot_out, "defects": add_defects, "noise": add_noise}
    spoilt, masks = ways[options.name](images, options, random)
    spared = random.random(len(images)) >= options.share
    spoilt[spared], masks[spared] = images[spared], False
    return spoilt, masks


def _leave(images: Images, options: CorruptionOptions, random: np.random.Generator) -> tuple[Images, Masks]:  # noqa: ARG001
    return images.copy(), np.zeros(images.shape[:3], bool)


def blot_out(images: Images, options: CorruptionOptions, random: np.random.Generator) -> tuple[Images, Masks]:
    """Blot out one part of the square cells of each image, dealt anew by chance (Zavrtanik et al., RIAD, 2021, 3.1)."""
    masks = np.empty(images.shape[:3], bool)
    height, width = images.shape[1:3]
    for mask in masks:
        side = int(random.choice(options.cells))
        dealt = deal_cells(height, width, side, options.parts, random)
        mask[:] = dealt == random.integers(options.parts)
    return np.where(masks[..., None], np.uint8(BLANK), images), masks


def deal_cells(height: int, width: int, side: int, parts: int, random: np.random.Generator) -> NDArray[np.intp]:
    """The part, 0 to ``parts`` − 1, that every pixel's cell belongs to: (height, width), parts of nearly equal size."""
    rows, columns = -(-height // side), -(-width // side)
    cells = random.permutation(rows * columns).reshape(rows, columns) % parts
    return np.repeat(np.repeat(cells, side, axis=0), side, axis=1)[:height, :width]


def add_noise(images: Images, options: CorruptionOptions, random: np.random.Generator) -> tuple[Images, Masks]:
    """Add Gaussian noise everywhere (Vincent et al. 2008)."""
    noisy = images + 255 * options.noise * random.standard_normal(images.shape, dtype=np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8), np.ones(images.shape[:3], bool)


def add_defects(images: Images, options: CorruptionOptions, random: np.random.Generator) -> tuple[Images, Masks]:  # noqa: ARG001
    """Give each image one to three defects: cut-paste, scars, stains, scratches, textured patches (Bauer 2022, 3.2)."""
    spoilt, masks = images.copy(), np.zeros(images.shape[:3], bool)
    kinds = (texture, texture, texture, paste_patch, paste_scar, stain, scratch)
    for index in range(len(images)):
        for _ in range(random.integers(1, 4)):
            kind = kinds[random.integers(len(kinds))]
            donor = images[random.integers(len(images))]
            spoilt[index], mask = kind(spoilt[index], donor, random)
            masks[index] |= mask
    return spoilt, masks


def texture(image: Images, donor: Images, random: np.random.Generator) -> tuple[Images, NDArray[np.bool_]]:
    """Cover a blob of chance shape with noise of chance grain and colour, or with a piece of another good image."""
    height, width, channels = image.shape
    mask = blob(height, width, random)
    if random.random() < 0.3:
        shift = random.integers(height), random.integers(width)
        cover = np.roll(donor, shift, axis=(0, 1)).astype(np.float32)
    else:
        grain = int(2 ** random.uniform(0, np.log2(min(height, width) / 4)))
        cover = 255 * random.random(channels, dtype=np.float32) + random.uniform(0, 90) * np.stack(
            [smooth_noise(height, width, grain, random) for _ in range(channels)], axis=-1
        )
    opacity = random.uniform(0.3, 1.0) * mask[..., None]
    return np.clip(np.rint(image + opacity * (cover - image)), 0, 255).astype(np.uint8), mask


def blob(height: int, width: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """A ragged patch about a chance place, its reach 4 to 25 % of the side: (height, width)."""
    side = min(height, width)
    reach, aspect, angle = side * random.uniform(0.04, 0.25), random.uniform(0.3, 1.0), random.uniform(0, np.pi)
    y, x = random.uniform(0.1, 0.9) * height, random.uniform(0.1, 0.9) * width
    rows, columns = np.ogrid[:height, :width]
    along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
    distance = np.sqrt(along**2 + (across / aspect) ** 2) / reach
    return np.asarray(distance + 0.35 * smooth_noise(height, width, max(2, int(reach / 2)), random) < 1)


def smooth_noise(height: int, width: int, grain: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian noise whose spots are ``grain`` pixels wide, standard deviation about 1 or less: (height, width)."""
    coarse = random.standard_normal((-(-height // grain) + 1, -(-width // grain) + 1), dtype=np.float32)
    grown = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(grown, np.float32)
