"""The trials of a tuning as plain records, and how well what they were judged by tracked the truth."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cobnut.evaluation.intervals import DRAWS, Interval, percentile_interval

FEWEST_TO_TRACK = 5
WELL, SOMEWHAT = 0.7, 0.4


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial: what it tried, how it ended, and its figures; ``truth`` is the image AUROC on the test.

    ``reports`` holds the objective that its training showed after some epochs; ``reason`` tells why a trial failed.
    """

    number: int
    outcome: Literal["finished", "pruned", "failed", "running"]
    settings: dict[str, Any]
    objective: float | None = None
    auroc: float | None = None
    false_alarm_rate: float | None = None
    synthetic_found: float | None = None
    truth: float | None = None
    epochs: int | None = None
    seconds: float | None = None
    reports: tuple[tuple[int, float], ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Tracking:
    """How the objective and the truth go together over the finished trials; ``place`` ranks the chosen by the truth."""

    trials: int
    correlation: float
    interval: Interval
    place: int
    chosen_truth: float
    best_truth: float

    @property
    def word(self) -> str:
        """``well``, ``somewhat`` or ``badly``; in doubt, what the lower end of the interval still bears is named."""
        low = self.interval[0]
        if self.correlation >= WELL and low >= SOMEWHAT:
            return "well"
        return "somewhat" if self.correlation >= SOMEWHAT and low > 0 else "badly"


@dataclass(frozen=True, slots=True)
class Tuning:
    """A whole tuning: ``scales`` says of every searched option whether it is ``choices``, ``log`` or ``linear``.

    ``importance`` shares 1 out among the options; it is empty where there are too few trials to tell.
    """

    data: str
    recipe: str
    rows: list[TrialRow]
    scales: dict[str, str]
    importance: dict[str, float]
    validation: int
    synthetic: int

    @property
    def finished(self) -> list[TrialRow]:
        """The trials that have an objective, the best first."""
        rows = [row for row in self.rows if row.outcome == "finished"]
        return sorted(rows, key=lambda row: (-(row.objective or 0.0), row.number))

    @property
    def best(self) -> TrialRow:
        """The trial that was chosen: the highest objective, of equals the first."""
        return self.finished[0]

    @property
    def start(self) -> TrialRow:
        """The recipe as it was given."""
        return self.rows[0]


def track(tuning: Tuning) -> Tracking | None:
    """Spearman's rank correlation of objective and truth, its 95 % bootstrap interval over trials, and the regret.

    ``None`` with fewer than ``FEWEST_TO_TRACK`` trials whose truth is known, or where one of both never differs.
    """
    rows = [row for row in tuning.finished if row.truth is not None]
    chosen = tuning.best.truth if rows else None
    if len(rows) < FEWEST_TO_TRACK or chosen is None:
        return None
    figures = np.array([[row.objective, row.truth] for row in rows], np.float64)
    correlation = rank_correlation(figures[:, 0], figures[:, 1])
    if correlation is None:
        return None
    random = np.random.default_rng(0)
    drawn = (figures[random.integers(len(rows), size=len(rows))] for _ in range(DRAWS))
    draws = [value for draw in drawn if (value := rank_correlation(draw[:, 0], draw[:, 1])) is not None]
    truths = [float(truth) for truth in figures[:, 1]]
    return Tracking(
        trials=len(rows),
        correlation=correlation,
        interval=percentile_interval(draws),
        place=1 + sum(truth > chosen for truth in truths),
        chosen_truth=chosen,
        best_truth=max(truths),
    )


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Spearman's ρ, −1 to 1, ties sharing their rank; ``None`` where one side never differs."""
    from scipy.stats import rankdata

    ranks = rankdata([first, second], axis=1)
    if np.ptp(ranks, axis=1).min() == 0:
        return None
    return float(np.corrcoef(ranks)[0, 1])
