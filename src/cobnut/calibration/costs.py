"""What a threshold costs, and the alpha that costs least, chosen without breaking its own promise.

An alpha that is chosen by the very scores which then set the threshold is not promised any more: among many the one is
taken whose threshold happens to suit. So the good images are parted. Those that choose alpha calibrate nothing, and
given alpha, those that calibrate are as exchangeable with the parts to come as before (the split that Yang &
Kuchibhotla, «Selection and aggregation of conformal prediction sets», JASA 2025, call validity first).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from cobnut.calibration.conformal import Scores, conformal_threshold, images_needed, least_promise, round_up
from cobnut.errors import CobnutError

# The alphas that are weighed, as far as the images can promise them, beside the least that they can.
ALPHAS = (0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a missed defect and a false alarm cost, in one currency, and the share of parts that are defective, (0, 1).

    Raises :class:`CobnutError` for a cost that is no number above 0, or a share that is none.
    """

    miss: float
    false_alarm: float
    defect_rate: float

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for each in fields(self):
            value, option = getattr(self, each.name), _OPTIONS[each.name]
            if each.name == "defect_rate" and not 0 < value < 1:
                raise CobnutError(
                    f"{option} {value:g}: is no share of parts; give one between 0 and 1, for example 0.02"
                )
            if not 0 < value < math.inf:
                raise CobnutError(f"{option} {value:g}: is no cost; give a number above 0")

    def per_part(self, alpha: float, miss_rate: float) -> float:
        """The expected cost of a part, where a share ``alpha`` of good ones is rejected and ``miss_rate`` missed."""
        return self.defect_rate * miss_rate * self.miss + (1 - self.defect_rate) * alpha * self.false_alarm

    @property
    def uninspected(self) -> float:
        """The expected cost of a part that nobody inspects."""
        return self.per_part(0, 1)


@dataclass(frozen=True, slots=True)
class Offer:
    """An alpha, the share of the labelled defects that it misses, and the expected cost of a part."""

    alpha: float
    miss_rate: float
    cost: float


@dataclass(slots=True)
class LeastCost:
    """Chooses alpha by the scores of labelled defects, kept by the SHA-256 of their files.

    ``offers`` is what was weighed, by so many good images as ``chose``.
    """

    costs: Costs
    defective: Mapping[str, float]
    offers: list[Offer] = field(default_factory=list)
    chose: int = 0

    def choose(self, choosing: Scores, calibrating: int, confidence: float) -> float:
        """The alpha of least expected cost that so many ``calibrating`` images can promise; of equals the lowest.

        Its threshold is foretold by the scores of good images that only choose, (m,). Raises :class:`CobnutError` when
        either are too few to promise any alpha that is weighed.
        """
        self.chose = len(choosing)
        self.offers = weigh(choosing, np.array(list(self.defective.values())), self.costs, calibrating, confidence)
        return self.best.alpha

    @property
    def best(self) -> Offer:
        """The offer that was chosen."""
        return min(self.offers, key=lambda each: (each.cost, each.alpha))


def weigh(choosing: Scores, defective: Scores, costs: Costs, calibrating: int, confidence: float = 0.0) -> list[Offer]:
    """An offer for each alpha that both ``choosing`` (m,) and so many ``calibrating`` images can promise, upwards."""
    images = min(len(choosing), calibrating)
    most = ALPHAS[-1]
    if images < images_needed(most, confidence):
        needed = 2 * images_needed(most, confidence)
        raise CobnutError(
            f"to choose alpha by cost takes {needed} good images at the least, half of them to choose and half to "
            f"calibrate; you have {len(choosing)} and {calibrating}: add good images, or set --alpha"
        )
    least = round_up(least_promise(images, confidence))
    alphas = sorted({least, *(alpha for alpha in ALPHAS if alpha > least)})
    offers = []
    for alpha in alphas:
        threshold = conformal_threshold(choosing, alpha, confidence)
        miss_rate = float(np.mean(defective <= threshold))
        offers.append(Offer(alpha, miss_rate, costs.per_part(alpha, miss_rate)))
    return offers


_OPTIONS = {"miss": "--cost-miss", "false_alarm": "--cost-false-alarm", "defect_rate": "--defect-rate"}
