"""A promise of folds, where every image trains and calibrates: what is proved of it, and the rule that keeps it.

Of K·m good images each fold of m is judged by the detector that was made without it, and so is a new part x, by all K.
It is rejected where it scores higher than all but ``above`` of the K·m left-out images: (1 + #{i: R_i ≥ s_k(i)(x)}) /
(K·m + 1) ≤ (above + 1) / (K·m + 1), the rule of cross-conformal prediction (Vovk 2015) and of CV+ (Barber, Candès,
Ramdas & Tibshirani 2021). That its level is kept is not proved; two bounds are, and the lower one counts.
"""

from cobnut.calibration.conformal import beta_promise, images_needed, round_up
from cobnut.errors import CobnutError
from cobnut.options import MOST_FOLDS


def cross_promise(images: int, folds: int, above: int) -> float:
    """The share of good parts that is rejected at most, on average, if one is that outscores all but ``above``.

    Images beyond equal folds do not calibrate. Two bounds hold, whatever the detectors are, and the lower one counts.

    By ranks: x's rank in each fold, counted from the top, is any of 1 to m + 1 with the same chance; where scores tie,
    low ones are rarer. If x is rejected, its K ranks add up to K + ``above`` at most, so all (c − rank)⁺ to K (c − 1) −
    ``above`` at least, for any c; what they are on average bounds the chance of that, however the ranks hang together.
    So averages of p-values get their factor of 2 (Vovk & Wang 2020), here in whole ranks.

    By pairs: let x be one of (K + 1) m exchangeable points in K + 1 folds. Of two points from different folds one at
    least does not outscore the other, so at most m + 2 ``above`` outscore all but ``above`` of the points outside their
    fold (the proof of Barber et al. 2021, theorem 4, in whole numbers).
    """
    size = images // folds
    by_ranks = min(
        (c * (c - 1) / (2 * (size + 1)) / (c - 1 - above / folds) for c in range(2 + above // folds, size + 2)),
        default=1.0,
    )
    by_pairs = (size + 2 * above) / (size * (folds + 1)) if size else 1.0
    return min(by_ranks, by_pairs, 1.0)


def cross_rank(images: int, folds: int, alpha: float) -> int:
    """How many of the left-out images a part must outscore to be rejected, so that ``alpha`` is kept.

    Raises :class:`CobnutError` when they are too few for the promise.
    """
    return images // folds * folds - _above(images, folds, alpha)


def cross_worst(images: int, folds: int, alpha: float, confidence: float) -> float:
    """The share that this very model rejects at most, with ``confidence``: what outscores all but so many of one fold.

    For a part that is rejected outscores them, and that fold's detector has seen none of them.
    """
    above, size = _above(images, folds, alpha), images // folds
    return beta_promise(size, above, confidence) if above < size else 1.0


def least_cross_promise(images: int, folds: int) -> float:
    """The lowest alpha that so many images in so many folds can promise."""
    return cross_promise(images, folds, 0)


def cross_shortfall(images: int, folds: int, alpha: float) -> str:
    """Why so few images in so many folds cannot bear the promise, and what to do."""
    enough = images_needed(alpha)
    needed = enough if folds >= enough else folds * enough
    other = [f"--folds {count}" for count in (images // enough, enough) if 2 <= count <= min(images, MOST_FOLDS)]
    least = round_up(least_cross_promise(images, folds))
    return (
        f"alpha {alpha:g} with {folds} folds needs {max(needed, folds)} good images; you have {images}, and the least "
        f"you can promise is {100 * least:g} %: add good images, or set "
        + " or ".join([f"--alpha {least:g}", *dict.fromkeys(other)])
    )


def _above(images: int, folds: int, alpha: float) -> int:
    """The most left-out images that may score as high as a part that is rejected."""
    if folds > images:
        raise CobnutError(f"{folds} folds of {images} good images: each needs one at the least; set --folds {images}")
    above = -1
    while above + 1 < images // folds * folds and cross_promise(images, folds, above + 1) <= alpha * (1 + 1e-9):
        above += 1
    if above < 0:
        raise CobnutError(cross_shortfall(images, folds, alpha))
    return above
