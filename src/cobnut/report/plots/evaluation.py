"""The plots of one evaluation: losses, scores, ROC and precision over recall."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cobnut.report.plots.svg import DEFECTIVE, FAINT, GOOD, INK, Values, draw_svg, scale_by_spread
from cobnut.report.words import amount, share
from cobnut.runtime.bundle import Epoch

_WIDE_SPREAD = 8
_MOST_DOTS = 300
_LONGEST_NAME = 26


def plot_loss(history: Sequence[Epoch], best_epoch: int) -> str:
    """Training and validation loss over the epochs, the best epoch marked (the study's Fig. 4)."""
    epochs = [each.epoch for each in history]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        losses = {"training": [e.train_loss for e in history], "validation": [e.val_loss for e in history]}
        for (name, values), colour in zip(losses.items(), (GOOD, DEFECTIVE), strict=True):
            axes.plot(epochs, values, color=colour, label=name, marker="o" if len(epochs) < 3 else "", markersize=4)
        best = [each for each in history if each.epoch == best_epoch]
        axes.plot([e.epoch for e in best], [e.val_loss for e in best], "o", color=DEFECTIVE, markersize=6)
        axes.axvline(best_epoch, color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
        axes.set_title(f"best epoch {best_epoch} of {len(history)}", loc="right", fontsize=9)
        scale_by_spread(axes, "y", np.concatenate([np.asarray(v) for v in losses.values()]), 5)
        axes.set(xlabel="epoch", ylabel="loss")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False)

    return draw_svg("loss", (4.6, 3.0), draw, f"Training and validation loss over {len(history)} epochs")


def plot_scores(scores: Mapping[str, Values], threshold: float) -> str:
    """Every image's score, class by class (``good`` and the defect types), below the histogram, and the threshold."""
    classes = {name: np.sort(np.asarray(values, np.float64)) for name, values in scores.items() if len(values)}
    everything = np.concatenate([*classes.values(), [threshold]])

    def draw(figure: Any) -> None:
        heights = [2.2, 0.55 * len(classes) + 0.2]
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=heights)
        scale_by_spread(below, "x", everything, _WIDE_SPREAD)
        _draw_histograms(above, classes, threshold)
        _draw_strips(below, classes, threshold)
        for axes in (above, below):
            axes.axvline(threshold, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
        _name_threshold(above, threshold)
        below.set_xlabel("score of the image, higher is worse; × marks a wrong decision")

    size = (9.4, 2.0 + 0.38 * len(classes))
    return draw_svg("scores", size, draw, f"Scores of {len(classes)} classes of images against the threshold")


def plot_roc(good: Values, defective: Values, threshold: float, area: float) -> str:
    """The ROC curve with its ``area`` and the place on it where the detector's ``threshold`` lies."""
    false, found = _rates(good), _rates(defective)
    steps = _steps(good, defective)
    here = false(threshold), found(threshold)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=(0, (2, 3)))
        axes.plot([0, *map(false, steps)], [0, *map(found, steps)], color=DEFECTIVE)
        _mark_operating_point(axes, here)
        axes.set(xlabel="good ones rejected (false alarms)", ylabel="defective ones found")
        _frame_rates(axes)
        axes.text(0.97, 0.06, f"AUROC {share(area)}", ha="right", fontsize=11, fontweight="bold")

    return draw_svg("roc", (3.9, 3.4), draw, f"ROC curve, area {share(area)}")


def plot_precision_recall(good: Values, defective: Values, threshold: float, area: float) -> str:
    """Precision over recall with the average precision ``area`` and the place where ``threshold`` lies."""
    false, found = _rates(good), _rates(defective)

    def point(step: float) -> tuple[float, float]:
        caught, alarms = found(step) * len(defective), false(step) * len(good)
        return found(step), caught / (caught + alarms) if caught + alarms else 1.0

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        chance = len(defective) / (len(good) + len(defective))
        axes.axhline(chance, color=FAINT, linewidth=0.8, linestyle=(0, (2, 3)))
        axes.plot(*zip(*map(point, _steps(good, defective)), strict=True), color=DEFECTIVE)
        _mark_operating_point(axes, point(threshold))
        axes.set(xlabel="defective ones found (recall)", ylabel="rejected rightly (precision)")
        _frame_rates(axes)
        axes.text(0.03, 0.06, f"average precision {share(area)}", fontsize=11, fontweight="bold")

    return draw_svg("precision-recall", (3.9, 3.4), draw, f"Precision over recall, average precision {share(area)}")


