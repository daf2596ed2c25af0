"""What one detector, trained with several seeds, said of the same images; and those images drawn anew many times.

AUROC is the share of pairs (good, defective) in which the defective one scores higher. Kept as a table of pairs, every
draw of the images is one product of matrices, so ten thousand draws cost less than one sort of each would.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class Answers:
    """Scores and decisions, both (seeds, images); ``is_defective`` (images,) is the truth."""

    scores: NDArray[np.float64]
    is_rejected: NDArray[np.bool_]
    is_defective: NDArray[np.bool_]

    @property
    def is_right(self) -> NDArray[np.bool_]:
        """Where the decision agrees with the truth, (seeds, images)."""
        return np.asarray(self.is_rejected == self.is_defective)

    def wins(self) -> NDArray[np.float64]:
        """1 where the defective image scores above the good one, ½ for a tie: (seeds, good, defective)."""
        good, defective = self.scores[:, ~self.is_defective, None], self.scores[:, None, self.is_defective]
        return np.asarray((defective > good) + 0.5 * (defective == good))


@dataclass(frozen=True, slots=True)
class Draws:
    """How often each image came up in each draw: ``good`` (draws, good) and ``defective`` (draws, defective)."""

    good: NDArray[np.float64]
    defective: NDArray[np.float64]

    @classmethod
    def of(cls, is_defective: NDArray[np.bool_], draws: int = DRAWS, seed: int = 0) -> "Draws":
        """Draw with replacement, good and defective apart, so that every draw has as many of each."""
        random = np.random.default_rng(seed)
        counts = [int((~is_defective).sum()), int(is_defective.sum())]
        good, defective = (random.multinomial(n, np.full(n, 1 / n), draws).astype(np.float64) for n in counts)
        return cls(good, defective)

    def aurocs(self, wins: NDArray[np.float64]) -> NDArray[np.float64]:
        """AUROC of each draw, (draws,), from a table of pairs (good, defective)."""
        area: NDArray[np.float64] = np.einsum("bd,bd->b", self.good @ wins, self.defective) / wins.size
        return area

    def means(self, values: NDArray[np.float64], is_defective: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Mean of a value per image, (images,), in each draw: (draws,)."""
        total: NDArray[np.float64] = self.good @ values[~is_defective] + self.defective @ values[is_defective]
        return total / len(values)
