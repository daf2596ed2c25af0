"""The page of a study: one HTML file with verdicts, tables, plots and pictures of all recipes side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from markupsafe import Markup

import cobnut
from cobnut.evaluation.comparison import LEVEL
from cobnut.evaluation.published import STUDY_DEFECTIVE, STUDY_FIGURES, STUDY_GOOD, is_of_the_study
from cobnut.evaluation.standing import Contest, Results
from cobnut.report import words
from cobnut.report.gallery import Inspects
from cobnut.report.learning import Lesson, build_lessons
from cobnut.report.page import render_page, write_page
from cobnut.report.panels import Scene, build_scenes
from cobnut.report.plots.study import plot_losses, plot_ranking, plot_speed
from cobnut.report.study_rows import HEADINGS, LOSS_HEADINGS, StudyRow, build_loss_rows, build_rows
from cobnut.report.verdicts import contest_verdict, difference_text, not_behind
from cobnut.runtime.inspect import Inspector

# What a study has just trained nobody has signed.
_OPEN = partial(Inspector, require_signature=False)


@dataclass(frozen=True, slots=True)
class Pair:
    """One cell of the table of pairs: the row's recipe less the column's."""

    text: str
    is_significant: bool
    title: str


@dataclass(frozen=True, slots=True)
class Section:
    """All that the page shows of one category."""

    name: str
    images: str
    verdict: list[str]
    rows: list[StudyRow]
    loss_rows: list[StudyRow]
    pairs: dict[str, list[tuple[str, list[Pair | None]]]]
    plots: dict[str, Markup]
    scenes: list[Scene]
    lessons: list[Lesson]
    is_of_the_study: bool


def write_study_page(results: Results, path: Path, open_inspector: Callable[[Path], Inspects] = _OPEN) -> None:
    """Write the page of ``results`` to ``path``, whole or not at all.

    ``open_inspector`` opens a bundle, which then judges the few images that are shown, for their pictures.
    """
    html = render_study(results, open_inspector)
    write_page(html, path)


def render_study(results: Results, open_inspector: Callable[[Path], Inspects] = _OPEN) -> str:
    """The page as text."""
    sections = [_section(number, each, open_inspector) for number, each in enumerate(results.contests)]
    standings = [standing for contest in results.contests for standing in contest.standings]
    recipes = {each.recipe: each.first.recipe.about for each in standings}
    trainings = [outcome for each in standings for outcome in each.outcomes]
    values = {
        "title": _title(results.contests, len(recipes)),
        "sections": sections,
        "failures": results.failures,
        "recipes": recipes,
        "made_on": words.day(date.today()),
        "trainings": words.count(len(trainings), "training"),
        "took": words.duration(sum(each.train_seconds for each in trainings)),
        "seeds": sorted({each.recipe.seed for each in trainings}),
        "headings": list(HEADINGS.values()),
        "loss_headings": list(LOSS_HEADINGS.values()),
        "study": {"good": STUDY_GOOD, "defective": STUDY_DEFECTIVE, **STUDY_FIGURES},
        "level": words.percent(LEVEL),
        "command": results.command,
        "software": ", ".join(f"{name} {version}" for name, version in _versions(results).items()),
        "version": cobnut.__version__,
        "count": words.count,
    }
    return render_page("study.html", values, styles=["study.css"])


def _section(number: int, contest: Contest, open_inspector: Callable[[Path], Inspects]) -> Section:
    left_out = f" ({contest.left_out} that only some recipes judged are left out)" if contest.left_out else ""
    good, defective = words.count(contest.good, "good image"), words.count(contest.defective, "defective image")
    return Section(
        name=contest.category,
        images=f"{good} and {defective}{left_out}",
        verdict=contest_verdict(contest),
        rows=build_rows(contest),
        loss_rows=build_loss_rows(contest),
        pairs={name: _pairs(contest, name) for name in ("auroc", "accuracy")} if contest.comparisons else {},
        plots=_plots(number, contest),
        scenes=build_scenes(contest, open_inspector),
        lessons=build_lessons(contest.standings),
        is_of_the_study=is_of_the_study(contest.category),
    )


def _plots(number: int, contest: Contest) -> dict[str, Markup]:
    accuracy = STUDY_FIGURES["accuracy"] if is_of_the_study(contest.category) else None
    level = {"image_auroc": not_behind(contest, "auroc"), "accuracy": not_behind(contest, "accuracy")}
    return {
        "ranking": Markup(plot_ranking(f"ranking-{number}", contest.standings, level, accuracy)),
        "losses": Markup(plot_losses(f"losses-{number}", contest.standings)),
        "speed": Markup(plot_speed(f"speed-{number}", contest.standings)),
    }


def _pairs(contest: Contest, figure: str) -> list[tuple[str, list[Pair | None]]]:
    """A row for each recipe: its difference to every other, ``None`` where it would meet itself."""
    names = [each.recipe for each in contest.standings]
    return [(row, [None if row == name else _pair(contest, row, name, figure) for name in names]) for row in names]


def _pair(contest: Contest, row: str, column: str, figure: str) -> Pair:
    comparison = contest.between(row, column)
    difference = getattr(comparison, figure)
    low, high = difference.interval
    title = f"{comparison.first} − {comparison.second}: {low:+.3f} to {high:+.3f}, adjusted p {difference.adjusted:.3f}"
    return Pair(difference_text(difference, comparison.first == row), difference.is_significant, title)


def _title(contests: Sequence[Contest], recipes: int) -> str:
    *front, last = [contest.category for contest in contests] or ["nothing yet"]
    where = f"{', '.join(front)} and {last}" if front else last
    return f"{words.count(recipes, 'recipe')} on {where}"


def _versions(results: Results) -> dict[str, str]:
    return next((each.standings[0].first.versions for each in results.contests), {})
