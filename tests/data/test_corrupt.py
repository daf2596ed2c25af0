"""Synthetic defects: seeded, local, and inside their masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cobnut.data.corrupt import KINDS, corrupt


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(40, 200, (3, 64, 64, 3), dtype=np.uint8)


def test_every_image_gets_every_kind(images: np.ndarray) -> None:
    spoilt, masks = corrupt(images, seed=0)
    assert spoilt.shape == (3 * len(KINDS), 64, 64, 3)
    assert masks.shape == (3 * len(KINDS), 64, 64)


def test_the_same_seed_gives_the_same_defects(images: np.ndarray) -> None:
    np.testing.assert_array_equal(corrupt(images, 1)[0], corrupt(images, 1)[0])
    assert (corrupt(images, 1)[0] != corrupt(images, 2)[0]).any()


def test_images_that_lie_apart_share_no_pixels() -> None:
    images = np.broadcast_to(np.arange(7, dtype=np.uint8)[:, None, None, None] * 20 + 40, (7, 32, 32, 1))
    pasted, mixed = 0, 0
    for seed in range(5):
        spoilt, masks = corrupt(images, seed, apart=2)
        for number in range(7):
            for kind in (0, 1):  # patch and scar
                place = number * len(KINDS) + kind
                donors = (spoilt[place][masks[place]] - 40) // 20
                pasted += int((donors != number).any())
                mixed += int((donors % 2 != number % 2).any())
    assert (pasted, mixed) == (70, 0)
    assert (corrupt(images, 0)[0] != corrupt(images, 0, apart=2)[0]).any()


@given(st.integers(0, 10_000), st.sampled_from(sorted(KINDS)), st.integers(24, 80), st.sampled_from([1, 3]))
@settings(max_examples=60)
def test_a_defect_is_small_and_changes_the_image_inside_its_mask_only(
    seed: int, kind: str, side: int, channels: int
) -> None:
    random = np.random.default_rng(seed)
    image, donor = random.integers(0, 256, (2, side, side, channels), dtype=np.uint8)
    spoilt, mask = KINDS[kind](image, donor, random)
    assert mask.any()
    assert mask.mean() < 0.15
    difference = abs(spoilt.astype(int) - image)
    assert difference[mask].any()
    assert difference[~mask].max() <= 13  # the soft rim of a stain below its mask's edge
    assert spoilt.dtype == np.uint8


@given(st.integers(0, 10_000), st.sampled_from([0.4, 0.7]))
@settings(max_examples=20)
def test_a_window_makes_the_defects_smaller_and_leaves_the_rest_alone(seed: int, window: float) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    spoilt, masks = corrupt(images, seed, window)
    originals = np.repeat(images, len(KINDS), axis=0)
    for image, original, mask in zip(spoilt, originals, masks, strict=True):
        assert mask.any()
        assert mask.mean() < 0.3 * window**2
        rows, columns = np.nonzero((image != original).any(axis=-1))
        assert np.ptp(rows) < window * 64 + 1
        assert np.ptp(columns) < window * 64 + 1


def test_every_defect_touches_a_thin_frame_around_the_image() -> None:
    images = np.random.default_rng(0).integers(40, 200, (8, 96, 96, 1), dtype=np.uint8)
    region = np.ones((96, 96), bool)
    region[3:-3, 3:-3] = False
    masks = corrupt(images, 0, window=0.4, region=region)[1]
    assert (masks & region).any(axis=(1, 2)).all()
