"""The page of a tuning: what was chosen, how the search went, and how well its measure stood for the truth."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from markupsafe import Markup

import cobnut
from cobnut.evaluation.trials import Tracking, TrialRow, Tuning, track
from cobnut.recipe import Recipe
from cobnut.report import words
from cobnut.report.page import render_page, write_page
from cobnut.report.plots.tuning import plot_history, plot_importance, plot_option, plot_reports, plot_truth
from cobnut.report.tune_words import (
    choice_sentence,
    few_images,
    figure,
    outcome_text,
    setting_text,
    signed,
    tracking_sentence,
)


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure at the head of the page."""

    label: str
    text: str
    remark: str
    says: str


@dataclass(frozen=True, slots=True)
class Line:
    """One trial as the table shows it."""

    number: int
    outcome: str
    reason: str
    cells: list[str]
    settings: list[str]
    is_best: bool
    is_start: bool


def write_tune_page(tuning: Tuning, tuned: Recipe, path: Path) -> None:
    """Write the page of ``tuning``, whose best recipe is ``tuned``, to ``path``, whole or not at all."""
    write_page(render_tuning(tuning, tuned), path)


def render_tuning(tuning: Tuning, tuned: Recipe) -> str:
    """The page as text."""
    tracking = track(tuning)
    pruned = sum(row.outcome == "pruned" for row in tuning.rows)
    failed = sum(row.outcome == "failed" for row in tuning.rows)
    ends = [f"{len(tuning.finished)} finished", f"{pruned} pruned", *([f"{failed} failed"] if failed else [])]
    values = {
        "tuning": tuning,
        "tuned": tuned,
        "version": cobnut.__version__,
        "written_on": words.day(date.today()),
        "choice": choice_sentence(tuning),
        "tracked": tracking_sentence(tracking, tuning),
        "few": few_images(tuning),
        "trials": f"{words.count(len(tuning.rows), 'trial')}: {', '.join(ends)}",
        "tiles": list(_tiles(tuning, tracking)),
        "keys": list(tuning.scales),
        "lines": [_line(row, tuning) for row in _in_order(tuning)],
        "changes": _changes(tuning),
        "plots": {name: Markup(svg) for name, svg in _plots(tuning)},
        "options": [Markup(plot_option(tuning, key)) for key in tuning.scales],
    }
    return render_page("tune.html", values, styles=("tune.css",))


def _tiles(tuning: Tuning, tracking: Tracking | None) -> Iterator[Tile]:
    best, start = tuning.best, tuning.start
    yield Tile(
        "Objective",
        figure(best.objective),
        f"as it was: {figure(start.objective)}",
        "Half how well scores rank synthetic defects above good images, half how often the decision is right.",
    )
    if best.truth is not None:
        as_it_was = words.NOTHING if start.truth is None else words.share(start.truth)
        yield Tile(
            "Image AUROC on the test",
            words.share(best.truth),
            f"as it was: {as_it_was}",
            "Looked at after the choice was made, and no part of it.",
        )
    if tracking is not None:
        low, high = tracking.interval
        yield Tile(
            "Objective against truth",
            signed(tracking.correlation),
            f"95 %: {signed(low)} to {signed(high)}",
            "Rank correlation over the finished trials: 1 is the same order, 0 is none.",
        )


def _in_order(tuning: Tuning) -> list[TrialRow]:
    """Finished trials from the best down, then the pruned by how far they came, then the rest."""
    others = [row for row in tuning.rows if row.outcome != "finished"]
    return tuning.finished + sorted(others, key=lambda row: (-(row.epochs or 0), row.number))


def _line(row: TrialRow, tuning: Tuning) -> Line:
    rates = [
        words.NOTHING if rate is None else words.percent(rate) for rate in (row.false_alarm_rate, row.synthetic_found)
    ]
    truth = words.NOTHING if row.truth is None else words.share(row.truth)
    return Line(
        number=row.number,
        outcome=outcome_text(row),
        reason=row.reason,
        cells=[figure(row.objective), figure(row.auroc), *rates, truth],
        settings=[setting_text(row.settings.get(key)) for key in tuning.scales],
        is_best=row.number == tuning.best.number,
        is_start=row.number == tuning.start.number,
    )


def _changes(tuning: Tuning) -> list[tuple[str, str, str, bool]]:
    """Each searched option with its value as it was and as it is best, and whether they differ."""
    start, best = tuning.start.settings, tuning.best.settings
    return [
        (key, setting_text(start.get(key)), setting_text(best.get(key)), start.get(key) != best.get(key))
        for key in tuning.scales
    ]


def _plots(tuning: Tuning) -> Iterator[tuple[str, Any]]:
    yield "history", plot_history(tuning)
    if any(row.reports for row in tuning.rows):
        yield "reports", plot_reports(tuning)
    if tuning.importance:
        yield "importance", plot_importance(tuning)
    if sum(row.truth is not None for row in tuning.finished) > 1:
        yield "truth", plot_truth(tuning)
