"""The plots of a study: the ranking with its intervals, the losses of every training, speed against AUROC."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cobnut.evaluation.standing import Standing
from cobnut.report.plots.svg import DEFECTIVE, FAINT, GOOD, INK, draw_svg, scale_by_spread

_COLUMNS = 4


def plot_ranking(
    name: str, standings: Sequence[Standing], level: Mapping[str, set[str]], study_accuracy: float | None = None
) -> str:
    """AUROC and accuracy of each recipe with their intervals, a small dot for each seed, the best on top.

    ``level`` names, for either figure, the recipes that are not significantly behind the best; ``study_accuracy`` is
    drawn as a line.
    """

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, key in ((left, "image_auroc"), (right, "accuracy")):
            for row, each in enumerate(standings):
                _draw_interval(axes, row, each, key, GOOD if each.recipe in level[key] else INK)
            axes.tick_params(axis="y", length=0)
            axes.grid(visible=False, axis="y")
        left.set_yticks(range(len(standings)), [each.recipe for each in standings])
        left.set_ylim(len(standings) - 0.5, -0.5)
        left.set_xlabel("AUROC")
        right.set_xlabel("accuracy")
        left.axvline(0.5, color=INK, linewidth=0.9, linestyle=(0, (1, 3)))
        if study_accuracy is not None:
            right.axvline(study_accuracy, color=DEFECTIVE, linewidth=1.2, linestyle=(0, (4, 2)))
            right.annotate(
                "the study", (study_accuracy, 1), (4, 3), xycoords=("data", "axes fraction"),
                textcoords="offset points", color=DEFECTIVE,
            )  # fmt: skip

    size = (9.4, 0.9 + 0.32 * len(standings))
    return draw_svg(name, size, draw, f"AUROC and accuracy of {len(standings)} recipes with 95 % intervals")


def plot_losses(name: str, standings: Sequence[Standing]) -> str:
    """Training and validation loss of every recipe and seed over the epochs, the best epochs marked (Figs. 4, 5)."""
    columns = min(_COLUMNS, len(standings))
    rows = -(-len(standings) // columns)

    def draw(figure: Any) -> None:
        grid = figure.subplots(rows, columns, squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place < len(standings):
                _draw_losses(axes, standings[place])
                axes.set_xlabel("epoch" if place + columns >= len(standings) else "")
            else:
                axes.set_axis_off()
        figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, frameon=False)

    width = 9.4 if columns > 2 else 3.4 * columns
    return draw_svg(name, (width, 0.4 + 1.9 * rows), draw, f"Losses of {len(standings)} recipes over the epochs")


def plot_speed(name: str, standings: Sequence[Standing]) -> str:
    """AUROC over the time that one image takes; up and to the left is better."""
    points = [
        (float(np.mean([o.ms_per_image for o in each.outcomes])), each.figures["image_auroc"] or 0.0, each.recipe)
        for each in standings
    ]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        times, areas = np.array([point[0] for point in points]), [point[1] for point in points]
        axes.plot(times, areas, "o", color=GOOD, markersize=6)
        scale_by_spread(axes, "x", times, 4)
        axes.margins(0.12, 0.12)
        axes.autoscale_view()
        axes.set(xlabel="milliseconds an image", ylabel="AUROC")
        _write_names(axes, points)

    return draw_svg(name, (5.6, 3.6), draw, f"AUROC of {len(points)} recipes over the time for one image")


def _draw_interval(axes: Any, row: int, standing: Standing, key: str, colour: str) -> None:
    value, interval = standing.figures[key], standing.intervals.get(key)
    if value is None or interval is None:
        return
    axes.plot(interval, [row, row], color=colour, linewidth=2.2, alpha=0.55)
    seeds = [seed for each in standing.outcomes if (seed := each.figures.get(key)) is not None]
    if len(seeds) > 1:
        axes.plot(seeds, [row + 0.26] * len(seeds), ".", color=FAINT, markersize=4)
    axes.plot([value], [row], "o", color=colour, markersize=7)


def _draw_losses(axes: Any, standing: Standing) -> None:
    values: list[float] = []
    for number, each in enumerate(standing.outcomes):
        epochs = [epoch.epoch for epoch in each.history]
        train, validation = ([getattr(epoch, f"{part}_loss") for epoch in each.history] for part in ("train", "val"))
        values += train + validation
        first = number == 0
        axes.plot(epochs, train, color=GOOD, linewidth=1, alpha=0.8, label="training" if first else None)
        axes.plot(epochs, validation, color=DEFECTIVE, linewidth=1, alpha=0.8, label="validation" if first else None)
    best = [(each.best_epoch, each.best.val_loss) for each in standing.outcomes if each.best is not None]
    axes.plot(*zip(*best, strict=True), "o", color=INK, markersize=4, label="best epoch") if best else None
    if values:
        scale_by_spread(axes, "y", np.asarray(values), 5)
    axes.set_title(standing.recipe, loc="left", fontsize=9, fontweight="bold")
    axes.xaxis.get_major_locator().set_params(integer=True, nbins=4)


def _write_names(axes: Any, points: Sequence[tuple[float, float, str]]) -> None:
    """A name beside each dot, moved up or down until it covers no dot and no other name; a thin line leads to it."""
    pixels = axes.figure.dpi / 72
    left, right = axes.transAxes.transform([(0, 0), (1, 0)])[:, 0]
    dots = [axes.transData.transform((time, area)) for time, area, _ in points]
    taken = [(x - 4 * pixels, x + 4 * pixels, y) for x, y in dots]
    for (x, y), (time, area, name) in sorted(zip(dots, points, strict=True), key=lambda each: -each[1][1]):
        is_right = bool(x - left > 0.6 * (right - left))
        reach = (8 * pixels, (8 + 5 * len(name)) * pixels)
        span = (x - reach[1], x - reach[0]) if is_right else (x + reach[0], x + reach[1])
        lifts = [step * 5.5 * pixels for step in (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6, 7, -7, 8, -8)]
        lift = next((each for each in lifts if _is_free(taken, span, y + each, 9 * pixels)), 0.0)
        taken.append((*span, y + lift))
        axes.annotate(
            name, (time, area), (-8 if is_right else 8, lift / pixels), textcoords="offset points",
            ha="right" if is_right else "left", va="center", fontsize=8,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "shrinkA": 0} if lift else None,
        )  # fmt: skip


def _is_free(taken: Sequence[tuple[float, float, float]], span: tuple[float, float], y: float, height: float) -> bool:
    return not any(low < span[1] and high > span[0] and abs(place - y) < height for low, high, place in taken)
