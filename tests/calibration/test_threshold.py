"""The study's decision, chosen from good images alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cobnut.calibration.threshold import choose_percentile_and_area, percentile_threshold


@given(st.integers(0, 1000), st.floats(0, 100))
@settings(max_examples=50)
def test_the_threshold_is_the_percentile_of_all_pixels(seed: int, q: float) -> None:
    maps = np.random.default_rng(seed).random((3, 5, 7)).astype(np.float32)
    assert percentile_threshold(maps, q) == pytest.approx(np.percentile(maps.ravel(), q), rel=1e-6)


def kth_largest(maps: np.ndarray, area: float) -> np.ndarray:
    return np.sort(maps.reshape(len(maps), -1))[:, ::-1][:, int(area * maps[0].size)]


@pytest.fixture
def good() -> np.ndarray:
    return np.random.default_rng(0).random((20, 32, 32)).astype(np.float32)


def choose(
    good: np.ndarray, synthetic: np.ndarray, tolerated: float = 0.05, areas: tuple[float, ...] = (0.0, 0.01, 0.05)
):
    return choose_percentile_and_area(
        good,
        {area: kth_largest(good, area) for area in areas},
        {area: kth_largest(synthetic, area) for area in areas},
        (90.0, 97.5, 99.0, 99.9, 100.0),
        tolerated,
    )


def test_defects_that_are_large_but_faint_ask_for_an_area(good: np.ndarray) -> None:
    synthetic = good.copy()
    synthetic[:, :8] = np.maximum(synthetic[:, :8], 0.985)
    choice = choose(good, synthetic)
    assert choice.least_area > 0
    assert choice.synthetic_found == 1
    assert choice.false_alarm_rate <= 0.05


def test_defects_that_are_small_but_strong_ask_for_single_pixels(good: np.ndarray) -> None:
    synthetic = good.copy()
    synthetic[:, 0, 0] = 5
    choice = choose(good, synthetic)
    assert choice.least_area == 0
    assert choice.synthetic_found == 1


def test_the_tolerated_rate_is_kept_whatever_the_defects_gain(good: np.ndarray) -> None:
    for tolerated in (0.0, 0.05, 0.2):
        assert choose(good, good + 0.001, tolerated).false_alarm_rate <= tolerated


def test_an_image_never_sets_the_threshold_that_it_is_judged_by(good: np.ndarray) -> None:
    good[7, 3, 3] = 9  # the largest of all: were it in its own threshold's percentile 100, it could not be an alarm
    choice = choose_percentile_and_area(good, {0.0: kth_largest(good, 0)}, {0.0: kth_largest(good, 0)}, (100.0,), 0.0)
    assert choice.false_alarm_rate == pytest.approx(1 / 20)
