"""Drift raises an alarm soon, and nothing else does: by simulation."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from cobnut.calibration.martingale import DriftWatch, _rounded, alarm_at

LEVEL = 0.05
Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


def usual(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    return random.lognormal(sigma=0.3, size=count)


def highest(random: np.random.Generator, stream: NDArray[np.float64], calibration: int = 60) -> float:
    scores = usual(random, calibration)
    watch = DriftWatch.beside(scores, float(np.sort(scores)[-3]), seed=int(random.integers(1 << 30)))
    return max((watch.feed(float(score)) or 0.0 for score in stream), default=0.0)


def delay(random: np.random.Generator, draw: Draw, before: int = 200, most: int = 2000) -> int:
    """Parts from the beginning of the drift to the alarm."""
    scores = usual(random, 60)
    watch = DriftWatch.beside(scores, float(scores.max()), seed=1)
    for score in usual(random, before):
        watch.feed(float(score))
    for number, score in enumerate(draw(random, most), start=1):
        if (watch.feed(float(score)) or 0.0) >= alarm_at(LEVEL):
            return number
    return most


def test_without_a_drift_an_alarm_is_as_rare_as_was_promised() -> None:
    random = np.random.default_rng(0)
    alarms = sum(highest(random, usual(random, 300)) >= alarm_at(LEVEL) for _ in range(1000))
    assert alarms <= stats.binom.ppf(0.999, 1000, LEVEL)


@pytest.mark.parametrize("levels", [4, 10])
def test_ties_even_at_the_threshold_make_no_alarm_likelier(levels: int) -> None:
    random, alarms = np.random.default_rng(4), 0
    for _ in range(300):
        scores = np.floor(levels * random.random(360)) / levels
        watch = DriftWatch.beside(scores[:60], float(np.sort(scores[:60])[-3]), seed=int(random.integers(1 << 30)))
        alarms += max(watch.feed(float(score)) or 0.0 for score in scores[60:]) >= alarm_at(LEVEL)
    assert alarms <= stats.binom.ppf(0.999, 300, LEVEL)


def test_a_few_defects_raise_no_alarm_by_themselves() -> None:
    random, alarms = np.random.default_rng(1), 0
    for _ in range(200):
        stream = usual(random, 300)
        stream[random.random(300) < 0.1] = 50.0
        alarms += highest(random, stream) >= alarm_at(LEVEL)
    assert alarms <= stats.binom.ppf(0.999, 200, LEVEL)


@pytest.mark.parametrize(
    ("draw", "soon"),
    [
        # a lamp that ages: 1 % in ten parts
        (lambda random, count: usual(random, count) * (1 - 0.001 * np.arange(count)).clip(0.2), 300),
        # focus lost at once: details, and with them the scores, halve
        (lambda random, count: 0.5 * usual(random, count), 20),
        # another lot among the old one: every other part scores higher
        (lambda random, count: usual(random, count) * np.where(random.random(count) < 0.5, 1.6, 1.0), 150),
    ],
    ids=["ageing lamp", "lost focus", "mixed lot"],
)
def test_a_drift_is_seen_soon(draw: Draw, soon: int) -> None:
    random = np.random.default_rng(2)
    delays = [delay(random, draw) for _ in range(20)]
    assert np.median(delays) <= soon


def test_the_direction_is_told() -> None:
    random = np.random.default_rng(3)
    for factor, is_rising in ((1.4, True), (0.6, False)):
        scores = usual(random, 60)
        watch = DriftWatch.beside(scores, 100.0)
        capitals = [watch.feed(float(score)) or 0.0 for score in factor * usual(random, 100)]
        assert capitals[-1] > alarm_at(LEVEL)
        assert watch.is_rising == is_rising


@given(a=st.floats(0, 1e6), b=st.floats(0, 1e6))
def test_rounding_keeps_the_order(a: float, b: float) -> None:
    assert (_rounded(a) < _rounded(b)) <= (a < b)
    assert _rounded(a) == _rounded(a * (1 + 1e-6)) or _rounded(a) + 1 == _rounded(a * (1 + 1e-6))
