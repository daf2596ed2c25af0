"""The study's decision (3.4): a percentile of good images' pixel errors, and the least area above it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (90.0, 95.0, 97.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99, 100.0)
LEAST_AREAS = (0.0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
_FOLDS = 10


@dataclass(frozen=True, slots=True)
class Choice:
    """A percentile and a least area, and what they did on good validation images and on synthetic defects."""

    q: float | None
    least_area: float
    false_alarm_rate: float
    synthetic_found: float
    margin: float

    def as_dict(self) -> dict[str, float]:
        """The choice as plain numbers, for the manifest; without a percentile where none was chosen."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def percentile_threshold(maps: NDArray[np.float32], q: float) -> float:
    """The ``q``-th percentile (0 to 100) of all pixel errors of good images' maps (n, h, w)."""
    return float(np.percentile(maps, q))


def choose_percentile_and_area(
    good_maps: NDArray[np.float32],
    good_scores: Mapping[float, NDArray[np.float32]],
    synthetic_scores: Mapping[float, NDArray[np.float32]],
    percentiles: Sequence[float],
    tolerated_false_alarms: float,
) -> Choice:
    """Choose among ``percentiles`` and the least areas that key the scores, from good images alone.

    ``good_maps`` (n, h, w) and ``good_scores[area]`` (n,) belong to good validation images, ``synthetic_scores[area]``
    to the same images with synthetic defects. An image never sets the threshold that it is judged by: false alarms are
    counted in folds. Among the choices within the tolerated rate the one wins that finds most synthetic defects; among
    equals, the one with the widest margin on both sides.
    """
    choices = [
        _try(q, area, thresholds, good_scores[area], synthetic_scores[area])
        for q, thresholds in _fold_thresholds(good_maps, percentiles).items()
        for area in good_scores
    ]
    fewest = min(choice.false_alarm_rate for choice in choices)
    allowed = [choice for choice in choices if choice.false_alarm_rate <= max(tolerated_false_alarms, fewest)]
    return max(allowed, key=lambda choice: (choice.synthetic_found, choice.margin))


def margin(threshold: float, good: NDArray[np.float32], synthetic: NDArray[np.float32]) -> float:
    """How far, as a logarithm of a ratio, a threshold keeps from good scores and from those of synthetic defects."""
    tiny = np.finfo(np.float32).tiny
    threshold += float(tiny)
    room_above_good = np.log(threshold / (np.quantile(good, 0.95) + tiny))
    room_below_defects = np.log((np.median(synthetic) + tiny) / threshold)
    return float(min(room_above_good, room_below_defects))


def _fold_thresholds(maps: NDArray[np.float32], percentiles: Sequence[float]) -> dict[float, NDArray[np.float64]]:
    """For each percentile and image, the threshold that the images outside its fold give."""
    folds = np.arange(len(maps)) % min(_FOLDS, len(maps))
    table = np.empty((len(percentiles), len(maps)))
    for fold in np.unique(folds):
        table[:, folds == fold] = np.percentile(maps[folds != fold], percentiles)[:, None]
    return dict(zip(percentiles, table, strict=True))


def _try(
    q: float,
    area: float,
    thresholds: NDArray[np.float64],
    good: NDArray[np.float32],
    synthetic: NDArray[np.float32],
) -> Choice:
    threshold = float(np.median(thresholds))
    return Choice(
        q=q,
        least_area=area,
        false_alarm_rate=float(np.mean(good > thresholds)),
        synthetic_found=float(np.mean(synthetic > threshold + np.finfo(np.float32).tiny)),
        margin=margin(threshold, good, synthetic),
    )
