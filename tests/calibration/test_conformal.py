"""The promises about good parts hold: by theory's oracles, and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from cobnut.calibration.conformal import (
    beta_promise,
    conformal_threshold,
    images_needed,
    least_promise,
    p_values,
    shortfall,
)
from cobnut.errors import CobnutError

DRAWS = 2000


def continuous(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    return random.lognormal(size=count)


def tied(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    return random.poisson(2.0, size=count).astype(float)


@pytest.mark.parametrize(("images", "alpha"), [(19, 0.05), (60, 0.05), (99, 0.01), (250, 0.1)])
def test_on_average_as_many_good_parts_are_rejected_as_was_promised(images: int, alpha: float) -> None:
    random, rejected = np.random.default_rng(1), 0
    for _ in range(DRAWS):
        scores = continuous(random, images + 1)
        rejected += scores[-1] > conformal_threshold(scores[:-1], alpha)
    # one part a draw makes the draws independent: their number is binomial
    low, high = stats.binom.interval(0.999, DRAWS, math.floor(alpha * (images + 1)) / (images + 1))
    assert low <= rejected <= high


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_tied_scores_are_rejected_no_more_often_than_promised(alpha: float) -> None:
    random, rejected = np.random.default_rng(2), 0
    for _ in range(DRAWS):
        scores = tied(random, 61)
        rejected += scores[-1] > conformal_threshold(scores[:-1], alpha)
    assert rejected <= stats.binom.ppf(0.999, DRAWS, alpha)


@pytest.mark.parametrize(("images", "alpha", "confidence"), [(59, 0.05, 0.95), (120, 0.05, 0.9), (300, 0.01, 0.95)])
def test_with_confidence_so_many_calibration_sets_keep_the_promise(
    images: int, alpha: float, confidence: float
) -> None:
    random = np.random.default_rng(3)
    # the true share of good parts above a threshold is told by the distribution that the scores are drawn from
    shares = np.array(
        [stats.lognorm.sf(conformal_threshold(continuous(random, images), alpha, confidence), 1) for _ in range(DRAWS)]
    )
    kept = int((shares <= alpha).sum())
    assert kept >= stats.binom.ppf(0.0005, DRAWS, confidence)


@given(
    scores=st.lists(st.integers(0, 20), min_size=1, max_size=40), new=st.integers(-1, 21), alpha=st.floats(0.02, 0.9)
)
def test_what_lies_above_the_threshold_has_a_p_value_of_alpha_or_less(
    scores: list[int], new: int, alpha: float
) -> None:
    calibration = np.array(scores, dtype=float)
    if len(scores) < images_needed(alpha):
        with pytest.raises(CobnutError):
            conformal_threshold(calibration, alpha)
        return
    is_above = new > conformal_threshold(calibration, alpha)
    assert is_above == (p_values(calibration, np.array([float(new)]))[0] <= alpha + 1e-12)


@given(images=st.integers(1, 400), above=st.integers(0, 30), confidence=st.floats(0.5, 0.999))
def test_the_share_above_a_threshold_is_told_by_the_beta_distribution(
    images: int, above: int, confidence: float
) -> None:
    above = min(above, images - 1)
    expected = stats.beta.ppf(confidence, above + 1, images - above)
    assert beta_promise(images, above, confidence) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("alpha", "confidence", "images"),
    # with confidence: the sample sizes of one-sided tolerance limits without a distribution (Wilks 1941)
    [(0.01, 0.0, 99), (0.001, 0.0, 999), (0.05, 0.95, 59), (0.01, 0.95, 299), (0.1, 0.95, 29), (0.1, 0.9, 22)],
)
def test_so_many_images_bear_the_promise_and_one_less_does_not(alpha: float, confidence: float, images: int) -> None:
    assert images_needed(alpha, confidence) == images
    scores = np.arange(images, dtype=float)
    assert conformal_threshold(scores, alpha, confidence) == images - 1
    with pytest.raises(CobnutError, match=f"needs {images} good calibration images; you have {images - 1}"):
        conformal_threshold(scores[1:], alpha, confidence)


@given(images=st.integers(1, 3000), confidence=st.sampled_from([0.0, 0.9, 0.95, 0.99]))
def test_the_promise_that_is_offered_instead_can_be_kept(images: int, confidence: float) -> None:
    offered = float(shortfall(images, 1e-6, confidence).rsplit(maxsplit=1)[-1])
    assert offered >= least_promise(images, confidence)
    if offered < 0.5:
        conformal_threshold(np.arange(images, dtype=float), offered, confidence)


def test_with_no_images_at_all_nothing_is_offered() -> None:
    assert shortfall(0, 0.01, 0.95).endswith("you have none")


def test_what_cannot_be_promised_is_refused_in_plain_words() -> None:
    with pytest.raises(CobnutError, match="alpha 0.001 needs 999 good calibration images; you have 120") as caught:
        conformal_threshold(np.arange(120.0), 0.001)
    assert "the least you can promise is 0.83 %" in str(caught.value)
