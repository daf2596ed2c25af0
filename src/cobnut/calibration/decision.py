"""From what a detector makes of good images to its decision: a threshold for scores, and a level for maps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cobnut.calibration.conformal import check_images, conformal_threshold, least_promise, round_up
from cobnut.calibration.cross import cross_rank, least_cross_promise
from cobnut.calibration.threshold import Choice, margin, percentile_threshold
from cobnut.options import CalibrationOptions

# What is promised where nobody asks for more or less, and the images suffice.
USUAL_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Decision:
    """A score above ``threshold`` is defective; a good map exceeds ``level`` anywhere no more often than promised."""

    threshold: float
    level: float


def settle(options: CalibrationOptions, images: int) -> CalibrationOptions:
    """The options with an automatic alpha settled: the usual one, or the least that so many images can promise."""
    if options.method != "conformal" or options.alpha != "auto":
        return options
    folds = options.folds
    least = least_cross_promise(images, folds) if folds else least_promise(images, options.confidence)
    alpha = USUAL_ALPHA if least <= USUAL_ALPHA * (1 + 1e-9) else round_up(least)
    return options.model_copy(update={"alpha": alpha})


def check_promise(options: CalibrationOptions, images: int) -> int:
    """Which of so many sorted scores is the threshold that keeps the options' alpha, counted from 1.

    Raises :class:`CobnutError` when the images are too few for the promise.
    """
    alpha = settle(options, images).alpha
    assert isinstance(alpha, float)
    return (
        cross_rank(images, options.folds, alpha) if options.folds else check_images(images, alpha, options.confidence)
    )


def decide(options: CalibrationOptions, maps: NDArray[np.float32], scores: NDArray[np.float32]) -> Decision:
    """The decision that maps (n, h, w) and scores (n,) of good images give, which nothing else was made with.

    Raises :class:`CobnutError` when they are too few for the promise.
    """
    if options.method == "percentile":
        assert isinstance(options.q, float)
        threshold = percentile_threshold(maps, options.q)
        return Decision(threshold, threshold)
    rank = check_promise(options, len(scores))
    peaks = maps.reshape(len(maps), -1).max(axis=1)
    threshold, level = (float(np.sort(values)[rank - 1]) for values in (scores, peaks))
    return Decision(threshold, level)


def judge_promise(
    options: CalibrationOptions, least_area: float, good: NDArray[np.float32], synthetic: NDArray[np.float32]
) -> Choice:
    """What the promise would cost, if scores of good validation images and of synthetic defects were the calibration's.

    An image is judged by the others; where they are too few for the promise, by the least that they can keep.
    """
    wanted = settle(options, len(good)).alpha
    assert isinstance(wanted, float)
    # each is judged by one less; a single image has nobody to judge it
    alpha = max(wanted, round_up(least_promise(max(len(good) - 1, 1), options.confidence)))
    threshold = conformal_threshold(good, alpha, options.confidence)
    rejected = [
        score > conformal_threshold(np.delete(good, place), alpha, options.confidence)
        for place, score in enumerate(good if len(good) > 1 else [])
    ]
    return Choice(
        q=None,
        least_area=least_area,
        false_alarm_rate=float(np.mean(rejected or [0.0])),
        synthetic_found=float(np.mean(synthetic > threshold)),
        margin=margin(threshold, good, synthetic),
    )
