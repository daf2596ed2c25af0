"""The alpha that costs least is chosen, and what it promises is kept."""

import math
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from cobnut.calibration.conformal import conformal_threshold
from cobnut.calibration.costs import Costs, LeastCost, weigh
from cobnut.errors import CobnutError

DRAWS = 2000


def labelled(scores: Iterable[float]) -> dict[str, float]:
    return {f"{number:064x}": float(score) for number, score in enumerate(scores)}


COSTS = Costs(miss=10, false_alarm=1, defect_rate=0.1)


def simulate(images: int, shift: float, is_parted: bool) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Good parts rejected of one a draw; what was promised in each draw; the true share above each threshold."""
    random = np.random.default_rng(4)
    rejected, promised, true = 0, [], []
    for _ in range(DRAWS):
        good, defective = random.lognormal(size=images + 1), random.lognormal(shift, size=30)
        choosing = good[: images // 2] if is_parted else good[:-1]
        calibrating = good[images // 2 : -1] if is_parted else good[:-1]
        alpha = LeastCost(COSTS, labelled(defective)).choose(choosing, len(calibrating), 0.0)
        threshold = conformal_threshold(calibrating, alpha)
        rejected += good[-1] > threshold
        count = len(calibrating) + 1
        promised.append(math.floor(round(alpha * count, 9)) / count)  # exactly, for continuous scores
        true.append(stats.lognorm.sf(threshold, 1))
    return rejected, np.array(promised), np.array(true)


@pytest.mark.parametrize(("images", "shift"), [(40, 1.0), (80, 1.5)])
def test_the_chosen_alpha_rejects_as_many_good_parts_as_it_promises(images: int, shift: float) -> None:
    rejected, promised, true = simulate(images, shift, is_parted=True)
    assert len(np.unique(promised)) > 3  # alpha is a choice, and not always the same
    low, high = stats.binom.interval(0.999, DRAWS, promised.mean())
    assert low <= rejected <= high
    assert stats.ttest_rel(true, promised, alternative="greater").pvalue > 0.001
    for alpha in np.unique(promised):  # whichever was chosen
        chosen = promised == alpha
        assert rejected_share_is_kept(true[chosen], alpha)


def rejected_share_is_kept(true: NDArray[np.float64], alpha: float) -> bool:
    return len(true) < 30 or bool(stats.ttest_1samp(true, alpha, alternative="greater").pvalue > 0.0005)


def test_chosen_by_the_scores_that_calibrate_it_would_reject_more() -> None:
    _, promised, true = simulate(40, 1.0, is_parted=False)
    assert stats.ttest_rel(true, promised, alternative="greater").pvalue < 1e-9


@given(
    st.lists(st.floats(0, 10), min_size=4, max_size=60),
    st.lists(st.floats(0, 10), min_size=1, max_size=30),
    st.integers(4, 200),
    st.sampled_from([0.0, 0.8]),
)
def test_every_offer_can_be_kept_and_the_cheapest_is_chosen(
    choosing: list[float], defective: list[float], calibrating: int, confidence: float
) -> None:
    by_cost = LeastCost(COSTS, labelled(defective))
    alpha = by_cost.choose(np.array(choosing), calibrating, confidence)
    for each in by_cost.offers:
        conformal_threshold(np.arange(float(calibrating)), each.alpha, confidence)
        missed = np.mean(
            [score <= conformal_threshold(np.array(choosing), each.alpha, confidence) for score in defective]
        )
        assert each.miss_rate == pytest.approx(missed)
        assert each.cost == pytest.approx(0.1 * missed * 10 + 0.9 * each.alpha * 1)
    for one, other in pairwise(by_cost.offers):
        assert one.alpha < other.alpha
        assert one.miss_rate >= other.miss_rate
    assert by_cost.best.alpha == alpha
    assert by_cost.best.cost == min(each.cost for each in by_cost.offers)


def test_dear_misses_choose_a_higher_alpha_than_dear_false_alarms() -> None:
    random = np.random.default_rng(0)
    good, defective = random.lognormal(size=200), random.lognormal(1.5, size=100)
    dear_misses = LeastCost(Costs(100, 1, 0.05), labelled(defective)).choose(good, 200, 0.0)
    dear_alarms = LeastCost(Costs(1, 100, 0.05), labelled(defective)).choose(good, 200, 0.0)
    assert dear_misses > 0.1
    assert dear_alarms == pytest.approx(0.005)


def test_without_inspection_every_defect_is_missed_and_nothing_else_costs() -> None:
    assert Costs(40, 3, 0.02).uninspected == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((-1, 1, 0.1), "--cost-miss -1: is no cost"),
        ((0, 1, 0.1), "--cost-miss 0: is no cost"),
        ((1, math.inf, 0.1), "--cost-false-alarm inf: is no cost"),
        ((math.nan, 1, 0.1), "--cost-miss nan: is no cost"),
        ((1, 1, 0), "--defect-rate 0: is no share"),
        ((1, 1, 1), "--defect-rate 1: is no share"),
        ((1, 1, math.nan), "--defect-rate nan: is no share"),
    ],
)
def test_costs_that_make_no_sense_are_refused(values: tuple[float, float, float], message: str) -> None:
    with pytest.raises(CobnutError, match=message):
        Costs(*values)


@pytest.mark.parametrize(("choosing", "calibrating", "confidence", "needed"), [(0, 1, 0.0, 2), (4, 4, 0.95, 10)])
def test_too_few_images_to_choose_are_told(choosing: int, calibrating: int, confidence: float, needed: int) -> None:
    with pytest.raises(CobnutError, match=f"takes {needed} good images at the least.*you have {choosing} and"):
        weigh(np.arange(float(choosing)), np.ones(3), COSTS, calibrating, confidence)
    weigh(np.arange(needed / 2), np.ones(3), COSTS, needed // 2, confidence)
