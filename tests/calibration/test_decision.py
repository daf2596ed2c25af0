"""The decision keeps its promise for scores and for maps, and tells where the images cannot bear it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobnut.calibration.conformal import least_promise
from cobnut.calibration.decision import USUAL_ALPHA, decide, judge_promise, settle
from cobnut.calibration.threshold import percentile_threshold
from cobnut.errors import CobnutError
from cobnut.options import CalibrationOptions

RANDOM = np.random.default_rng(0)
MAPS = RANDOM.random((40, 8, 8), dtype=np.float32)
SCORES = np.sort(MAPS.reshape(40, -1), axis=1)[:, -3]


@given(images=st.integers(2, 500), confidence=st.sampled_from([0.0, 0.9]))
def test_an_automatic_alpha_is_the_usual_one_or_the_least_that_can_be_promised(images: int, confidence: float) -> None:
    options = CalibrationOptions(confidence=confidence)
    alpha = settle(options, images).alpha
    assert isinstance(alpha, float)
    assert alpha >= least_promise(images, confidence)
    assert alpha == USUAL_ALPHA or least_promise(images, confidence) > USUAL_ALPHA


def test_an_alpha_that_is_asked_for_is_never_changed() -> None:
    asked = CalibrationOptions(alpha=0.001)
    assert settle(asked, 10) == asked
    with pytest.raises(CobnutError, match="needs 999 good calibration images; you have 40"):
        decide(asked, MAPS, SCORES)


def test_no_more_good_scores_and_maps_lie_above_than_was_promised() -> None:
    decision = decide(CalibrationOptions(alpha=0.1), MAPS, SCORES)
    # a new image has 41 equally likely places among 40 others; in four of them it would lie above these three
    assert (decision.threshold < SCORES).sum() == 3
    assert (decision.level < MAPS).any(axis=(1, 2)).sum() == 3
    assert decision.level >= decision.threshold


def test_the_percentile_stays_the_studys() -> None:
    decision = decide(CalibrationOptions(method="percentile", q=99.0), MAPS, SCORES)
    assert decision.threshold == decision.level == percentile_threshold(MAPS, 99.0)


@pytest.mark.parametrize("images", [2, 4, 18, 19, 40])
def test_images_that_judge_each_other_reject_about_what_they_can_promise(images: int) -> None:
    good = np.arange(images, dtype=np.float32)
    rate = judge_promise(CalibrationOptions(), 0.0, good, good).false_alarm_rate
    assert 0 < rate <= max(USUAL_ALPHA, 2 / images)


def test_the_price_of_a_promise_is_told_by_images_that_judge_each_other() -> None:
    good, synthetic = np.arange(100, dtype=np.float32), np.array([50.0, 98.0, 200.0, 300.0], dtype=np.float32)
    choice = judge_promise(CalibrationOptions(alpha=0.05), 0.01, good, synthetic)
    assert (choice.q, choice.least_area) == (None, 0.01)
    assert choice.false_alarm_rate <= 0.05
    assert choice.synthetic_found == 0.75
    assert "q" not in choice.as_dict()
