"""A promise about good parts, kept whatever their scores look like: conformal p-values and thresholds.

All that is assumed is that the calibration images and the parts to come are alike: that any order of them would have
been as likely (exchangeable). Then the rank of a new good score among the old ones is as likely one as another.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cobnut.errors import CobnutError

Scores = NDArray[np.floating[Any]]


def p_values(calibration: Scores, scores: Scores) -> NDArray[np.float64]:
    """How usual ``scores`` (m,) are among good ones (n,): (1 + good scores at least as high) / (n + 1), (m,) in (0, 1].

    A good part has a value of α or less with a chance of at most α (Vovk, Gammerman & Shafer 2005, proposition 2.8).
    """
    ranked = np.sort(calibration)
    at_least = len(ranked) - np.searchsorted(ranked, scores, side="left")
    return np.asarray((1 + at_least) / (len(ranked) + 1), dtype=np.float64)


def conformal_threshold(calibration: Scores, alpha: float, confidence: float = 0.0) -> float:
    """The lowest threshold whose promise holds: at most a share ``alpha`` of good parts score above it.

    Without ``confidence`` the share is promised on average over calibration sets; with it, for this very set, with that
    probability. Raises :class:`CobnutError` when there are too few calibration scores for the promise.
    """
    return float(np.sort(calibration)[check_images(len(calibration), alpha, confidence) - 1])


def check_images(images: int, alpha: float, confidence: float = 0.0) -> int:
    """Which of so many sorted calibration scores is the threshold, counted from 1.

    Raises :class:`CobnutError` when they are too few for the promise.
    """
    rank = _rank(images, alpha, confidence)
    if rank is None:
        raise CobnutError(shortfall(images, alpha, confidence))
    return rank


def images_needed(alpha: float, confidence: float = 0.0) -> int:
    """The fewest calibration images that can bear the promise."""
    if not confidence:
        return math.ceil(round(1 / alpha, 9)) - 1
    return math.ceil(round(math.log1p(-confidence) / math.log1p(-alpha), 9))


def least_promise(images: int, confidence: float = 0.0) -> float:
    """The lowest alpha that so many calibration images can promise."""
    if not confidence:
        return 1 / (images + 1)
    return -math.expm1(math.log1p(-confidence) / images)


def shortfall(images: int, alpha: float, confidence: float = 0.0) -> str:
    """Why so few images cannot bear the promise, and what to do."""
    sure = f" with confidence {confidence:g}" if confidence else ""
    if not images:
        return f"alpha {alpha:g}{sure} needs {images_needed(alpha, confidence)} good calibration images; you have none"
    least = round_up(least_promise(images, confidence))
    return (
        f"alpha {alpha:g}{sure} needs {images_needed(alpha, confidence)} good calibration images; you have {images}, "
        f"and the least you can promise is {100 * least:g} %: add good images, or set --alpha {least:g}"
    )


def beta_promise(images: int, above: int, confidence: float) -> float:
    """The share of good parts that scores above a threshold which ``above`` of ``images`` calibration scores exceed.

    Not above it, with probability ``confidence`` over calibration sets: for continuous scores the share is distributed
    as Beta(above + 1, images − above) (Vovk 2012, proposition 2a; the tolerance limits of Wilks 1941), for tied ones
    it is lower.
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        is_enough = _binomial_cdf(images, middle)[above] <= 1 - confidence
        low, high = (low, middle) if is_enough else (middle, high)
    return high


def round_up(value: float) -> float:
    """Rounded up to two digits: a share that is promised, so, still holds."""
    scale = 10.0 ** (1 - math.floor(math.log10(value)))
    return float(math.ceil(round(value * scale, 6)) / scale)


def _rank(images: int, alpha: float, confidence: float) -> int | None:
    """Which of the sorted scores is the threshold, counted from 1; ``None`` where even the highest does not do."""
    if not confidence:
        rank = math.ceil(round((images + 1) * (1 - alpha), 9))
        return max(1, rank) if rank <= images else None
    # as many may lie above as alpha would, with the confidence asked for, exceed
    above = int(np.searchsorted(_binomial_cdf(images, alpha), (1 - confidence) * (1 + 1e-9), side="right"))
    return images + 1 - above if above else None


def _binomial_cdf(count: int, chance: float) -> NDArray[np.float64]:
    """Probabilities of at most 0, 1, … ``count`` successes, each with a chance strictly between 0 and 1."""
    factorials = np.concatenate([[0.0], np.log(np.arange(1, count + 1)).cumsum()])
    k = np.arange(count + 1)
    logs = factorials[-1] - factorials - factorials[::-1] + k * math.log(chance) + (count - k) * math.log1p(-chance)
    return np.asarray(np.exp(logs).cumsum())
