"""Images that are the same, or nearly: copies, re-saved copies, and parts that were photographed twice."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cobnut.data.images import read_image
from cobnut.data.split import content_hashes
from cobnut.errors import ImageError
from cobnut.options import ImageOptions
from cobnut.records import Sample

Likeness = Literal["copy", "near copy", "alike"]
SIDE = 64
# Root mean square difference of two fingerprints. Saving as JPEG again costs 0.005 to 0.03.
NEAR_COPY = 0.03
# Two are twins only when their difference is under half of what is usual between an image and its nearest.
ALIKE_SHARE = 0.5
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Twins:
    """Two images of one part, it seems; ``difference`` is 0 for the same picture and about 1.4 for unrelated ones."""

    first: Sample
    second: Sample
    likeness: Likeness
    difference: float

    @property
    def crosses(self) -> bool:
        """Whether one may train while the other tests, so that the test would flatter."""
        return self.first.split != self.second.split

    @property
    def contradicts(self) -> bool:
        """Whether one is called good and the other defective."""
        return self.first.is_defective != self.second.is_defective


def find_twins(samples: Sequence[Sample], on_progress: Callable[[int], None] = lambda _: None) -> list[Twins]:
    """Every pair that looks like one part, the most alike first; images that cannot be read are left out.

    Images are compared by a perceptual fingerprint that forgets brightness, contrast and small details.
    """
    readable, prints = _fingerprints(samples, on_progress)
    hashes = content_hashes(readable)
    by_content: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in readable:
        by_content[hashes[sample.path]].append(sample)
    twins = [Twins(same[0], other, "copy", 0.0) for same in by_content.values() for other in same[1:]]
    firsts = {same[0].path for same in by_content.values()}
    kept = np.array([sample.path in firsts for sample in readable], bool)
    return twins + _near_twins([s for s in readable if s.path in firsts], prints[kept])


def _near_twins(samples: Sequence[Sample], prints: NDArray[np.float32]) -> list[Twins]:
    """Pairs that stand out by their likeness among images that are no copies of each other."""
    nearest, close = _neighbours(prints)
    if len(nearest) < 2:
        return []
    usual = float(np.median(nearest))
    # where all parts lie still under a still camera, likeness proves nothing: a twin must stand out among them
    near = min(NEAR_COPY, ALIKE_SHARE * usual)
    pairs = sorted(close(ALIKE_SHARE * usual).items(), key=lambda pair: pair[1])
    return [
        Twins(samples[first], samples[second], "near copy" if difference <= near else "alike", difference)
        for (first, second), difference in pairs
    ]


def fingerprint(path: Path) -> NDArray[np.float32]:
    """What a picture looks like from afar: 64 × 64 grey levels with mean 0 and deviation 1, flat (4096,).

    Raises :class:`ImageError` when it cannot be read.
    """
    pixels = read_image(path, ImageOptions(size=SIDE, mode="grey", bits=16)).ravel().astype(np.float32)
    pixels -= pixels.mean()
    return pixels / max(float(pixels.std()), 1e-3)


def _fingerprints(
    samples: Sequence[Sample], on_progress: Callable[[int], None]
) -> tuple[list[Sample], NDArray[np.float32]]:
    def look(sample: Sample) -> NDArray[np.float32] | None:
        try:
            return fingerprint(sample.path)
        except ImageError:
            return None

    readable, prints = [], []
    with ThreadPoolExecutor() as pool:
        for sample, seen in zip(samples, pool.map(look, samples), strict=True):
            on_progress(1)
            if seen is not None:
                readable.append(sample)
                prints.append(seen)
    return readable, np.stack(prints) if prints else np.empty((0, SIDE * SIDE), np.float32)


def _neighbours(
    prints: NDArray[np.float32],
) -> tuple[NDArray[np.float32], Callable[[float], dict[tuple[int, int], float]]]:
    """The difference of each print to its nearest, and a way to all pairs under a limit; block by block."""
    count, size = prints.shape

    def differences(start: int) -> NDArray[np.float32]:
        products = prints[start : start + _BLOCK] @ prints.T / size
        between = np.sqrt(np.maximum(2 - 2 * products, 0))
        between[np.arange(len(between)), start + np.arange(len(between))] = np.inf
        return np.asarray(between, np.float32)

    nearest = [differences(start).min(axis=1) for start in range(0, count, _BLOCK)] if count > 1 else []

    def close(limit: float) -> dict[tuple[int, int], float]:
        found: defaultdict[tuple[int, int], float] = defaultdict(float)
        for start in range(0, count, _BLOCK):
            between = differences(start)
            for row, column in np.argwhere(between <= limit):
                if start + row < column:
                    found[int(start + row), int(column)] = float(between[row, column])
        return dict(found)

    return np.concatenate(nearest) if nearest else np.empty(0, np.float32), close
