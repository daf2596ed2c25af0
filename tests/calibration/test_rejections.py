"""Rejections are watched against the promise, with the luck of the calibration images counted in: by simulation."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from cobnut.calibration.conformal import conformal_threshold
from cobnut.calibration.martingale import alarm_at
from cobnut.calibration.rejections import RejectionWatch, most_rejected
from cobnut.errors import CobnutError

LEVEL, RUNS, PARTS, ALPHA = 0.05, 1000, 300, 0.05
Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


def continuous(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    return random.lognormal(size=count)


def tied(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    return random.poisson(2.0, size=count).astype(float)


def alarms(
    random: np.random.Generator,
    draw: Draw,
    images: int,
    defects: NDArray[np.float64] | float = 0.0,
    allowed: float = 0.0,
    limit: float | None = None,
) -> int:
    """How many of the runs, each with calibration images of its own, ever raise the alarm."""
    at_most = most_rejected(images, ALPHA, 0.0, LEVEL / 2, allowed) if limit is None else limit
    count = 0
    for _ in range(RUNS):
        threshold = conformal_threshold(draw(random, images), ALPHA)
        is_rejected = (draw(random, PARTS) > threshold) | (random.random(PARTS) < defects)
        watch = RejectionWatch(at_most)
        count += any(watch.feed(bool(each)) >= alarm_at(LEVEL / 2) for each in is_rejected)
    return count


@pytest.mark.parametrize("draw", [continuous, tied])
@pytest.mark.parametrize("images", [19, 60])
def test_while_the_parts_are_alike_an_alarm_is_as_rare_as_was_said(draw: Draw, images: int) -> None:
    assert alarms(np.random.default_rng(0), draw, images) <= stats.binom.ppf(0.999, RUNS, LEVEL)


def test_held_against_the_average_alone_unlucky_calibration_images_would_be_alarms() -> None:
    assert alarms(np.random.default_rng(1), continuous, 19, limit=ALPHA) > stats.binom.ppf(0.999, RUNS, LEVEL)


def test_defects_that_were_allowed_for_raise_no_alarm_even_when_they_come_late() -> None:
    late = np.where(np.arange(PARTS) < PARTS // 2, 0.0, 0.1)
    found = alarms(np.random.default_rng(2), continuous, 60, late, allowed=0.1)
    assert found <= stats.binom.ppf(0.999, RUNS, LEVEL)


@pytest.mark.parametrize(("share", "soon"), [(0.9, 30), (0.5, 80), (0.3, 300)])
def test_many_rejections_are_seen_soon_even_after_a_long_calm(share: float, soon: int) -> None:
    random, limit, delays = np.random.default_rng(3), most_rejected(120, ALPHA, 0.0, LEVEL / 2), []
    for _ in range(20):
        watch = RejectionWatch(limit)
        for is_rejected in random.random(1000) < ALPHA:
            watch.feed(bool(is_rejected))
        drawn = random.random(2000) < share
        delays.append(next(n for n, each in enumerate(drawn, 1) if watch.feed(bool(each)) >= alarm_at(LEVEL / 2)))
    assert np.median(delays) <= soon


@given(limit=st.floats(0.001, 0.99), history=st.lists(st.booleans(), max_size=60))
def test_at_the_limit_a_bet_is_fair_whatever_came_before(limit: float, history: list[bool]) -> None:
    watch, capital = RejectionWatch(limit), 1.0
    for each in history:
        capital = watch.feed(each)
    won, lost = deepcopy(watch).feed(True), deepcopy(watch).feed(False)
    # what is beyond MOST is given away
    assert limit * won + (1 - limit) * lost <= capital * (1 + 1e-9)
    if capital < 1e6:
        assert limit * won + (1 - limit) * lost == pytest.approx(capital)
    assert lost < capital < won or capital > 1e9


@given(images=st.integers(20, 200), level=st.floats(0.001, 0.2), defect_rate=st.floats(0, 0.9))
def test_the_limit_is_the_tolerance_limit_beside_the_defects(images: int, level: float, defect_rate: float) -> None:
    above = int(ALPHA * (images + 1) + 1e-9) - 1
    good = stats.beta.ppf(1 - level, above + 1, images - above)
    limit = most_rejected(images, ALPHA, 0.0, level, defect_rate)
    assert limit == pytest.approx(1 - (1 - good) * (1 - defect_rate))


def test_without_images_enough_for_a_promise_there_is_no_limit() -> None:
    with pytest.raises(CobnutError, match="needs 99"):
        most_rejected(50, 0.01, 0.0, LEVEL)


def test_however_many_are_rejected_the_evidence_stays_a_number_that_a_calm_brings_down() -> None:
    watch = RejectionWatch(0.1)
    assert alarm_at(LEVEL / 2) < [watch.feed(True) for _ in range(5000)][-1] < np.inf
    assert [watch.feed(False) for _ in range(5000)][-1] < 1
