"""The plots of one tuning: its history, its options, the looks at each training, and objective against truth."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from cobnut.evaluation.trials import TrialRow, Tuning
from cobnut.report.plots.svg import DEFECTIVE, GOOD, INK, draw_svg
from cobnut.report.tune_words import setting_text

_LONGEST_CHOICE = 16


def plot_history(tuning: Tuning) -> str:
    """The objective of every trial in its turn, pruned ones at the foot, and the best so far."""
    finished = [row for row in tuning.rows if row.outcome == "finished"]
    values = [_objective(row) for row in finished]
    given_up = [row.number for row in tuning.rows if row.outcome in ("pruned", "failed")]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        best = np.maximum.accumulate(values)
        last = max(row.number for row in tuning.rows)
        numbers = [row.number for row in finished]
        axes.step([*numbers, last], [*best, best[-1]], where="post", color=DEFECTIVE, label="best so far")
        axes.plot(numbers, values, "o", color=GOOD, markersize=5, label="finished")
        _pad(axes, values)
        if given_up:
            foot = axes.get_ylim()[0]
            axes.plot(
                given_up, [foot] * len(given_up), "x", color=INK, markersize=5, label="pruned or failed", clip_on=False
            )
        _mark(axes, tuning.best.number, _objective(tuning.best))
        axes.set(xlabel="trial", ylabel="objective", xlim=(-0.6, last + 0.6))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False, loc="lower right")

    return draw_svg("history", (9.4, 2.9), draw, f"Objective of {len(tuning.rows)} trials and the best so far")


def plot_option(tuning: Tuning, key: str) -> str:
    """One option against the objective over the finished trials; on a log axis where it was searched so."""
    rows = [row for row in tuning.rows if row.outcome == "finished" and key in row.settings]
    scale = tuning.scales[key]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        if scale == "choices":
            in_order = sorted((row.settings[key] for row in rows), key=_order)
            names = list(dict.fromkeys(map(json.dumps, in_order)))
            places = [float(names.index(json.dumps(row.settings[key]))) for row in rows]
            axes.set_xticks(range(len(names)), [_short(setting_text(json.loads(name))) for name in names])
            if max(map(len, names)) * len(names) > 30:
                axes.tick_params(axis="x", rotation=25)
            axes.set_xlim(-0.5, len(names) - 0.5)
        else:
            places = [float(row.settings[key]) for row in rows]
            _scale(axes, scale, places)
        values = [_objective(row) for row in rows]
        axes.plot(places, values, "o", color=GOOD, markersize=5, alpha=0.75, markeredgewidth=0)
        _pad(axes, values)
        best = next(place for place, row in zip(places, rows, strict=True) if row.number == tuning.best.number)
        _mark(axes, best, _objective(tuning.best))
        axes.set_title(key, loc="left", fontsize=10, fontweight="bold")

    name = "option-" + key.replace(".", "-").replace("_", "-")
    return draw_svg(name, (3.1, 2.3), draw, f"{key} against the objective")


def plot_reports(tuning: Tuning) -> str:
    """The objective while each trial trained: finished ones as lines, pruned ones ending in a cross, the best bold."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for row in tuning.rows:
            if not row.reports:
                continue
            epochs, values = zip(*row.reports, strict=True)
            is_best = row.number == tuning.best.number
            colour = DEFECTIVE if is_best else INK if row.outcome == "pruned" else GOOD
            axes.plot(epochs, values, color=colour, linewidth=2.2 if is_best else 0.9, alpha=1 if is_best else 0.65,
                      zorder=4 if is_best else 2)  # fmt: skip
            if row.outcome == "pruned":
                axes.plot(epochs[-1], values[-1], "x", color=INK, markersize=5)
        for label, colour, mark in (("chosen", DEFECTIVE, ""), ("finished", GOOD, ""), ("pruned", INK, "x")):
            axes.plot([], [], color=colour, marker=mark, markersize=5, label=label)
        axes.set(xlabel="epoch", ylabel="objective so far")
        axes.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(frameon=False, loc="outside upper left", ncols=3)

    return draw_svg("reports", (4.6, 3.4), draw, "The objective while each trial trained")


def plot_importance(tuning: Tuning) -> str:
    """The part of each option in what made the best quarter of the trials good."""
    shares = sorted(tuning.importance.items(), key=lambda item: item[1])

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.barh([key for key, _ in shares], [share for _, share in shares], color=GOOD, height=0.6)
        for place, (_, share) in enumerate(shares):
            axes.annotate(f"{100 * share:.0f} %", (share, place), (4, 0), textcoords="offset points", va="center")
        axes.set(xlim=(0, 1.12 * max(share for _, share in shares)), xticks=[])
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="y", length=0)

    return draw_svg("importance", (4.6, 0.6 + 0.34 * len(shares)), draw, "Importance of the options")


def plot_truth(tuning: Tuning) -> str:
    """The objective of each finished trial against its image AUROC on the test, the chosen one marked."""
    rows = [row for row in tuning.finished if row.truth is not None]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot([_objective(r) for r in rows], [r.truth for r in rows], "o", color=GOOD, markersize=6, alpha=0.75,
                  markeredgewidth=0)  # fmt: skip
        start = [row for row in rows if row.number == tuning.start.number and row.number != tuning.best.number]
        for row in start:
            axes.annotate("as it was", (_objective(row), row.truth), (7, -3), textcoords="offset points", va="top")
        if tuning.best.truth is not None:
            _mark(axes, _objective(tuning.best), tuning.best.truth, "chosen")
        axes.margins(0.12)
        axes.set(xlabel="objective, on synthetic defects", ylabel="image AUROC, on the test")

    return draw_svg("truth", (4.6, 3.4), draw, f"Objective against truth over {len(rows)} trials")


def _mark(axes: Any, x: float, y: float, text: str = "") -> None:
    axes.plot(x, y, "o", color=INK, markersize=9, fillstyle="none", markeredgewidth=1.6, clip_on=False, zorder=5)
    if text:
        axes.annotate(text, (x, y), (-9, 3), textcoords="offset points", ha="right", va="bottom")


def _scale(axes: Any, scale: str, places: Sequence[float]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    if scale == "log":
        axes.set_xscale("log")
        spread = max(places) / min(places)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if spread < 60 else (1,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=all(place == int(place) for place in places)))


def _pad(axes: Any, values: Sequence[float]) -> None:
    low, high = min(values), max(values)
    room = 0.12 * (high - low) or 0.01
    axes.set_ylim(low - room, high + room)


def _order(value: Any) -> tuple[bool, list[float], str]:
    """Numbers, and lists of them, in their order, everything else after them by its text."""
    parts = value if isinstance(value, list) else [value]
    is_number = all(isinstance(part, int | float) for part in parts)
    return not is_number, [float(part) for part in parts] if is_number else [], json.dumps(value)


def _objective(row: TrialRow) -> float:
    assert row.objective is not None
    return row.objective


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_CHOICE else text[: _LONGEST_CHOICE - 1] + "…"
