"""Augmentation changes good images by chance, the same chance the same way, and keeps what they are."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cobnut.data.augment import augment, cut_patches, zoom
from cobnut.options import AugmentationOptions

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)


def changed(seed: int, options: AugmentationOptions) -> np.ndarray:
    return augment(IMAGES, options, np.random.default_rng(seed))


def test_without_options_nothing_changes() -> None:
    np.testing.assert_array_equal(changed(0, AugmentationOptions()), IMAGES)


def test_the_same_seed_changes_alike_and_another_seed_otherwise() -> None:
    options = AugmentationOptions(flip_horizontal=True, flip_vertical=True, zoom=0.3)
    np.testing.assert_array_equal(changed(3, options), changed(3, options))
    assert (changed(3, options) != changed(4, options)).any()


@given(st.integers(0, 1000), st.booleans(), st.booleans())
@settings(max_examples=30)
def test_a_flip_moves_pixels_and_invents_none(seed: int, horizontal: bool, vertical: bool) -> None:
    options = AugmentationOptions(flip_horizontal=horizontal, flip_vertical=vertical)
    for before, after in zip(IMAGES, changed(seed, options), strict=True):
        turned = [before, before[:, ::-1], before[::-1], before[::-1, ::-1]]
        allowed = [turned[i + 2 * j] for i in range(1 + horizontal) for j in range(1 + vertical)]
        assert any(np.array_equal(after, each) for each in allowed)


@given(st.floats(1, 2), st.sampled_from([1, 3]), st.integers(0, 99))
@settings(max_examples=30)
def test_zoom_keeps_shape_and_stays_within_the_range_of_the_image(factor: float, channels: int, seed: int) -> None:
    image = IMAGES[0, ..., :channels]
    grown = zoom(image, factor, np.random.default_rng(seed))
    assert grown.shape == image.shape
    assert image.min() <= grown.min() <= grown.max() <= image.max()


def test_zoom_by_two_doubles_what_is_in_the_image() -> None:
    image = np.zeros((32, 32, 1), np.uint8)
    image[:, 16:] = 200  # an edge stays an edge, wherever the window lies
    grown = zoom(image, 2.0, np.random.default_rng(1))
    assert set(np.unique(grown[:, [0, -1]])) <= {0, 200}


@given(st.integers(1, 16), st.integers(0, 99))
@settings(max_examples=30)
def test_a_patch_is_a_piece_of_its_own_image(side: int, seed: int) -> None:
    patches = cut_patches(IMAGES, side, np.random.default_rng(seed))
    assert patches.shape == (6, side, side, 3)
    for image, patch in zip(IMAGES, patches, strict=True):
        places = np.lib.stride_tricks.sliding_window_view(image, (side, side), axis=(0, 1))
        assert (places == patch.transpose(2, 0, 1)).all(axis=(2, 3, 4)).any()
