"""The plots of a log: scores, evidence of drift, and what the photographs were like, part by part."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cobnut.report.plots.svg import DEFECTIVE, FAINT, GOOD, INK, draw_svg


def plot_evidence(capitals: Sequence[float], needed: float, alarm: int | None, of: str, parts_are: str) -> str:
    """The capital of a bet after each part, as evidence ``of`` something, and where it is an alarm."""

    def draw(figure: Any) -> None:
        from matplotlib.ticker import FuncFormatter, NullFormatter

        axes = figure.subplots()
        parts = np.arange(1, len(capitals) + 1)
        axes.plot(parts, np.maximum(capitals, 1e-3), color=DEFECTIVE if alarm else GOOD)
        axes.axhline(needed, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
        axes.annotate("alarm", (1, needed), xytext=(0, 3), textcoords="offset points", color=INK)
        if alarm:
            axes.axvline(alarm, color=DEFECTIVE, linewidth=0.8)
        axes.set(yscale="log", xlabel=parts_are, ylabel=f"evidence of {of}")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(0, max(len(capitals), 1) + 1)
        axes.set_ylim(top=max(3 * needed, 1.5 * max(capitals, default=1.0)))

    name = f"evidence-{of.replace(' ', '-')}"
    return draw_svg(name, (7.2, 2.6), draw, f"Evidence of {of}, part by part, against the level of the alarm")


def plot_parts(values: Sequence[float], name: str, label: str, threshold: float | None = None) -> str:
    """One figure of every part in its order, with a running median; those above ``threshold`` stand out."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        array, parts = np.asarray(values, float), np.arange(1, len(values) + 1)
        is_above = array > (np.inf if threshold is None else threshold)
        for which, colour in ((~is_above, GOOD), (is_above, DEFECTIVE)):
            axes.plot(parts[which], array[which], ".", color=colour, markersize=3, alpha=0.6)
        side = max(1, min(25, len(array) // 8))
        around = np.lib.stride_tricks.sliding_window_view(np.pad(array, side, mode="edge"), 2 * side + 1)
        axes.plot(parts, np.median(around, axis=1), color=INK, linewidth=1.2)
        if threshold is not None:
            axes.axhline(threshold, color=FAINT, linewidth=1.2, linestyle=(0, (4, 2)))
            axes.annotate("threshold", (1, threshold), xytext=(0, 3), textcoords="offset points", color=INK)
        axes.set(xlabel="parts", ylabel=label)

    return draw_svg(name, (7.2, 1.9), draw, f"{label} of every part, in their order")
