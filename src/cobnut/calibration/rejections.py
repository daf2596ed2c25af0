"""Watching the rejections: a bet against «no more parts are rejected than was promised, defects allowed for».

While that is so, a part is rejected with a chance of at most ``limit``, whatever came before it. A bettor who stakes
on rejections at odds that are fair for ``limit`` cannot win in the long run, and the chance that a capital of 1 ever
grows to C is at most 1/C (Ville 1939; testing a mean by betting: Waudby-Smith & Ramdas 2024, section 4).
"""

from dataclasses import dataclass, field

from cobnut.calibration.conformal import beta_promise, check_images
from cobnut.calibration.cross import cross_worst
from cobnut.calibration.martingale import Bettors

# The share of its capital that each bettor stakes on every part: 1/16 wins most where a sixteenth of the parts that
# should have passed are rejected (Kelly 1956).
STAKED = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)


@dataclass
class RejectionWatch:
    """A test supermartingale over rejections, for a share of rejected parts that is above ``limit``, in (0, 1)."""

    limit: float
    bettors: Bettors = field(default_factory=lambda: Bettors.of(len(STAKED)))

    def feed(self, is_rejected: bool) -> float:
        """Take in the next part and tell the capital."""
        won = 1 / self.limit - 1 if is_rejected else -1.0
        return self.bettors.settle([1 + share * won for share in STAKED])


def most_rejected(
    images: int, alpha: float, confidence: float, level: float, defect_rate: float = 0.0, folds: int = 0
) -> float:
    """The share of parts that a promise lets be rejected at most, when a share ``defect_rate`` of them is defective.

    A promise holds on average over sets of so many calibration ``images``, so this very set may reject more than alpha
    of the good parts though nothing has changed: the limit is what it rejects at most with a confidence of 1 −
    ``level``. No defect need be found for it, and none need be missed. Raises :class:`CobnutError` when the images are
    too few for the promise.
    """
    if folds:
        good = cross_worst(images, folds, alpha, 1 - level)
    else:
        good = beta_promise(images, images - check_images(images, alpha, confidence), 1 - level)
    return good + (1 - good) * defect_rate
