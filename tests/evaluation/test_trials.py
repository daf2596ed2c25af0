"""How well an objective tracked the truth: a rank correlation with an interval, and what the choice cost."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from cobnut.evaluation.trials import Tracking, TrialRow, Tuning, rank_correlation, track


def tuning(figures: list[tuple[float | None, float | None]]) -> Tuning:
    rows = [
        TrialRow(number, "pruned" if objective is None else "finished", {}, objective=objective, truth=truth)
        for number, (objective, truth) in enumerate(figures)
    ]
    return Tuning("parts", "cae", rows, {}, {}, 30, 240)


def test_the_best_is_the_highest_objective_and_of_equals_the_first() -> None:
    found = tuning([(0.5, None), (None, None), (0.8, None), (0.8, None)])
    assert [row.number for row in found.finished] == [2, 3, 0]
    assert (found.best.number, found.start.number) == (2, 0)


def test_the_rank_correlation_is_that_of_scipy() -> None:
    random = np.random.default_rng(0)
    first, second = random.integers(0, 6, 20).astype(float), random.integers(0, 6, 20).astype(float)
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert rank_correlation(first, np.ones(20)) is None


def test_tracking_tells_correlation_and_regret() -> None:
    found = track(tuning([(0.1 * number, 0.5 + 0.04 * number) for number in range(10)]))
    assert found is not None
    assert (found.correlation, found.place, found.word) == (pytest.approx(1), 1, "well")
    wrong = track(tuning([(0.1 * number, 0.9 - 0.04 * number) for number in range(10)]))
    assert wrong is not None
    assert (wrong.correlation, wrong.place, wrong.word) == (pytest.approx(-1), 10, "badly")
    assert (wrong.chosen_truth, wrong.best_truth) == (pytest.approx(0.54), pytest.approx(0.9))


@pytest.mark.parametrize(
    ("correlation", "low", "word"),
    [(0.9, 0.6, "well"), (0.9, 0.1, "somewhat"), (0.9, -0.2, "badly"), (0.3, 0.1, "badly")],
)
def test_a_wide_interval_is_never_called_well(correlation: float, low: float, word: str) -> None:
    assert Tracking(8, correlation, (low, 1.0), 1, 0.9, 0.9).word == word


def test_too_few_trials_or_no_difference_tell_nothing() -> None:
    assert track(tuning([(0.5, 0.5), (0.6, 0.6), (0.7, 0.7)])) is None
    assert track(tuning([(0.1 * number, None) for number in range(10)])) is None
    assert track(tuning([(0.1 * number, 0.9) for number in range(10)])) is None
