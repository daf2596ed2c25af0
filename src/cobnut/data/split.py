"""Which good images train, validate, calibrate and test: a function of an image's content and the seed alone."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cobnut.errors import DataError
from cobnut.files import hash_file
from cobnut.options import SplitOptions
from cobnut.records import Sample, Split

FEWEST_GOOD_IMAGES = 20
FEWEST_HELD_BACK = 3
ENOUGH_GOOD_TEST_IMAGES = 20
AUTO_TEST_SHARE = 0.2


def content_hashes(samples: Sequence[Sample]) -> dict[Path, str]:
    """SHA-256 of every sample's file."""
    return {sample.path: hash_file(sample.path) for sample in samples}


def split_samples(
    samples: Sequence[Sample], options: SplitOptions, seed: int, hashes: Mapping[Path, str]
) -> list[Sample]:
    """Deal out the good images of split ``train`` to train, validation, calibration and, where asked, test.

    The test side does not depend on the seed, so that detectors of several seeds face the same test.

    Each image is dealt by a hash of its bytes and the seed alone: renaming, reordering or adding files moves no image,
    and two copies of one image always stand on the same side. Only when chance would give a side under half or over one
    and a half times its share (or under three images) do the nearest images move. A data set that brings its own
    validation or calibration images keeps them.
    """
    good = [sample for sample in samples if sample.split == "train"]
    different = len({hashes[sample.path] for sample in good})
    if different < FEWEST_GOOD_IMAGES:
        raise DataError(
            f"{different} different good images to learn from: at least {FEWEST_GOOD_IMAGES} are needed, 100 are better"
        )
    given = {sample.split for sample in samples}
    rest = [sample for sample in samples if sample.split != "train"]
    tested, good = _hold_out(good, test_share(samples, options), "test", 0, hashes)
    share = 0.0 if "calibration" in given else options.calibration
    calibrating, good = _hold_out(good, share, "calibration", seed, hashes)
    share = 0.0 if "validation" in given else options.validation / (1 - share)
    validating, good = _hold_out(good, share, "validation", seed, hashes)
    return good + validating + calibrating + tested + rest


def test_share(samples: Sequence[Sample], options: SplitOptions) -> float:
    """Share of the good training images that is held out for the test."""
    if options.test != "auto":
        return options.test
    given = sum(sample.split == "test" and not sample.is_defective for sample in samples)
    return AUTO_TEST_SHARE if given < ENOUGH_GOOD_TEST_IMAGES else 0.0


def _hold_out(
    samples: list[Sample], share: float, side: Split, seed: int, hashes: Mapping[Path, str]
) -> tuple[list[Sample], list[Sample]]:
    """Part ``samples`` into those dealt to ``side`` and those left over."""
    if share == 0:
        return [], samples
    place = {sample.path: _place(hashes[sample.path], side, seed) for sample in samples}
    places = sorted(set(place.values()))
    if len(places) <= FEWEST_HELD_BACK:
        raise DataError(f"{len(places)} good images are left for {side} and training; lower the shares of split.*")
    fewest = max(FEWEST_HELD_BACK, math.ceil(share * len(places) / 2))
    most = min(max(fewest, math.ceil(share * len(places) * 1.5)), len(places) - 1)
    edge = min(max(share, places[fewest - 1]), places[most - 1])
    held = [replace(sample, split=side) for sample in samples if place[sample.path] <= edge]
    return held, [sample for sample in samples if place[sample.path] > edge]


def _place(content_hash: str, side: Split, seed: int) -> float:
    """A number from 0 to 1, uniform over contents, and independent for each side and seed."""
    digest = hashlib.sha256(f"{seed}:{side}:{content_hash}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
