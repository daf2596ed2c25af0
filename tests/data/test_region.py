"""A region is drawn as a mask or as polygons, and must fit the photographs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from cobnut.data.region import GROUND, paint, read_region, shrink_region
from cobnut.errors import DataError
from cobnut.options import RegionOptions

TRIANGLE = "10,5 50,5 10,35"


@pytest.fixture
def photographs(write_image: Callable[..., Path]) -> list[Path]:
    return [write_image(f"{name}.png", np.zeros((40, 60, 3), np.uint8)) for name in "ab"]


def region_of(photographs: list[Path], inspect: str | Path = "", ignore: str | Path = "") -> np.ndarray:
    region = read_region(RegionOptions(inspect=str(inspect), ignore=str(ignore)), photographs)
    assert region is not None
    return region


def test_without_a_drawing_everything_is_inspected(photographs: list[Path]) -> None:
    assert read_region(RegionOptions(inspect="", ignore=""), photographs) is None


def test_a_polygon_is_filled(photographs: list[Path]) -> None:
    corners = [(5, 10), (5, 50), (35, 10)]  # (row, column)
    expected = polygon2mask((40, 60), corners)
    assert (region_of(photographs, TRIANGLE) != expected).mean() < 0.02  # but for the line around it
    assert region_of(photographs, TRIANGLE)[6, 12]


def test_several_polygons_add_up_and_ignored_ones_are_taken_off(photographs: list[Path]) -> None:
    both = region_of(photographs, "0,0 9,0 9,9 0,9; 20,20 29,20 29,29 20,29;")
    assert both.sum() == 200
    assert region_of(photographs, "0,0 59,0 59,39 0,39", "0,0 29,0 29,39 0,39").sum() == 30 * 40


def test_a_mask_is_bright_where_it_holds(photographs: list[Path], write_image: Callable[..., Path]) -> None:
    drawn = np.zeros((40, 60), np.uint8)
    drawn[3:9, 4:8] = 255
    mask = write_image("mask.png", drawn)
    np.testing.assert_array_equal(region_of(photographs, mask), drawn > 0)
    np.testing.assert_array_equal(region_of(photographs, ignore=mask), drawn == 0)


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        ("70,5 50,5 10,35", "point 70,5 lies outside the photographs, which are 60 × 40 pixels"),
        ("10,5 50,5", "is no polygon; write three points or more"),
        ("10,5 50 10,35", "is no polygon"),
        ("nothing.png", "no such mask image, and no polygon"),
        ("a" * 300, "no such mask image, and no polygon"),
        ("5,5 5,5 5,5", "encloses nothing"),
        ("0,0 30,30 15,15", "encloses nothing"),
    ],
)
def test_what_cannot_be_drawn_is_refused(photographs: list[Path], drawn: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        region_of(photographs, drawn)


def test_a_mask_of_another_size_or_without_a_mark_is_refused(
    photographs: list[Path], write_image: Callable[..., Path]
) -> None:
    with pytest.raises(DataError, match="the mask is 61 × 40 pixels, the photographs are 60 × 40; draw it on one"):
        region_of(photographs, write_image("wide.png", np.full((40, 61), 255, np.uint8)))
    with pytest.raises(DataError, match="marks nothing"):
        region_of(photographs, write_image("black.png", np.zeros((40, 60), np.uint8)))


def test_nothing_left_to_inspect_is_refused(photographs: list[Path]) -> None:
    with pytest.raises(DataError, match=r"region.inspect = 10.*, region.ignore = 0.*: leaves nothing to inspect"):
        region_of(photographs, TRIANGLE, "0,0 60,0 60,40 0,40")


def test_photographs_of_several_sizes_are_refused(photographs: list[Path], write_image: Callable[..., Path]) -> None:
    other = write_image("other.png", np.zeros((40, 61, 3), np.uint8))
    with pytest.raises(DataError, match="other.png: is 61 × 40 pixels and .*a.png is 60 × 40"):
        region_of([*photographs, other], TRIANGLE)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
def test_no_inspected_pixel_is_lost_on_a_coarser_grid(seed: int, height: int, width: int) -> None:
    region = np.random.default_rng(seed).random((2 * height, 3 * width)) > 0.7
    expected = region.reshape(height, 2, width, 3).any(axis=(1, 3))
    np.testing.assert_array_equal(shrink_region(region, (height, width)), expected)


def test_only_what_is_inspected_is_left_of_an_image() -> None:
    image, region = np.arange(24, dtype=np.uint8).reshape(2, 4, 3), np.array([[True] * 4, [False] * 4])
    np.testing.assert_array_equal(paint(image, region)[0], image[0])
    assert (paint(image, region)[1] == GROUND).all()
    assert paint(image, None) is image
