"""What a network sees while it learns to undo harm, and the masks that say where the harm is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cobnut.data.spoil import BLANK, blob, deal_cells, smooth_noise, spoil
from cobnut.options import CorruptionOptions

NAMES = ("none", "mask", "defects", "noise")
IMAGES = np.random.default_rng(0).integers(40, 200, (5, 48, 48, 3), dtype=np.uint8)


def spoilt(seed: int = 0, **options: object) -> tuple[np.ndarray, np.ndarray]:
    return spoil(IMAGES, CorruptionOptions.model_validate(options), np.random.default_rng(seed))


@pytest.mark.parametrize("name", NAMES)
def test_an_image_differs_inside_its_mask_only_and_the_good_ones_are_untouched(name: str) -> None:
    before = IMAGES.copy()
    seen, masks = spoilt(name=name)
    np.testing.assert_array_equal(IMAGES, before)
    assert (seen.dtype, seen.shape, masks.shape) == (np.uint8, IMAGES.shape, IMAGES.shape[:3])
    difference = abs(seen.astype(int) - IMAGES)
    assert difference[~masks].max(initial=0) <= 13  # the soft rim of a stain below its mask's edge
    assert masks.any() == (name != "none")


@pytest.mark.parametrize("name", NAMES)
def test_the_same_chance_spoils_alike(name: str) -> None:
    np.testing.assert_array_equal(spoilt(1, name=name)[0], spoilt(1, name=name)[0])
    if name != "none":
        assert (spoilt(1, name=name)[0] != spoilt(2, name=name)[0]).any()


def test_a_share_of_the_images_is_spared() -> None:
    images = np.repeat(IMAGES, 40, axis=0)
    options = CorruptionOptions(name="noise", share=0.3)
    _, masks = spoil(images, options, np.random.default_rng(0))
    assert 0.2 < masks.any(axis=(1, 2)).mean() < 0.4


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.integers(2, 9), st.integers(0, 99))
@settings(max_examples=50)
def test_the_parts_of_the_cells_cover_every_pixel_once_and_are_of_like_size(
    height: int, width: int, side: int, parts: int, seed: int
) -> None:
    dealt = deal_cells(height, width, side, parts, np.random.default_rng(seed))
    assert dealt.shape == (height, width)
    cells = dealt[::side, ::side]
    np.testing.assert_array_equal(dealt, np.kron(cells, np.ones((side, side), int))[:height, :width])
    counts = np.bincount(cells.ravel(), minlength=parts)
    assert counts.max() - counts.min() <= 1


def test_one_part_in_so_many_is_blotted_out() -> None:
    seen, masks = spoilt(name="mask", cells=[8], parts=3)
    assert (seen[masks] == BLANK).all()
    assert masks.mean(axis=(1, 2)) == pytest.approx(1 / 3, abs=0.02)


@given(st.integers(0, 500), st.integers(16, 96))
@settings(max_examples=40)
def test_a_blob_is_a_patch_and_not_the_whole(seed: int, side: int) -> None:
    assert blob(side, side, np.random.default_rng(seed)).mean() < 0.5


def test_smooth_noise_is_as_coarse_as_asked() -> None:
    fine, coarse = (smooth_noise(64, 64, grain, np.random.default_rng(0)) for grain in (1, 16))
    assert abs(np.diff(coarse)).mean() < 0.3 * abs(np.diff(fine)).mean()
    assert 0.3 < coarse.std() < 1.5
