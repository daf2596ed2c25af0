"""Pixels are parted into good ones and connected defects, at the mask's own resolution."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cobnut.evaluation.pixels import PixelScores, shrink_mask


def test_each_connected_defect_is_a_region_of_its_own_corners_joined() -> None:
    mask = np.zeros((6, 6), bool)
    mask[0, 0] = mask[1, 1] = True
    mask[4, 3:6] = True
    values = np.arange(36, dtype=np.float32).reshape(6, 6)
    pixels = PixelScores()
    pixels.add(values, mask, "crack")
    assert [sorted(region.tolist()) for region in pixels.regions[0]] == [[0, 7], [27, 28, 29]]
    assert sorted(pixels.good[0].tolist()) == sorted(values[~mask].tolist())


def test_a_map_is_brought_to_the_mask_s_size() -> None:
    pixels = PixelScores()
    pixels.add(np.ones((4, 4), np.float32), np.eye(20, 30, dtype=bool), "crack")
    assert sum(map(len, pixels.regions[0])) == 20
    assert len(pixels.good[0]) == 20 * 30 - 20


def test_without_a_drawn_defect_there_is_no_figure() -> None:
    pixels = PixelScores()
    pixels.add(np.ones((4, 4), np.float32), np.zeros((4, 4), bool), "good")
    assert pixels.figures() == {"pixel_auroc": None, "pixel_ap": None, "pro": None}
    assert pixels.intervals() == {}


def test_a_perfect_map_has_perfect_figures() -> None:
    mask = np.zeros((16, 16), bool)
    mask[3:6, 3:9] = True
    pixels = PixelScores()
    pixels.add(mask.astype(np.float32), mask, "hole")
    assert pixels.figures() == {"pixel_auroc": 1.0, "pixel_ap": 1.0, "pro": 1.0}


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 89), st.integers(0, 89), st.sampled_from([16, 40, 90]))
@settings(max_examples=80)
def test_shrinking_a_mask_loses_no_spot(height: int, width: int, y: int, x: int, longest: int) -> None:
    mask = np.zeros((height, width), bool)
    mask[y % height, x % width] = True
    small = shrink_mask(mask, longest)
    assert small.any()
    assert max(small.shape) <= longest
