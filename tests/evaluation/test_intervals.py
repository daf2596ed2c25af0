"""Bootstrap intervals: seeded, stratified, and about as wide as theory says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from cobnut.evaluation.intervals import DRAWS, PixelBootstrap, bootstrap, drawn_positions, exact_interval
from cobnut.evaluation.metrics import auroc, average_precision, pro


def test_every_draw_has_as_many_good_and_defective_images_as_there_are() -> None:
    truth = np.array([False] * 7 + [True] * 3)
    draws = drawn_positions(truth, seed=0)
    assert len(draws) == DRAWS
    assert all(truth[positions].sum() == 3 and len(positions) == 10 for positions in draws)
    assert len({tuple(positions) for positions in draws}) > DRAWS // 2


def test_the_interval_of_a_rate_is_as_wide_as_the_binomial() -> None:
    truth = np.zeros(400, bool)
    called = np.arange(400) < 80
    low, high = bootstrap(lambda drawn: {"rate": float(called[drawn].mean())}, truth)["rate"]
    spread = 1.96 * np.sqrt(0.2 * 0.8 / 400)
    assert low == pytest.approx(0.2 - spread, abs=0.012)
    assert high == pytest.approx(0.2 + spread, abs=0.012)


@given(st.integers(1, 300), st.floats(0, 1))
@settings(max_examples=60)
def test_the_exact_interval_agrees_with_scipy(whole: int, share: float) -> None:
    part = round(share * whole)
    reference = binomtest(part, whole).proportion_ci(0.95, method="exact")
    assert exact_interval(part, whole) == pytest.approx((reference.low, reference.high), abs=1e-9)


def test_none_in_twenty_may_well_be_one_in_seven() -> None:
    assert exact_interval(0, 20) == pytest.approx((0, 0.168), abs=1e-3)


def test_a_figure_without_a_value_has_no_interval() -> None:
    assert bootstrap(lambda _: {"recall": None}, np.zeros(5, bool)) == {}


@pytest.fixture(scope="module")
def pixels() -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    random = np.random.default_rng(0)
    good = [random.gamma(2, 1, 2000) for _ in range(12)]
    regions = [[] for _ in range(6)] + [
        [random.gamma(5, 1, size) for size in random.integers(5, 300, 2)] for _ in range(6)
    ]
    return good, regions


def test_the_histograms_give_nearly_the_exact_pixel_figures(
    pixels: tuple[list[np.ndarray], list[list[np.ndarray]]],
) -> None:
    good, regions = pixels
    figures = PixelBootstrap(good, regions).figures(np.ones(12, np.intp))
    flat = [region for image in regions for region in image]
    pooled = np.sort(np.concatenate(good))
    assert figures["pixel_auroc"] == pytest.approx(auroc(pooled, np.concatenate(flat)), abs=1e-3)
    assert figures["pixel_ap"] == pytest.approx(average_precision(pooled, np.concatenate(flat)), abs=2e-3)
    assert figures["pro"] == pytest.approx(pro(pooled, flat), abs=2e-3)


def test_pixel_intervals_hold_the_figures_and_repeat(pixels: tuple[list[np.ndarray], list[list[np.ndarray]]]) -> None:
    resampler = PixelBootstrap(*pixels)
    intervals = resampler.intervals()
    for name, value in resampler.figures(np.ones(12, np.intp)).items():
        low, high = intervals[name]
        assert low < value < high
    assert resampler.intervals() == intervals
