"""The rows of a log as they come, and all that is kept of them, however many they are."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from cobnut.calibration.martingale import Bettors, DriftWatch, alarm_at
from cobnut.calibration.rejections import RejectionWatch, most_rejected
from cobnut.runtime.bundle import Manifest

# So many parts at the beginning and at the end are set against each other to explain a drift.
SIDE = 50
# A change of the photographs is named when it is so many standard errors large.
NAMED_FROM = 4.0
_FIGURES = {"brightness": ("brighter", "darker"), "sharpness": ("sharper", "less sharp")}


@dataclass
class Evidence:
    """The capital of a bet after so many parts, the most that it came to, and after which part it was an alarm."""

    needed: float
    parts: int = 0
    now: float = 1.0
    highest: float = 1.0
    alarm: int | None = None

    def add(self, capital: float) -> None:
        """Take in the capital after one more part."""
        self.parts += 1
        self.now, self.highest = capital, max(self.highest, capital)
        if self.alarm is None and capital >= self.needed:
            self.alarm = self.parts


@dataclass
class Ends:
    """A figure of the first and of the last photographs."""

    count: int = 0
    first: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        """Take in the figure of one more photograph."""
        self.count += 1
        self.first += [value] if len(self.first) < SIDE else []
        self.last = [*self.last[1 - SIDE :], value]


class LogWatch:
    """Both bets on the rows that the present version of a bundle writes, and what the photographs were like.

    ``limit`` is the share of parts that may be rejected; ``None`` where nothing was promised, and then rejections are
    not watched. A bet on them has half the level, the limit the other half. ``is_rising`` tells of the scores,
    ``recent`` which of the last few parts were rejected, both up to their alarm, or to the last row.
    """

    def __init__(self, manifest: Manifest, level: float, defect_rate: float) -> None:
        self.manifest, self.level, self.defect_rate = manifest, level, defect_rate
        options = manifest.recipe.calibration
        # What folds count of their own images is no score of parts to come: then parts are set against each other only.
        scores = [] if options.folds else manifest.calibration_scores
        self._drift = DriftWatch.beside(scores, manifest.threshold, manifest.recipe.seed)
        self._rejections: RejectionWatch | None = None
        self.limit: float | None = None
        if options.method == "conformal" and isinstance(options.alpha, float):
            images, promised = len(manifest.calibration_scores), (options.alpha, options.confidence)
            self.limit = most_rejected(images, *promised, level / 2, defect_rate, options.folds)
            self._rejections = RejectionWatch(self.limit)
        self.drift, self.rejections = Evidence(alarm_at(level)), Evidence(alarm_at(level / 2))
        self.judged, self.rejected, self.is_rising = 0, 0, self._drift.is_rising
        self.recent: list[bool] = []
        self._photographs = {name: Ends() for name in _FIGURES}

    def feed(self, row: dict[str, Any]) -> bool:
        """Take in the next row, if it is of this version; tell whether it is."""
        score = row["score"]
        if score is None or not self._is_own(row):
            return False
        is_rejected = score > self.manifest.threshold
        self.judged += 1
        self.rejected += is_rejected
        capital = self._drift.feed(score)
        if capital is not None:
            if self.drift.alarm is None:
                self.is_rising = self._drift.is_rising
            self.drift.add(capital)
        if self._rejections is not None:
            if self.rejections.alarm is None:
                self.recent = [*self.recent[1 - SIDE :], is_rejected]
            self.rejections.add(self._rejections.feed(is_rejected))
        for name, ends in self._photographs.items():
            if row.get(name):
                ends.add(row[name])
        return True

    @property
    def key(self) -> str:
        """All that the state depends on beside the rows."""
        made, options = self.manifest, self.manifest.recipe.calibration
        promise = [options.method, options.alpha, options.confidence]
        bundle = [made.version, made.threshold, made.calibration_scores, made.recipe.seed, promise]
        return json.dumps([self.level, self.defect_rate, bundle])

    def state(self) -> dict[str, Any]:
        """All that the rows so far have changed, as JSON holds it without loss."""
        return {
            "counts": [self.judged, self.rejected],
            "evidence": [asdict(self.drift), asdict(self.rejections)],
            "is_rising": self.is_rising,
            "recent": self.recent,
            "scores": sorted(self._drift.counts.items()),
            "bettors": [asdict(each.bettors) for each in (self._drift, self._rejections) if each],
            "photographs": {name: asdict(ends) for name, ends in self._photographs.items()},
        }

    def go_on(self, state: dict[str, Any]) -> None:
        """Stand where the watch of the same key stood that gave this state."""
        self.judged, self.rejected = state["counts"]
        self.drift, self.rejections = (Evidence(**each) for each in state["evidence"])
        self.is_rising, self.recent = state["is_rising"], state["recent"]
        self._drift.counts = Counter(dict(state["scores"]))
        for watch, bettors in zip((self._drift, self._rejections), state["bettors"], strict=False):
            if watch:
                watch.bettors = Bettors(**bettors)
        self._photographs = {name: Ends(**ends) for name, ends in state["photographs"].items()}

    def changes(self) -> Iterator[str]:
        """What changed in the photographs between the first parts and the last, in words."""
        side = min(SIDE, self.judged // 2)
        for name, (more, less) in _FIGURES.items():
            ends = self._photographs[name]
            if side < 5 or ends.count < 2 * side:
                continue
            first, last = np.array(ends.first[:side]), np.array(ends.last[-side:])
            error = np.sqrt((first.var(ddof=1) + last.var(ddof=1)) / side)
            change = last.mean() / first.mean() - 1
            if abs(last.mean() - first.mean()) > NAMED_FROM * error and round(100 * abs(change)):
                way = more if change > 0 else less
                yield f"The last {side} photographs are {100 * abs(change):.0f} % {way} than the first {side}."

    def _is_own(self, row: dict[str, Any]) -> bool:
        """Whether this version wrote a row; rows without a version are known by their threshold."""
        version = row.get("version")
        same = row.get("threshold") == self.manifest.threshold
        return bool(same) if version is None else bool(same) and int(version) == self.manifest.version
