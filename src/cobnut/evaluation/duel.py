"""Two bundles on the same images: which ranks better, which decides better, and whether that is more than chance."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import erfc, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cobnut.errors import DataError, ImageError
from cobnut.evaluation.comparison import LEVEL, sign_flip_p_value
from cobnut.evaluation.evaluate import test_samples
from cobnut.evaluation.intervals import Interval
from cobnut.records import Sample
from cobnut.runtime.inspect import Inspector

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Ranking:
    """AUROC of both, the first less the second, its 95 % interval and its two-sided p-value (DeLong)."""

    first: float
    second: float
    difference: float
    interval: Interval
    p_value: float


@dataclass(frozen=True, slots=True)
class Decisions:
    """Images of one truth: how many both decide rightly, only one of them, neither; and McNemar's exact p-value."""

    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float

    @property
    def count(self) -> int:
        """All images."""
        return self.both + self.only_first + self.only_second + self.neither


@dataclass(frozen=True, slots=True)
class Duel:
    """All that is told of two bundles by name."""

    names: tuple[str, str]
    ranking: Ranking | None
    good: Decisions
    defective: Decisions
    unreadable: list[str]

    def as_dict(self) -> dict[str, Any]:
        """The figures for machines."""
        return asdict(self)

    def sentences(self) -> list[str]:
        """The outcome in plain words."""
        told = [] if self.ranking is None else [_ranking_words(self.names, self.ranking)]
        return [
            *told,
            _decision_words(self.names, self.good, "good", "passes"),
            _decision_words(self.names, self.defective, "defective", "finds"),
        ]


def duel(
    first: Inspector,
    second: Inspector,
    names: tuple[str, str],
    samples: Sequence[Sample],
    allow_leaks: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Duel:
    """Judge the test images that neither bundle has seen by both.

    Raises :class:`DataError` when a test image helped to make one of them (unless ``allow_leaks``), or nothing is left.
    """
    test = _unseen_by_both(first, second, samples, allow_leaks)
    paths, truth, answers, unreadable = [sample.path for sample in test], [], [], []
    for sample, *both in zip(test, first.inspect_files(paths), second.inspect_files(paths), strict=True):
        on_progress(1)
        errors = [str(each) for each in both if isinstance(each, ImageError)]
        if errors:
            unreadable.append(errors[0])
            continue
        truth.append(sample.is_defective)
        answers.append([(each.score, each.is_defective) for each in both if not isinstance(each, ImageError)])
    if not answers:
        raise DataError("none of the test images can be read; `cobnut data` tells why")
    is_defective, values = np.array(truth), np.array(answers, float)
    has_both = min(is_defective.sum(), (~is_defective).sum()) > 1
    right = (values[:, :, 1] > 0) == is_defective[:, None]
    return Duel(
        names=names,
        ranking=delong(values[:, 0, 0], values[:, 1, 0], is_defective) if has_both else None,
        good=_decisions(right[~is_defective]),
        defective=_decisions(right[is_defective]),
        unreadable=unreadable,
    )


def delong(first: NDArray[np.floating], second: NDArray[np.floating], is_defective: NDArray[np.bool_]) -> Ranking:
    """Compare two AUROCs on the same images (DeLong, DeLong & Clarke-Pearson, Biometrics 44, 1988).

    Scores (images,) of both and the truth in, two images of each kind at least. It is a test for many images: under ten
    of either kind its p-value is a hint. Where every image tells the same, it is that of as many equal signs.
    """
    shares = [_shares(scores[~is_defective], scores[is_defective]) for scores in (first, second)]
    areas = [float(of_defective.mean()) for _, of_defective in shares]
    variance = sum(float(np.var(a - b, ddof=1)) / len(a) for a, b in zip(*shares, strict=True))
    difference, error = areas[0] - areas[1], sqrt(variance)
    of_equal_signs = 2.0 ** (1 - len(is_defective)) if difference else 1.0
    p_value = erfc(abs(difference) / error / sqrt(2)) if error > 0 else of_equal_signs
    low, high = (min(max(difference + side * _Z95 * error, -1.0), 1.0) for side in (-1, 1))
    return Ranking(areas[0], areas[1], difference, (low, high), p_value)


def _shares(good: NDArray[np.floating], defective: NDArray[np.floating]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The structural components: for each good image the share of defective ones above it, and the other way about."""
    wins = (defective[None] > good[:, None]) + 0.5 * (defective[None] == good[:, None])
    return wins.mean(axis=1), wins.mean(axis=0)


def _unseen_by_both(first: Inspector, second: Inspector, samples: Sequence[Sample], allow_leaks: bool) -> list[Sample]:
    tests = [test_samples(samples, each, allow_leaks)[0] for each in (first, second)]
    shared = {sample.path for sample in tests[1]}
    test = [sample for sample in tests[0] if sample.path in shared]
    if not test:
        raise DataError("there is no test image that neither bundle has seen; give a test folder, or --defective DIR")
    return test


def _decisions(right: NDArray[np.bool_]) -> Decisions:
    one, two = right[:, 0], right[:, 1]
    differences = np.asarray(one.astype(np.int64) - two.astype(np.int64))
    return Decisions(
        both=int((one & two).sum()),
        only_first=int((one & ~two).sum()),
        only_second=int((two & ~one).sum()),
        neither=int((~one & ~two).sum()),
        p_value=sign_flip_p_value(differences) if len(right) else 1.0,
    )


def _ranking_words(names: tuple[str, str], ranking: Ranking) -> str:
    areas = f"AUROC {ranking.first:.3f} and {ranking.second:.3f}"
    low, high = ranking.interval
    known = f"difference {ranking.difference:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}, p = {ranking.p_value:.2g}"
    if ranking.p_value >= LEVEL:
        return f"Ranking: the two cannot be told apart ({areas}; {known})."
    better = names[0] if ranking.difference > 0 else names[1]
    return f"Ranking: {better} ranks defective parts above good ones better ({areas}; {known})."


def _decision_words(names: tuple[str, str], decisions: Decisions, kind: str, does: str) -> str:
    if not decisions.count:
        return f"Decisions: there was no {kind} part."
    rates = (
        f"{names[0]} {does} {decisions.both + decisions.only_first} and {names[1]} "
        f"{decisions.both + decisions.only_second} of {decisions.count} {kind} parts"
    )
    apart = f"they differ on {decisions.only_first + decisions.only_second}, p = {decisions.p_value:.2g}"
    is_chance = decisions.p_value >= LEVEL
    verdict = "which chance alone may explain" if is_chance else "which is more than chance"
    return f"Decisions: {rates}; {apart}, {verdict}."
