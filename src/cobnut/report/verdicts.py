"""What a contest came to, in words: who is best, and over whom that is more than chance."""

from collections.abc import Sequence
from typing import Literal

from cobnut.evaluation.comparison import Difference
from cobnut.evaluation.standing import Contest, Standing
from cobnut.report.words import count, percent, percent_range, share, share_range

Compared = Literal["auroc", "accuracy"]
MOST_NAMED = 4


def contest_verdict(contest: Contest) -> list[str]:
    """One or two sentences on the ranking by AUROC, and one or two on the decisions."""
    ranked = contest.standings[0]
    area, accuracy = ranked.figures["image_auroc"], ranked.figures["accuracy"]
    if area is None or accuracy is None:
        return ["The test lacks good or defective images, so there is no best."]
    if len(contest.standings) == 1:
        return [
            f"{ranked.recipe} reaches AUROC {_area(ranked)} and accuracy {_accuracy(ranked)}; "
            "there is no other recipe to compare it with."
        ]
    decided = best_by(contest, "accuracy")
    return [
        f"By AUROC {ranked.recipe} is best: {_area(ranked)}. {_standing(contest, ranked, 'auroc')}",
        f"By its decisions {decided.recipe} is best: accuracy {_accuracy(decided)}. "
        f"{_standing(contest, decided, 'accuracy')}",
    ]


def not_behind(contest: Contest, figure: Compared) -> set[str]:
    """The recipe that is best by a figure, and all that are not significantly behind it; one may even be ahead, on
    the images that all have judged.
    """
    best = best_by(contest, figure).recipe
    others = [each.recipe for each in contest.standings if each.recipe != best]
    if not contest.comparisons:
        return {best, *others}
    return {best, *(name for name in others if _lead(contest, best, name, figure) <= 0)}


def best_by(contest: Contest, figure: Compared) -> Standing:
    """The recipe whose mean is highest; of equal ones that of the higher AUROC."""
    name = {"auroc": "image_auroc", "accuracy": "accuracy"}[figure]
    return max(contest.standings, key=lambda each: each.figures[name] or 0.0)


def difference_text(difference: Difference, first_is_row: bool) -> str:
    """A difference seen from the row's side: «+0.05», «−0.12»."""
    value = difference.value if first_is_row else -difference.value
    return f"{'−' if value < 0 else '+'}{abs(value):.2f}" if abs(value) >= 0.005 else "0.00"


def _standing(contest: Contest, best: Standing, figure: Compared) -> str:
    others = [each.recipe for each in contest.standings if each is not best]
    beaten = [name for name in others if _lead(contest, best.recipe, name, figure) > 0]
    if ahead := [name for name in others if _lead(contest, best.recipe, name, figure) < 0]:
        # the figures are of all images that a recipe judged, the comparison of those that every recipe judged
        return f"On the images that all have judged, {_names(ahead, len(others))} came out significantly ahead of it."
    equal = [name for name in others if name not in beaten]
    if not equal:
        return f"It is significantly better than {_names(beaten, len(others))}."
    if not beaten:
        return f"It cannot be told apart from {_names(equal, len(others))}."
    if len(beaten) > MOST_NAMED:
        return (
            f"It cannot be told apart from {_names(equal, len(others))}; "
            f"it is significantly better than the {len(beaten)} other recipes."
        )
    return (
        f"It is significantly better than {_names(beaten, len(others))}; "
        f"it cannot be told apart from {_names(equal, len(others))}."
    )


def _lead(contest: Contest, first: str, second: str, figure: Compared) -> float:
    """By how much the first is significantly ahead of the second; 0 where chance may explain it."""
    comparison = contest.between(first, second)
    difference: Difference = getattr(comparison, figure)
    sign = 1 if comparison.first == first else -1
    return sign * difference.value if difference.is_significant else 0.0


def _names(names: Sequence[str], others: int) -> str:
    if len(names) == others and others > 2:
        return f"any of the {count(others, 'other')}"
    *front, last = names
    return f"{', '.join(front)} and {last}" if front else last


def _area(standing: Standing) -> str:
    value = standing.figures["image_auroc"] or 0.0
    return f"{share(value)} ({share_range(*standing.intervals['image_auroc'])})"


def _accuracy(standing: Standing) -> str:
    value = standing.figures["accuracy"] or 0.0
    return f"{percent(value)} ({percent_range(*standing.intervals['accuracy'])})"
