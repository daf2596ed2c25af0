"""Rendered photographs of hazelnuts, good and defective, with exact masks: a data set for anyone, in seconds."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cobnut.data.sample_parts.defects import DEFECTS, mark
from cobnut.data.sample_parts.shape import Floats, Surface, draw_pose, draw_shape, see_surface
from cobnut.data.sample_parts.skin import colour, draw_light, draw_skin, illuminate, paint_skin
from cobnut.errors import DataError
from cobnut.files import write_whole_folder

DEFECT_TYPES: tuple[str, ...] = tuple(DEFECTS)  # crack, cut, hole, print
SMALLEST_SIDE, LARGEST_SIDE = 32, 1024
FINE_SIDE = 128  # up to here the nut is rendered twice as large and averaged, as a sharp lens would see it
BLACK, WHITE = np.uint8(0), np.uint8(255)
TOLERANCE = 2  # grey levels; a defect that changes a pixel by no more leaves it untouched, and out of the mask


def render_part(
    seed: int, *, side: int = 256, defect_type: str = "good"
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """One hazelnut: image (side, side, 3) RGB and mask (side, side) of exactly the pixels that the defect changes.

    The same ``seed`` gives the same nut, light and sensor noise for every ``defect_type``; ``"good"`` has an empty
    mask. In the mask some channel differs from the good image by more than 2 grey levels; outside it nothing does.
    """
    _check(seed, side, defect_type)
    rng = _generator(seed, "good")
    shape, pose, skin, light = draw_shape(rng), draw_pose(rng), draw_skin(rng), draw_light(rng)
    scale = 2 if side <= FINE_SIDE else 1
    surface = see_surface(shape, pose, side * scale)
    ground = _draw_ground(rng, surface, light.towards)
    noise = rng.standard_normal((3, side, side), np.float32) * np.float32(rng.uniform(1.0, 1.8))
    colours, gloss, relief = paint_skin(skin, surface)
    lamp, sheen = illuminate(light, pose, surface, relief)

    def photograph(colours: Floats, gloss: Floats) -> NDArray[np.uint8]:
        return _develop(_lay_on(ground, surface, colours * lamp + gloss * sheen), noise, scale)

    good = photograph(colours, gloss)
    if defect_type == "good":
        return good, np.zeros((side, side), np.bool_)
    marked = mark(defect_type, _generator(seed, defect_type), shape, pose, surface, colours, gloss)
    return _keep_to_mask(good, photograph(*marked))


def write_sample_parts(
    folder: Path,
    *,
    good: int = 100,
    test_good: int = 20,
    defective: int = 10,
    side: int = 256,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a data set in the layout of MVTec AD, with ``defective`` images of each type, and return its folder.

    Each image has a seed of its own, so a larger set starts with the smaller one. ``on_progress`` is told how many
    images are written and how many there will be. Raises :class:`DataError` rather than touch a folder that has files.
    """
    folder = Path(folder)
    _check(seed, side, "good")
    _check_counts(good, test_good, defective)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: is not an empty folder; name another folder or remove it")
    plan = list(_plan(good, test_good, defective))
    with write_whole_folder(folder) as partial:
        for done, (split, defect_type, index) in enumerate(plan, start=1):
            part_seed = _part_seed(seed, split, defect_type, index)
            image, mask = render_part(part_seed, side=side, defect_type=defect_type)
            _save(image, partial / split / defect_type / f"{index:03d}.png")
            if defect_type != "good":
                _save(np.where(mask, WHITE, BLACK), partial / "ground_truth" / defect_type / f"{index:03d}_mask.png")
            if on_progress is not None:
                on_progress(done, len(plan))
    return folder


def _check(seed: int, side: int, defect_type: str) -> None:
    if seed < 0:
        raise DataError(f"seed {seed} is negative; choose 0 or more")
    if not SMALLEST_SIDE <= side <= LARGEST_SIDE:
        raise DataError(f"side {side} is out of range; choose {SMALLEST_SIDE} to {LARGEST_SIDE} pixels")
    if defect_type != "good" and defect_type not in DEFECT_TYPES:
        raise DataError(f"unknown defect type {defect_type!r}; choose one of: good, {', '.join(DEFECT_TYPES)}")


