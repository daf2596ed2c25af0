"""A study's outcomes drawn together: each recipe's figures over its seeds, and the recipes set against each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cobnut.evaluation.answers import Answers
from cobnut.evaluation.comparison import Comparison, compare
from cobnut.evaluation.intervals import Interval
from cobnut.evaluation.outcome import Failure, Outcome
from cobnut.evaluation.spread import DRAWN, intervals_over_seeds

RANGED = ("pixel_auroc", "pixel_ap", "pro")


@dataclass(frozen=True, slots=True)
class Standing:
    """One recipe on one category: its outcomes by seed, the means of their figures, and how far to trust these.

    ``intervals`` are 95 % over seeds and images for the figures of images; for those of pixels (``RANGED``) they are
    the lowest and highest of the seeds, absent for one seed alone.
    """

    recipe: str
    outcomes: list[Outcome]
    figures: dict[str, float | None]
    intervals: dict[str, Interval]

    @property
    def first(self) -> Outcome:
        """The outcome of the lowest seed, whose pictures are shown."""
        return self.outcomes[0]

    @property
    def remark(self) -> str:
        """What a reader must know of the recipe, from whichever seed says it."""
        return next((each.remark for each in self.outcomes if each.remark), "")


@dataclass(frozen=True, slots=True)
class Contest:
    """All recipes on one category, the highest AUROC first, and every pair of them compared on ``contents``.

    ``contents`` are the hashes of the images that every outcome judged; ``good`` and ``defective`` count them, and
    ``left_out`` counts those that only some judged.
    """

    category: str
    standings: list[Standing]
    comparisons: list[Comparison]
    contents: list[str]
    good: int
    defective: int
    left_out: int

    def between(self, first: str, second: str) -> Comparison:
        """The comparison of two recipes, whichever way round it was made."""
        return next(each for each in self.comparisons if each.names() == {first, second})


@dataclass(frozen=True, slots=True)
class Results:
    """A whole study, as far as it has come."""

    contests: list[Contest]
    failures: list[Failure]
    command: str


def build_contests(outcomes: Sequence[Outcome]) -> list[Contest]:
    """The contests of all categories, in alphabetical order."""
    categories = sorted({each.category for each in outcomes})
    return [_build_contest(name, [each for each in outcomes if each.category == name]) for name in categories]


def _build_contest(category: str, outcomes: Sequence[Outcome]) -> Contest:
    judged = [{image.content for image in each.images} for each in outcomes]
    contents = sorted(set.intersection(*judged))
    by_recipe: dict[str, list[Outcome]] = {}
    for each in sorted(outcomes, key=lambda each: each.recipe.seed):
        by_recipe.setdefault(each.name, []).append(each)
    standings = [_build_standing(name, each) for name, each in by_recipe.items()]
    standings.sort(key=lambda each: (-_figure(each, "image_auroc"), -_figure(each, "accuracy"), each.recipe))
    answers = {each.recipe: build_answers(each.outcomes, contents) for each in standings}
    truth = next(iter(answers.values())).is_defective
    is_comparable = bool(truth.any()) and not bool(truth.all())
    return Contest(
        category=category,
        standings=standings,
        comparisons=compare(answers) if is_comparable else [],
        contents=contents,
        good=int((~truth).sum()),
        defective=int(truth.sum()),
        left_out=len(set.union(*judged)) - len(contents),
    )


def build_answers(outcomes: Sequence[Outcome], contents: Sequence[str]) -> Answers:
    """Scores and decisions of one recipe's seeds on the images of ``contents``, in that order."""
    rows = [{image.content: image for image in each.images} for each in outcomes]
    truth = [rows[0][content].is_defective for content in contents]
    return Answers(
        np.array([[row[content].score for content in contents] for row in rows], np.float64),
        np.array([[row[content].is_rejected for content in contents] for row in rows], bool),
        np.array(truth, bool),
    )


def _build_standing(recipe: str, outcomes: list[Outcome]) -> Standing:
    figures = {name: _mean([each.figures.get(name) for each in outcomes]) for name in (*DRAWN, *RANGED)}
    intervals: dict[str, Interval] = {}
    common = sorted(set.intersection(*({image.content for image in each.images} for each in outcomes)))
    answers = build_answers(outcomes, common)
    if answers.is_defective.any() and not answers.is_defective.all():
        intervals |= intervals_over_seeds(answers)
    for name in RANGED:
        known = [value for each in outcomes if (value := each.figures.get(name)) is not None]
        if len(known) > 1:
            intervals[name] = (min(known), max(known))
    return Standing(recipe, outcomes, figures, intervals)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _figure(standing: Standing, name: str) -> float:
    value = standing.figures[name]
    return -1.0 if value is None else value
