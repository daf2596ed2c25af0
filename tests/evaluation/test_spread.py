"""Intervals over seeds and images."""

import numpy as np
import pytest

from cobnut.evaluation.answers import Answers
from cobnut.evaluation.intervals import exact_interval
from cobnut.evaluation.spread import DRAWN, intervals_over_seeds


def answers(skills: list[float], good: int = 30, defective: int = 30) -> Answers:
    truth = np.arange(good + defective) >= good
    noise = np.random.default_rng(0).normal(size=(1, len(truth)))
    scores = noise + np.array(skills)[:, None] * truth
    return Answers(scores, scores > 0.5, truth)


def width(interval: tuple[float, float]) -> float:
    return interval[1] - interval[0]


def test_every_figure_gets_an_interval_around_its_mean() -> None:
    each = answers([1.0, 1.4])
    intervals = intervals_over_seeds(each)
    assert set(intervals) == set(DRAWN)
    means = {"accuracy": each.is_right.mean(), "miss_rate": 1 - each.is_rejected[:, each.is_defective].mean()}
    for name, mean in means.items():
        assert intervals[name][0] < mean < intervals[name][1]
    low, high = intervals["recall"]
    assert (1 - high, 1 - low) == pytest.approx(intervals["miss_rate"])


def test_seeds_that_disagree_widen_the_interval() -> None:
    same, apart = intervals_over_seeds(answers([1.0, 1.0])), intervals_over_seeds(answers([0.0, 2.0]))
    assert width(apart["image_auroc"]) > 1.5 * width(same["image_auroc"])


def test_a_rate_of_none_is_as_uncertain_as_its_images_are_few() -> None:
    truth = np.arange(12) >= 5
    scores = np.where(truth, 2.0, 1.0)[None]
    intervals = intervals_over_seeds(Answers(scores, scores > 1.5, truth), draws=100)
    assert intervals["false_alarm_rate"] == exact_interval(0, 5)
    assert intervals["accuracy"] == exact_interval(12, 12)
    assert intervals["image_auroc"] == (1.0, 1.0)


def test_a_detector_that_rejects_nothing_has_no_precision() -> None:
    truth = np.arange(12) >= 5
    scores = np.zeros((2, 12))
    intervals = intervals_over_seeds(Answers(scores, scores > 1, truth), draws=100)
    assert "precision" not in intervals
    assert intervals["recall"] == exact_interval(0, 7)
