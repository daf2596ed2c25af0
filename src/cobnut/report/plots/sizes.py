"""The plot of sizes: which defects are found, large and small."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cobnut.evaluation.sizes import Defect, SmallestArea
from cobnut.report.plots.svg import DEFECTIVE, FAINT, INK, draw_svg, scale_by_spread

_LEAST_RATIO = 0.01


def plot_sizes(defects: Sequence[Defect], smallest: SmallestArea, threshold: float) -> str:
    """Every drawn defect by its area and its score over ``threshold``, which must be above 0, both on log axes.

    Found and missed are told apart, and a line shows the area from which on defects are found reliably, where there is
    one. Scores under a hundredth of the threshold are drawn there.
    """
    areas = np.array([each.pixels for each in defects], np.float64)
    ratios = np.maximum(np.array([each.score for each in defects], np.float64) / threshold, _LEAST_RATIO)
    is_found = np.array([each.is_found for each in defects], bool)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        scale_by_spread(axes, "x", areas, 1)
        scale_by_spread(axes, "y", np.append(ratios, 1.0), 1)
        for kept, name, style in ((is_found, "found", _FOUND), (~is_found, "missed", _MISSED)):
            axes.plot(areas[kept], ratios[kept], linestyle="", color=DEFECTIVE, label=f"{name} ({kept.sum()})", **style)
        axes.axhline(1, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
        axes.annotate(
            "threshold", (1, 1), (-2, -3), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right",
            va="top",
        )  # fmt: skip
        if smallest.pixels is not None:
            left, right = axes.get_xlim()
            axes.axvspan(smallest.pixels, right, color=FAINT, alpha=0.15, linewidth=0)
            axes.set_xlim(left, right)
            axes.axvline(smallest.pixels, color=INK, linewidth=1.2)
            axes.annotate(
                f"found reliably from {smallest.pixels:,} on", (smallest.pixels, 1), (0, 3),
                xycoords=("data", "axes fraction"), textcoords="offset points", ha="center", annotation_clip=False,
            )  # fmt: skip
        axes.set(xlabel="marked area in pixels of the photograph", ylabel="score in multiples of the threshold")
        figure.legend(frameon=False, loc="outside right upper")

    return draw_svg("sizes", (9.4, 3.6), draw, f"Area and score of {len(defects)} drawn defects")


_FOUND = {"marker": "o", "alpha": 0.7, "markersize": 4, "markeredgewidth": 0}
_MISSED = {"marker": "x", "markersize": 6, "markeredgewidth": 1.4}
