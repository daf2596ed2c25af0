"""What a log tells of drift: the evidence, when it sufficed for an alarm, and what changed in the photographs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cobnut.calibration.martingale import DriftWatch, alarm_at
from cobnut.errors import DataError
from cobnut.runtime.bundle import Manifest

# So many parts at the beginning and at the end are set against each other to explain a drift.
SIDE = 50
# A change of the photographs is named when it is so many standard errors large.
NAMED_FROM = 4.0
_FIGURES = {"brightness": ("brighter", "darker"), "sharpness": ("sharper", "less sharp")}


@dataclass(frozen=True, slots=True)
class Drift:
    """The capital after each watched part of the log, and what came of it.

    ``rows`` are those that this version wrote, ``promised`` is the share of good parts that it rejects at most.
    ``alarm`` counts the watched parts up to the alarm; ``None``: there was none. ``is_rising`` tells of the scores up
    to it, or to the end. ``changes`` tells what changed in the photographs, in words.
    """

    version: int
    level: float
    judged: int
    rejected: int
    promised: float | None
    rows: list[dict[str, Any]]
    capitals: list[float]
    alarm: int | None
    is_rising: bool
    changes: list[str]

    def sentences(self) -> Iterator[str]:
        """The outcome in plain words."""
        yield (
            f"{self.judged} parts were judged by version {self.version}, {self.rejected} of them rejected; "
            f"{len(self.capitals)} others were watched."
        )
        highest, needed = max(self.capitals, default=1.0), alarm_at(self.level)
        if self.alarm is None and 2 * len(self.capitals) < self.judged:
            yield (
                "Most parts were rejected, and rejected parts are not watched: nothing can be said of drift. If they "
                "are good, the lamp, the focus or the product has changed."
            )
        elif self.alarm is None:
            yield f"No drift is proved: the evidence came to {highest:.3g}, and an alarm needs {needed:g}."
        else:
            way = "higher" if self.is_rising else "lower"
            yield (
                f"DRIFT: after {self.alarm} watched parts the evidence passed {needed:g}; scores are {way} than they "
                f"were. Such an alarm is ever false with a chance of {100 * self.level:g} % at most."
            )
            now = self.capitals[-1]
            if now < needed / 10:
                yield f"The evidence has since dropped to {now:.3g}: look at when it was, too."
        if self.promised is not None and self.rejected > 10 and self.rejected > 2 * self.promised * self.judged:
            yield (
                f"{100 * self.rejected / self.judged:.0f} % were rejected, where {100 * self.promised:g} % of good "
                "parts are at most: defects, or good parts that are no longer like the calibration images."
            )
        yield from self.changes


def watch_log(manifest: Manifest, rows: Sequence[dict[str, Any]], level: float = 0.01) -> Drift:
    """Watch the rows of a log that the present version of a bundle wrote, in their order.

    Raises :class:`DataError` when there is none.
    """
    own = [row for row in rows if row["score"] is not None and _is_by(manifest, row)]
    if not own:
        raise DataError(
            f"the log holds no part that version {manifest.version} of this bundle judged; name the log of this bundle"
        )
    watch = DriftWatch.beside(manifest.calibration_scores, manifest.threshold, manifest.recipe.seed)
    capitals: list[float] = []
    alarm, is_rising = None, watch.is_rising
    for row in own:
        capital = watch.feed(row["score"])
        if capital is None:
            continue
        capitals.append(capital)
        if alarm is None:
            is_rising = watch.is_rising
            alarm = len(capitals) if capitals[-1] >= alarm_at(level) else None
    alpha = manifest.recipe.calibration.alpha
    return Drift(
        version=manifest.version,
        level=level,
        judged=len(own),
        rejected=sum(row["score"] > manifest.threshold for row in own),
        promised=alpha if isinstance(alpha, float) else None,
        rows=own,
        capitals=capitals,
        alarm=alarm,
        is_rising=is_rising,
        changes=list(_changes(own)),
    )


def _is_by(manifest: Manifest, row: dict[str, Any]) -> bool:
    """Whether this version wrote a row; rows without a version are known by their threshold."""
    version = row.get("version")
    same = row.get("threshold") == manifest.threshold
    return same if version is None else same and int(version) == manifest.version


def _changes(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    side = min(SIDE, len(rows) // 2)
    for name, (more, less) in _FIGURES.items():
        values = np.array([row[name] for row in rows if row.get(name)])
        if side < 5 or len(values) < 2 * side:
            continue
        first, last = values[:side], values[-side:]
        error = np.sqrt((first.var(ddof=1) + last.var(ddof=1)) / side)
        change = last.mean() / first.mean() - 1
        if abs(last.mean() - first.mean()) > NAMED_FROM * error and round(100 * abs(change)):
            way = more if change > 0 else less
            yield f"The last {side} photographs are {100 * abs(change):.0f} % {way} than the first {side}."
    half = len(rows) // 2
    rates = (
        [np.mean([row["score"] > row["threshold"] for row in part]) for part in (rows[:half], rows[half:])]
        if half >= SIDE
        else []
    )
    if rates and rates[1] > 2 * rates[0] + 0.05:
        later, earlier = (f"{100 * rate:.0f} %" for rate in reversed(rates))
        yield f"Of the later half of the parts {later} were rejected, of the earlier {earlier}."
