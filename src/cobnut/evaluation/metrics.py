"""Figures of detection and localisation, exact, from two sorted heaps: what is good and what is defective.

One fact carries this file: the area under a ROC curve, up to any false-positive rate, is the mean over the defective
of the area to the right of the place where each is found. AUROC, its partial area, pixel AUROC and PRO are that one
mean, taken over images, pixels or regions. Scores are higher for worse throughout.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
PRO_LIMIT = 0.3


def auroc(good: Scores, defective: Scores, limit: float = 1.0) -> float:
    """Area under the ROC curve up to the false-positive rate ``limit``, divided by ``limit``; ties count half.

    ``good`` must be sorted upwards. With ``limit`` 1 it is the chance that a defective one scores above a good one.
    """
    return float(areas_right_of(*false_positive_rates(good, defective), limit).mean() / limit)


def average_precision(good: Scores, defective: Scores) -> float:
    """Σ (Rₙ − Rₙ₋₁) Pₙ over the distinct scores of the defective, as scikit-learn; ``good`` sorted upwards."""
    found, false = _found_and_false(good, defective)
    return float((np.diff(found, prepend=0) * found / (found + false)).sum() / len(defective))


def f1_max(good: Scores, defective: Scores) -> tuple[float, float]:
    """The best F1 that any threshold reaches, and the lowest score that it calls defective; ``good`` sorted upwards.

    It looks at the truth to choose: a figure of what the scores could do, never of what the detector does.
    """
    found, false = _found_and_false(good, defective)
    f1 = 2 * found / (found + false + len(defective))
    best = int(f1.argmax())
    return float(f1[best]), float(np.unique(defective)[::-1][best])


def pro(good: Scores, regions: Sequence[Scores], limit: float = PRO_LIMIT) -> float:
    """Per-region overlap, integrated to the false-positive rate ``limit`` and divided by it (Bergmann 2021, 4.2).

    ``good``: scores of all pixels outside defects, sorted upwards; ``regions``: the scores of each connected defect.
    Every region weighs the same, whatever its size. Exact: each pixel's score is a threshold.
    """
    return float(np.mean([auroc(good, region, limit) for region in regions]))


def false_positive_rates(good: Scores, defective: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each defective score: the shares of ``good`` (sorted upwards) strictly above it, and at or above it."""
    above = len(good) - np.searchsorted(good, defective, side="right")
    at_or_above = len(good) - np.searchsorted(good, defective, side="left")
    return above / len(good), at_or_above / len(good)


def areas_right_of(above: NDArray[np.float64], at_or_above: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """Area under one defective's own ROC curve up to ``limit``: 0, then a ramp between the two rates, then 1."""
    ramp = at_or_above - above
    inside = np.clip(limit - above, 0, ramp)  # how far up its ramp the limit cuts
    share = np.divide(inside, ramp, out=np.zeros_like(ramp), where=ramp > 0)
    area: NDArray[np.float64] = share * inside / 2 + np.clip(limit - at_or_above, 0, None)
    return area


def _found_and_false(good: Scores, defective: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Defective and good ones called defective at each distinct defective score, from the highest down."""
    thresholds, counts = np.unique(defective, return_counts=True)
    found = counts[::-1].cumsum().astype(np.float64)
    false = (len(good) - np.searchsorted(good, thresholds, side="left"))[::-1].astype(np.float64)
    return found, false


@dataclass(frozen=True, slots=True)
class Confusion:
    """Decisions against the truth; «positive» is «called defective»."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @classmethod
    def of(cls, truth: NDArray[np.bool_], called: NDArray[np.bool_]) -> "Confusion":
        """Count decisions ``called`` against ``truth``, both true for defective."""
        return cls(
            int((truth & called).sum()), int((~truth & called).sum()),
            int((truth & ~called).sum()), int((~truth & ~called).sum()),
        )  # fmt: skip

    @property
    def defective(self) -> int:
        """Images that are defective."""
        return self.true_positive + self.false_negative

    @property
    def good(self) -> int:
        """Images that are good."""
        return self.false_positive + self.true_negative

    @property
    def accuracy(self) -> float | None:
        """Share of right decisions."""
        return ratio(self.true_positive + self.true_negative, self.good + self.defective)

    @property
    def precision(self) -> float | None:
        """Share of the rejected that are defective; ``None`` when nothing was rejected."""
        return ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float | None:
        """Share of the defective that are rejected."""
        return ratio(self.true_positive, self.defective)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall, for the defective."""
        return ratio(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)

    @property
    def false_alarm_rate(self) -> float | None:
        """Share of the good that are rejected."""
        return ratio(self.false_positive, self.good)

    @property
    def miss_rate(self) -> float | None:
        """Share of the defective that pass."""
        return ratio(self.false_negative, self.defective)

    def of_good(self) -> "Confusion":
        """The same decisions with «good» as the positive class."""
        return Confusion(self.true_negative, self.false_negative, self.false_positive, self.true_positive)


def ratio(part: float, whole: float) -> float | None:
    """``part / whole``, or ``None`` when there is no whole."""
    return part / whole if whole else None


def classification_table(confusion: Confusion) -> dict[str, dict[str, float | int | None]]:
    """The study's Fig. 7: precision, recall, F1 and support of each class, with macro and weighted averages."""
    good, total = confusion.of_good(), confusion.good + confusion.defective
    rows: dict[str, dict[str, float | int | None]] = {
        name: {"precision": c.precision, "recall": c.recall, "f1": c.f1, "support": c.defective}
        for name, c in (("good", good), ("defective", confusion))
    }
    weights = {
        "macro_average": (0.5, 0.5),
        "weighted_average": (ratio(confusion.good, total) or 0.0, ratio(confusion.defective, total) or 0.0),
    }
    for name, (of_good, of_defective) in weights.items():
        rows[name] = {"support": total}
        for figure in ("precision", "recall", "f1"):
            a, b = rows["good"][figure], rows["defective"][figure]
            rows[name][figure] = None if a is None or b is None else of_good * a + of_defective * b
    return rows