def _draw_histograms(axes: Any, classes: Mapping[str, NDArray[np.float64]], threshold: float) -> None:
    groups = {
        "good": (GOOD, [values for name, values in classes.items() if name == "good"]),
        "defective": (DEFECTIVE, [values for name, values in classes.items() if name != "good"]),
    }
    bins = _bins(np.concatenate([*classes.values(), [threshold]]), threshold, axes.get_xscale() == "log")
    for name, (colour, parts) in groups.items():
        if parts:
            axes.hist(np.concatenate(parts), bins, color=colour, alpha=0.45, label=name)
            axes.hist(np.concatenate(parts), bins, color=colour, histtype="step", linewidth=1.2)
    axes.set_ylabel("images")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.grid(visible=False, axis="x")
    axes.tick_params(axis="x", length=0, which="both")
    axes.legend(frameon=False, loc="upper right")


def _draw_strips(axes: Any, classes: Mapping[str, NDArray[np.float64]], threshold: float) -> None:
    random = np.random.default_rng(0)
    for row, (name, values) in enumerate(classes.items()):
        kept = _thinned(values)
        right = (kept > threshold) == (name != "good")
        height = row + random.uniform(-0.26, 0.26, len(kept))
        colour = GOOD if name == "good" else DEFECTIVE
        axes.plot(kept[right], height[right], "o", color=colour, alpha=0.7, markersize=4, markeredgewidth=0)
        axes.plot(kept[~right], height[~right], "x", color=colour, markersize=5, markeredgewidth=1.4)
    axes.set_yticks(range(len(classes)), [f"{_short(name)} ({len(values)})" for name, values in classes.items()])
    axes.set_ylim(len(classes) - 0.45, -0.55)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _mark_operating_point(axes: Any, place: tuple[float, float]) -> None:
    axes.plot(*place, "o", color=INK, markersize=8, fillstyle="none", markeredgewidth=1.8, clip_on=False, zorder=5)
    x, y = place
    text = "at the threshold"
    axes.annotate(
        text, place, (9 if x < 0.6 else -9, -3 if y > 0.12 else 6), textcoords="offset points",
        ha="left" if x < 0.6 else "right", va="top" if y > 0.12 else "bottom",
    )  # fmt: skip


def _frame_rates(axes: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xticks=np.linspace(0, 1, 6), yticks=np.linspace(0, 1, 6))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol="\u202f%"))


def _rates(values: Values) -> Any:
    """The share of ``values`` strictly above a threshold, as a function of the threshold."""
    ordered = np.sort(np.asarray(values, np.float64))
    return lambda threshold: float(len(ordered) - np.searchsorted(ordered, threshold, side="right")) / len(ordered)


def _steps(good: Values, defective: Values) -> list[float]:
    """Thresholds from the one that rejects only the highest score down to one that rejects everything."""
    levels = np.unique(np.concatenate([np.asarray(good, np.float64), np.asarray(defective, np.float64)]))[::-1]
    return [*levels[1:].tolist(), -np.inf]


def _bins(values: NDArray[np.float64], threshold: float, is_log: bool) -> NDArray[np.float64]:
    """Some thirty bins over all values, one edge at the threshold, so that no bar stands on both its sides."""
    forward, backward = (np.log, np.exp) if is_log else (np.asarray, np.asarray)
    low, high, middle = (float(forward(value)) for value in (values.min(), values.max(), threshold))
    step = (high - low) / 30 or max(abs(middle), 1.0) / 10
    edges = middle + step * np.arange(np.floor((low - middle) / step), np.ceil((high - middle) / step) + 2)
    return np.asarray(backward(edges))


def _thinned(ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most some hundred of the values, evenly spaced by rank, both ends kept."""
    if len(ordered) <= _MOST_DOTS:
        return ordered
    return np.asarray(ordered[np.linspace(0, len(ordered) - 1, _MOST_DOTS).round().astype(int)])


def _name_threshold(axes: Any, threshold: float) -> None:
    low, high = axes.get_xlim()
    place = axes.transData.transform([(low, 0), (threshold, 0), (high, 0)])[:, 0]
    is_left = bool(place[1] - place[0] < 0.6 * (place[2] - place[0]))
    axes.annotate(
        f"threshold {amount(threshold)}", (threshold, 1), (4 if is_left else -4, 3), xycoords=("data", "axes fraction"),
        textcoords="offset points", ha="left" if is_left else "right", annotation_clip=False,
    )  # fmt: skip


def _short(name: str) -> str:
    plain = "".join(character if character.isprintable() else "?" for character in name)
    return plain if len(plain) <= _LONGEST_NAME else plain[: _LONGEST_NAME - 1] + "…"
