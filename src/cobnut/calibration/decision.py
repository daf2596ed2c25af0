"""From what a detector makes of good images to its decision: a threshold for scores, and a level for maps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cobnut.calibration.conformal import conformal_threshold, images_needed, least_promise, round_up
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
    suffices = images >= images_needed(USUAL_ALPHA, options.confidence)
    alpha = USUAL_ALPHA if suffices else round_up(least_promise(images, options.confidence))
    return options.model_copy(update={"alpha": alpha})


def decide(options: CalibrationOptions, maps: NDArray[np.float32], scores: NDArray[np.float32]) -> Decision:
    """The decision that maps (n, h, w) and scores (n,) of good images give, which nothing else was made with.

    Raises :class:`CobnutError` when they are too few for the promise.
    """
    if options.method == "percentile":
        assert isinstance(options.q, float)
        threshold = percentile_threshold(maps, options.q)
        return Decision(threshold, threshold)
    alpha = settle(options, len(scores)).alpha
    assert isinstance(alpha, float)
    peaks = maps.reshape(len(maps), -1).max(axis=1)
    threshold, level = (conformal_threshold(values, alpha, options.confidence) for values in (scores, peaks))
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
