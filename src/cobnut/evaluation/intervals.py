"""How far a figure can be trusted: 95 % intervals over images, exact for plain rates, by bootstrap for the rest.

The bootstrap (percentile method, Efron & Tibshirani 1993, 13.3) draws images anew with replacement, good and defective
apart, so that every draw has as many of each; pixels and regions follow their image, because pixels of one image are
not independent. It finds no spread in a rate of none or all, so rates that count images get Clopper and Pearson's.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cobnut.evaluation.metrics import PRO_LIMIT, Scores, areas_right_of

Interval = tuple[float, float]
DRAWS = 1000
_BINS = 1024


def bootstrap(
    figures: Callable[[NDArray[np.intp]], dict[str, float | None]], is_defective: NDArray[np.bool_], seed: int = 0
) -> dict[str, Interval]:
    """Percentile intervals of every figure that ``figures`` (positions of the drawn images → named values) gives.

    A draw in which a figure has no value is left out of that figure's interval.
    """
    draws: dict[str, list[float]] = {}
    for positions in drawn_positions(is_defective, seed):
        for name, value in figures(positions).items():
            if value is not None:
                draws.setdefault(name, []).append(value)
    return {name: percentile_interval(values) for name, values in draws.items()}


def exact_interval(part: int, whole: int) -> Interval:
    """Clopper and Pearson's interval of a rate (Biometrika 26, 1934): honest even where none, or all, were counted."""
    from scipy.special import betaincinv

    low = float(betaincinv(part, whole - part + 1, 0.025)) if part else 0.0
    high = float(betaincinv(part + 1, whole - part, 0.975)) if part < whole else 1.0
    return low, high


def lower_bound(part: int, whole: int, confidence: float) -> float:
    """Clopper and Pearson's one-sided bound: with ``confidence`` a rate that gave ``part`` of ``whole`` is no lower."""
    from scipy.special import betaincinv

    return float(betaincinv(part, whole - part + 1, 1 - confidence)) if part else 0.0


def percentile_interval(values: Sequence[float] | NDArray[np.float64]) -> Interval:
    """The middle 95 % of the drawn values."""
    low, high = np.percentile(np.asarray(values), [2.5, 97.5])
    return float(low), float(high)


def drawn_positions(is_defective: NDArray[np.bool_], seed: int) -> list[NDArray[np.intp]]:
    """``DRAWS`` resamples of the images, stratified by truth."""
    random = np.random.default_rng(seed)
    strata = [np.flatnonzero(is_defective == label) for label in (False, True)]
    strata = [stratum for stratum in strata if len(stratum)]
    return [np.concatenate([random.choice(stratum, len(stratum)) for stratum in strata]) for _ in range(DRAWS)]


class PixelBootstrap:
    """Intervals of the pixel figures, from histograms of each image's pixels instead of the pixels themselves.

    The bins are quantiles of the pooled scores, good and defective, so a bin's ties cost less than a thousandth; the
    figures themselves are computed exactly elsewhere.
    """

    def __init__(self, good: Sequence[Scores], regions: Sequence[Sequence[Scores]]) -> None:
        """``good``: each image's pixels outside defects; ``regions``: each image's defects, one array each."""
        self.is_defective = np.array([len(image) > 0 for image in regions])
        self.owner = np.repeat(np.arange(len(regions)), [len(image) for image in regions])
        flat = [region for image in regions for region in image]
        edges = np.unique(np.concatenate([_quantiles(good), _quantiles(flat)]))
        self.good = np.stack([_histogram(pixels, edges) for pixels in good])
        self.regions = np.stack([_histogram(pixels, edges) for pixels in flat])

    def intervals(self, seed: int = 0) -> dict[str, Interval]:
        """Intervals of ``pixel_auroc``, ``pixel_ap`` and ``pro``."""
        draws = [
            self.figures(np.bincount(p, minlength=len(self.good))) for p in drawn_positions(self.is_defective, seed)
        ]
        return {name: percentile_interval([draw[name] for draw in draws]) for name in draws[0]}

    def figures(self, weights: NDArray[np.intp]) -> dict[str, float]:
        """The three figures when image i counts ``weights[i]`` times."""
        good = (weights @ self.good)[::-1].cumsum()
        at_or_above = good / good[-1]
        above = np.concatenate([[0.0], at_or_above[:-1]])
        of_region = weights[self.owner]
        regions = self.regions[:, ::-1]
        defective = of_region @ regions
        sizes = self.regions.sum(axis=1)
        found = defective.cumsum()
        return {
            "pixel_auroc": float(defective @ areas_right_of(above, at_or_above, 1.0) / found[-1]),
            "pixel_ap": float((defective / found[-1] * found / np.maximum(found + good, 1)).sum()),
            "pro": float(
                of_region
                @ (regions @ areas_right_of(above, at_or_above, PRO_LIMIT) / sizes)
                / of_region.sum()
                / PRO_LIMIT
            ),
        }


def _quantiles(parts: Sequence[Scores]) -> NDArray[np.float64]:
    pooled = np.concatenate([part[:: max(1, len(part) // 4096)] for part in parts])
    return np.asarray(np.quantile(pooled, np.linspace(0, 1, _BINS)[1:-1]))


def _histogram(pixels: Scores, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.bincount(np.searchsorted(edges, pixels, side="right"), minlength=len(edges) + 1).astype(np.float64)
