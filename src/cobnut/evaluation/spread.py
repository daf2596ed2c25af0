"""How far the figures of one recipe can be trusted: over the seeds that it was trained with and the images it saw."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cobnut.evaluation.answers import DRAWS, Answers, Draws
from cobnut.evaluation.intervals import Interval, exact_interval, percentile_interval

DRAWN = ("image_auroc", "accuracy", "f1", "precision", "recall", "false_alarm_rate", "miss_rate")


def intervals_over_seeds(answers: Answers, draws: int = DRAWS, seed: int = 0) -> dict[str, Interval]:
    """95 % percentile intervals of the figures' means over the seeds, by name as in an evaluation.

    A hierarchical bootstrap (Davison & Hinkley 1997, 3.8): each draw takes seeds with replacement, and images with
    replacement, the same for all seeds, good and defective apart. A rate that is 0 or 1 in every seed has no spread
    that a bootstrap could find; it gets Clopper and Pearson's interval over the images.
    """
    drawn = Draws.of(answers.is_defective, draws, seed)
    count = len(answers.scores)
    seeds = np.random.default_rng([seed, 1]).multinomial(count, np.full(count, 1 / count), draws) / count
    values = _drawn_figures(answers, drawn)
    intervals = {}
    for name, each in values.items():  # each (draws, seeds); a figure may have no value in some draw
        weights = np.where(np.isnan(each), 0, seeds)
        total = weights.sum(axis=1)
        known = total > 0
        if known.any():
            means = (weights * np.nan_to_num(each)).sum(axis=1)[known] / total[known]
            intervals[name] = percentile_interval(means)
    return intervals | _exact_where_unanimous(answers, intervals)


def _drawn_figures(answers: Answers, drawn: Draws) -> dict[str, NDArray[np.float64]]:
    """Every figure in each draw for each seed, (draws, seeds)."""
    rejected = answers.is_rejected.astype(np.float64).T  # (images, seeds)
    false_alarms = drawn.good @ rejected[~answers.is_defective]
    found = drawn.defective @ rejected[answers.is_defective]
    good, defective = drawn.good.shape[1], drawn.defective.shape[1]
    called = found + false_alarms
    precision = np.divide(found, called, out=np.full_like(found, np.nan), where=called > 0)
    return {
        "image_auroc": np.stack([drawn.aurocs(wins) for wins in answers.wins()], axis=1),
        "accuracy": (found + good - false_alarms) / (good + defective),
        "f1": 2 * found / (found + false_alarms + defective),
        "precision": precision,
        "recall": found / defective,
        "false_alarm_rate": false_alarms / good,
        "miss_rate": 1 - found / defective,
    }


def _exact_where_unanimous(answers: Answers, intervals: dict[str, Interval]) -> dict[str, Interval]:
    counts: dict[str, Callable[[], int]] = {
        "accuracy": lambda: len(answers.is_defective),
        "recall": lambda: int(answers.is_defective.sum()),
        "miss_rate": lambda: int(answers.is_defective.sum()),
        "false_alarm_rate": lambda: int((~answers.is_defective).sum()),
    }
    exact = {}
    for name, whole in counts.items():
        low, high = intervals[name]
        if high - low < 1e-9 and min(abs(low), abs(1 - low)) < 1e-9:
            exact[name] = exact_interval(whole() if low > 0.5 else 0, whole())
    return exact
