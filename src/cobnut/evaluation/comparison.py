"""Which of several detectors is better, asked fairly: on the same images, image by image.

Two detectors that face the same images err on many of the same ones. Their difference is therefore known better than
either figure, and two intervals that overlap do not say that the detectors cannot be told apart. So all here is paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from cobnut.evaluation.answers import DRAWS, Answers, Draws
from cobnut.evaluation.intervals import Interval, percentile_interval

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of the first less that of the second, its 95 % interval, and its p-values, two-sided.

    ``p_value`` is that of this pair alone, ``adjusted`` is corrected for all pairs that were looked at.
    """

    value: float
    interval: Interval
    p_value: float
    adjusted: float

    @property
    def is_significant(self) -> bool:
        """Whether chance over the images hardly explains it, all pairs considered."""
        return self.adjusted < LEVEL


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two detectors by name, and how far the first is ahead of the second."""

    first: str
    second: str
    auroc: Difference
    accuracy: Difference

    def names(self) -> set[str]:
        """Both names."""
        return {self.first, self.second}


def compare(answers: Mapping[str, Answers], draws: int = DRAWS, seed: int = 0) -> list[Comparison]:
    """Every pair of detectors, in the order of ``answers``, whose images must be the same in the same order.

    Figures are means over each detector's seeds, which may differ in number. The difference of AUROC is judged by a
    stratified paired bootstrap over the images (Efron & Tibshirani 1993, 13.3 and 15.4), that of accuracy by
    :func:`sign_flip_p_value`; its interval comes from the same bootstrap. All pairs of one figure are one family for
    :func:`holm`, so that even «the best», which is chosen by looking, may be set against the others. Images are
    drawn, seeds are not: the answer is about detectors as they were trained here.
    """
    if len(answers) < 2:
        return []
    truth = next(iter(answers.values())).is_defective
    pairs = list(combinations(answers, 2))
    # Of n draws no p-value is under 2/n: with fewer than these, many pairs could never pass Holm's correction.
    drawn = Draws.of(truth, max(draws, 200 * len(pairs)), seed)
    areas, rights = {}, {}
    for name, each in answers.items():
        wins, right = each.wins().mean(axis=0), each.is_right.mean(axis=0)
        areas[name] = (float(wins.mean()), drawn.aurocs(wins))
        rights[name] = (float(right.mean()), drawn.means(right, truth))
    differences = [(areas[a][1] - areas[b][1], rights[a][1] - rights[b][1]) for a, b in pairs]
    area_p = np.array([bootstrap_p_value(area) for area, _ in differences])
    right_p = np.array([sign_flip_p_value(right_counts(answers[a], answers[b])) for a, b in pairs])
    columns = zip(pairs, differences, area_p, holm(area_p), right_p, holm(right_p), strict=True)
    return [
        Comparison(
            a, b,
            Difference(areas[a][0] - areas[b][0], percentile_interval(area), float(p), float(adjusted)),
            Difference(rights[a][0] - rights[b][0], percentile_interval(right), float(q), float(adjusted_q)),
        )
        for (a, b), (area, right), p, adjusted, q, adjusted_q in columns
    ]  # fmt: skip


def bootstrap_p_value(differences: NDArray[np.float64]) -> float:
    """Two-sided achieved significance of drawn differences: twice the share on the wrong side of 0, never below 2/n."""
    n = len(differences) + 1
    below, above = int((differences <= _EPSILON).sum()) + 1, int((differences >= -_EPSILON).sum()) + 1
    return min(1.0, 2 * min(below, above) / n)


def right_counts(first: Answers, second: Answers) -> NDArray[np.int64]:
    """For each image, how much oftener the first is right than the second, as whole numbers.

    With the same seeds on both sides it is the difference of the counts; otherwise both are brought to one denominator.
    """
    n, m = len(first.is_right), len(second.is_right)
    common = int(np.lcm(n, m))
    a, b = first.is_right.sum(axis=0) * (common // n), second.is_right.sum(axis=0) * (common // m)
    return np.asarray(a - b, np.int64)


def sign_flip_p_value(differences: NDArray[np.int64]) -> float:
    """Exact two-sided p-value that the whole differences, one an image, have no preferred sign; (images,) in.

    If two detectors are equally good, each image's difference might as well have the other sign. The distribution of
    the sum over all 2ⁿ signs is computed, not drawn. With one seed a difference is −1, 0 or 1, and this is McNemar's
    exact test (Psychometrika 12, 1947) to the letter; with several, the image stays the unit, so agreeing seeds are
    not counted as independent witnesses.
    """
    sizes = np.abs(differences)
    sums = np.ones(1)
    for size in np.unique(sizes[sizes > 0]):
        sums = np.convolve(sums, _signed_sums(int(size), int((sizes == size).sum())))
    reach = (len(sums) - 1) // 2
    observed = abs(int(differences.sum()))
    return float(min(1.0, sums[np.abs(np.arange(-reach, reach + 1)) >= observed].sum()))


def holm(p_values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjusted p-values that keep the chance of any false claim in the family at the level (Scand. J. Stat. 6, 1979).

    The smallest is multiplied by the number of tests, the next by one less, and none may fall below one before it.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


_EPSILON = 1e-12  # sums of the same numbers in another order differ by less


def _signed_sums(size: int, count: int) -> NDArray[np.float64]:
    """Chances of the sum of ``count`` terms ±``size``, from −size·count to size·count in steps of one."""
    chances = np.zeros(2 * size * count + 1)
    chances[:: 2 * size] = [comb(count, k) / 2**count for k in range(count + 1)]
    return chances
