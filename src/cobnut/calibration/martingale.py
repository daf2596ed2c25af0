"""Watching for drift: a bet against «parts are as they were», whose winnings are evidence that they are not.

Each part's rank among all before it is, while nothing drifts, as likely one as another (Vovk, Gammerman & Shafer
2005, 8.1). A bettor who stakes on such ranks cannot win in the long run, and the chance that a capital of 1 ever grows
to C is at most 1/C (Ville 1939), however long one watches. So an alarm at a capital of 100 is false with a chance of
1 % at most.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

# What a bet pays for a p-value, 1 on average: bold and cautious against low ones (scores that rise), then against high
# ones (scores that fall). The bold ones are the power martingale of Vovk et al. 2005, 7.1, with ε = ½.
BETS: tuple[Callable[[float], float], ...] = (
    lambda p: 0.5 / math.sqrt(p),
    lambda p: 1.5 - p,
    lambda p: 0.5 + p,
    lambda p: 0.5 / math.sqrt(1 - p),
)
# Share of each bettor's capital that changes sides after each part, so that a drift may turn (the Simple Jumper of
# Vovk et al. 2021, «Retrain or not retrain», section 3).
JUMP = 0.002
# What a bettor owns beyond this is given away: the evidence may then drop again, and is never too large a number.
MOST = 1e12
_MANTISSA_BITS = 11
_EDGE = 1e-12


@dataclass
class Bettors:
    """Several bettors who share a first capital of 1; what they own together is the evidence.

    Where no bet pays more than 1 on average, the chance that it ever reaches C is at most 1/C (Ville 1939).
    """

    stakes: list[float]
    parts: int = 0

    @classmethod
    def of(cls, count: int) -> "Bettors":
        """So many bettors who have not yet staked anything."""
        return cls([0.0] * count)

    def settle(self, pays: Sequence[float]) -> float:
        """The capital after a part for which each bettor's stake is multiplied by what his bet ``pays``."""
        self.parts += 1
        # Part of the first capital enters at each part, ever less, because a change may begin at any time.
        entering = _waiting(self.parts - 1) - _waiting(self.parts)
        mean = sum(self.stakes) / len(self.stakes)
        self.stakes = [
            min(((1 - JUMP) * stake + JUMP * mean + entering / len(self.stakes)) * pay, MOST)
            for stake, pay in zip(self.stakes, pays, strict=True)
        ]
        return _waiting(self.parts) + sum(self.stakes)


@dataclass
class DriftWatch:
    """A test martingale over the scores of parts, beside those of the calibration images that they are held against.

    Parts at or above ``threshold`` are not looked at, and neither are such calibration scores: a few defective parts
    prove no drift, and among the others ranks are as likely as before. Scores, which are not negative, are rounded to a
    part in a thousand, ties are broken by chance with ``seed``: what is kept stays small however many parts pass, and
    the ranks exact.
    """

    threshold: float
    seed: int = 0
    counts: Counter[int] = field(default_factory=Counter)
    bettors: Bettors = field(default_factory=lambda: Bettors.of(len(BETS)))

    @classmethod
    def beside(cls, calibration: Iterable[float], threshold: float, seed: int = 0) -> "DriftWatch":
        """A watch that starts from the calibration scores."""
        watch = cls(threshold, seed)
        watch.counts.update(_rounded(score) for score in calibration if score < threshold)
        return watch

    def feed(self, score: float) -> float | None:
        """Take in the next part and tell the capital; ``None`` for a part that is not looked at."""
        if score >= self.threshold:
            return None
        p = self._p_value(_rounded(score))
        return self.bettors.settle([bet(p) for bet in BETS])

    @property
    def is_rising(self) -> bool:
        """Whether the winnings come from scores that are higher than they were, rather than lower."""
        return sum(self.bettors.stakes[:2]) >= sum(self.bettors.stakes[2:])

    def _p_value(self, key: int) -> float:
        """The share of scores that are higher, ties broken by chance: uniform in (0, 1) while nothing drifts."""
        higher = sum(count for other, count in self.counts.items() if other > key)
        equal = self.counts[key] + 1
        chance = float(np.random.default_rng([self.seed, self.bettors.parts]).random())
        self.counts[key] = equal
        p = (higher + chance * equal) / self.counts.total()
        return min(max(p, _EDGE), 1 - _EDGE)


def alarm_at(level: float) -> float:
    """The capital at which an alarm is ever false with a chance of ``level`` at most."""
    return 1 / level


def _waiting(parts: int) -> float:
    """What of the first capital is not yet staked after so many parts: it falls so slowly that a late drift is seen."""
    return 1 / math.log2(parts + 2)


def _rounded(score: float) -> int:
    """A whole number that grows with the score, in steps of a part in a thousand, 0 below all."""
    mantissa, exponent = math.frexp(score)
    return (exponent << _MANTISSA_BITS) + math.floor(mantissa * (1 << _MANTISSA_BITS)) if score else -(1 << 30)
