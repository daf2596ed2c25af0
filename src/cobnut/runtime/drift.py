"""What a log tells: whether parts have drifted, whether too many are rejected, and what changed in the photographs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cobnut.calibration.conformal import round_up
from cobnut.errors import DataError
from cobnut.runtime.bundle import Manifest
from cobnut.runtime.kept import Kept, read_kept, write_kept
from cobnut.runtime.logs import read_rows
from cobnut.runtime.watch import Evidence, LogWatch

LEVEL = 0.01


@dataclass(frozen=True, slots=True)
class Drift:
    """What came of both bets, and the way there.

    ``rows`` are those that this version wrote; ``capitals`` is the evidence of drift after each part that passed,
    ``rejection_capitals`` that of too many rejections after each part. They are empty where only the outcome is wanted.
    """

    watch: LogWatch
    changes: list[str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    capitals: list[float] = field(default_factory=list)
    rejection_capitals: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, watch: LogWatch) -> "Drift":
        """The outcome so far; raises :class:`DataError` when no part was judged."""
        if not watch.judged:
            raise DataError(
                f"the log holds no part that version {watch.manifest.version} of this bundle judged; name the log of "
                "this bundle"
            )
        return cls(watch, list(watch.changes()))

    @property
    def alarm(self) -> int | None:
        """The watched parts up to the alarm of drift, where there was one."""
        return self.watch.drift.alarm

    @property
    def rejection_alarm(self) -> int | None:
        """The parts up to where more were rejected than promised, where it came to that."""
        return self.watch.rejections.alarm

    def sentences(self) -> Iterator[str]:
        """The outcome in plain words."""
        watch = self.watch
        yield (
            f"{watch.judged} parts were judged by version {watch.manifest.version}, {watch.rejected} of them rejected; "
            f"{watch.drift.parts} others were watched."
        )
        yield from self._of_drift(watch.drift)
        if watch.limit is not None and self.rejection_alarm is not None:
            yield from self._of_rejections(watch.rejections, watch.limit)
        yield from self.changes

    def _of_drift(self, drift: Evidence) -> Iterator[str]:
        watch = self.watch
        if drift.alarm is not None:
            way = "higher" if watch.is_rising else "lower"
            yield (
                f"DRIFT: after {drift.alarm} watched parts the evidence passed {drift.needed:g}; scores are {way} than "
                f"they were. {_level(watch.level)}"
            )
            yield from _dropped(drift)
        elif 2 * drift.parts < watch.judged:
            yield (
                "Most parts were rejected, and rejected parts are not watched: nothing can be said of drift. If they "
                "are good, the lamp, the focus or the product has changed."
            )
        else:
            yield (
                f"No drift is proved: the evidence came to {drift.highest:.3g}, and an alarm needs {drift.needed:g}."
            )

    def _of_rejections(self, rejections: Evidence, limit: float) -> Iterator[str]:
        watch = self.watch
        allowed = f" and {100 * watch.defect_rate:g} % of defects" if watch.defect_rate else ""
        cause = (
            "more are defective" if allowed else "some are defective (--defect-rate allows for as many as you expect)"
        )
        recent, share = watch.recent, 100 * watch.rejected / watch.judged
        yield (
            f"MORE PARTS ARE REJECTED THAN PROMISED: {sum(recent)} of the {len(recent)} up to part {rejections.alarm}, "
            f"and {share:.2g} % of all; of good parts{allowed} it may be {100 * round_up(limit):g} % at most, the luck "
            f"of the calibration images counted in. Either {cause}, or good parts are no longer like the calibration "
            f"images. {_level(watch.level)}"
        )
        yield from _dropped(rejections)


def watch_log(
    manifest: Manifest, rows: Iterable[dict[str, Any]], level: float = LEVEL, defect_rate: float = 0.0
) -> Drift:
    """Watch the rows of a log that the present version of a bundle wrote, in their order.

    Either alarm is ever false with a chance of ``level`` at most. Raises :class:`DataError` when there is no such row.
    """
    watch = LogWatch(manifest, level, defect_rate)
    own: list[dict[str, Any]] = []
    capitals: list[float] = []
    rejection_capitals: list[float] = []
    for row in rows:
        before = watch.drift.parts
        if not watch.feed(row):
            continue
        own.append(row)
        if watch.drift.parts > before:
            capitals.append(watch.drift.now)
        if watch.limit is not None:
            rejection_capitals.append(watch.rejections.now)
    told = Drift.of(watch)
    return Drift(watch, told.changes, own, capitals, rejection_capitals)


def watch_on(manifest: Manifest, log: Path, level: float = LEVEL, defect_rate: float = 0.0) -> Drift:
    """The outcome of a whole log of JSON lines, where only the rows since the last call need be watched.

    What those before came to is kept beside the log; where that does not fit to bundle, level or log, all are watched
    again. Raises :class:`DataError` when the present version of the bundle judged none.
    """
    content = log.read_bytes()
    watch, start = LogWatch(manifest, level, defect_rate), 0
    kept = read_kept(log, content)
    if kept is not None and kept.key == watch.key:
        watch.go_on(kept.state)
        start = kept.position
    rows, end = read_rows(log, content, start), content.rfind(b"\n") + 1
    whole = content.count(b"\n", start, end)
    for row in rows[:whole]:
        watch.feed(row)
    if end > start:
        write_kept(log, content, Kept(watch.key, end, watch.state()))
    # a last row without its newline may still grow
    for row in rows[whole:]:
        watch.feed(row)
    return Drift.of(watch)


def _level(level: float) -> str:
    return f"Such an alarm is ever false with a chance of {100 * level:g} % at most."


def _dropped(evidence: Evidence) -> Iterator[str]:
    if evidence.now < evidence.needed / 10:
        yield f"The evidence has since dropped to {evidence.now:.3g}: look at when it was, too."