def _check_counts(good: int, test_good: int, defective: int) -> None:
    if good < 1:
        raise DataError(f"good is {good}, but a data set needs at least 1 good image to learn from")
    for name, count in (("test_good", test_good), ("defective", defective)):
        if count < 0:
            raise DataError(f"{name} is {count}; choose 0 or more")


def _plan(good: int, test_good: int, defective: int) -> Iterator[tuple[str, str, int]]:
    """Split, defect type and index of every image."""
    yield from (("train", "good", index) for index in range(good))
    yield from (("test", "good", index) for index in range(test_good))
    for defect_type in DEFECT_TYPES:
        yield from (("test", defect_type, index) for index in range(defective))


def _part_seed(seed: int, split: str, defect_type: str, index: int) -> int:
    place = (("train", "test").index(split), ("good", *DEFECT_TYPES).index(defect_type), index)
    return int(np.random.SeedSequence(seed, spawn_key=place).generate_state(1, np.uint64)[0])


def _generator(seed: int, defect_type: str) -> np.random.Generator:
    stream = ("good", *DEFECT_TYPES).index(defect_type)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream,)))


def _draw_ground(rng: np.random.Generator, surface: Surface, towards_lamp: Floats) -> Floats:
    """The dark tray, (3, side * side), linear light: uneven by a breath, darker where the nut touches it."""
    line = np.linspace(-1, 1, surface.side, dtype=np.float32)
    tilt_x, tilt_y = rng.uniform(-0.06, 0.06, 2)
    even = (1 + float(tilt_x) * line[None, :] + float(tilt_y) * line[:, None]).ravel()
    away = -(line[None, :] * towards_lamp[0] + line[:, None] * towards_lamp[1]).ravel()
    shadow = (0.45 + 0.25 * away) * np.exp(-np.maximum(surface.gap, 0) * 6)
    base = colour(34, 33.5, 38.5) * rng.uniform(0.85, 1.15)
    return np.asarray(base[:, None] * (even * (1 - np.clip(shadow, 0, 0.8))), np.float32)


def _lay_on(ground: Floats, surface: Surface, seen: Floats) -> Floats:
    """The nut in front of the tray, (3, side, side)."""
    scene = ground.copy()
    behind = ground[:, surface.hits]
    scene[:, surface.hits] = behind + (seen - behind) * surface.coverage
    return scene.reshape(3, surface.side, surface.side)


def _develop(scene: Floats, noise: Floats, scale: int) -> NDArray[np.uint8]:
    """What lens and sensor make of linear light (3, side, side): a little blur, gamma, noise, 8 bits, channels last."""
    if scale == 2:
        scene = (scene[:, ::2] + scene[:, 1::2]) * 0.5
        scene = (scene[:, :, ::2] + scene[:, :, 1::2]) * 0.5
    else:
        scene = _blur(_blur(scene, 1), 2)
    grey = np.sqrt(np.clip(scene, 0, 1)) * 255 + noise
    return np.ascontiguousarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8).transpose(1, 2, 0))


def _blur(scene: Floats, axis: int) -> Floats:
    """A lens a little short of perfect: one eighth of the light goes to either neighbour; the rim has none to take."""
    first, middle, last = ((slice(None),) * axis + (part,) for part in (slice(-2), slice(1, -1), slice(2, None)))
    neighbours = scene[first] + scene[last]
    neighbours *= 0.125
    blurred = scene.copy()
    blurred[middle] *= 0.75
    blurred[middle] += neighbours
    return blurred


def _keep_to_mask(good: NDArray[np.uint8], marked: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The marked image and its mask; what differs by no more than ``TOLERANCE`` grey levels goes back to good."""
    difference = np.maximum(good, marked) - np.minimum(good, marked)
    red, green, blue = np.moveaxis(difference > TOLERANCE, 2, 0)
    mask = red | green | blue
    image = good.copy()
    image[mask] = marked[mask]
    return image, mask


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=1)  # sensor noise hardly compresses, whatever the effort
