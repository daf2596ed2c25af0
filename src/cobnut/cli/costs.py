"""The costs of `cobnut calibrate`: read from its options, and told as a table."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cobnut.cli.terminal import out

if TYPE_CHECKING:
    from cobnut.calibration.costs import Costs, LeastCost

Defective = Annotated[
    Path | None,
    typer.Option(
        "--defective",
        metavar="DIR",
        help="Labelled defective images: tell how many of them the new threshold misses. They never set it.",
        show_default=False,
    ),
]
CostMiss = Annotated[
    float | None,
    typer.Option(
        "--cost-miss",
        metavar="COST",
        help="With --defective: choose alpha by the least expected cost of a part; a missed defect costs so much. Half "
        "of the good images choose it and only the others calibrate, so that the promise stays true.",
        show_default=False,
    ),
]
CostFalseAlarm = Annotated[
    float | None,
    typer.Option(
        "--cost-false-alarm",
        metavar="COST",
        help="What a rejected good part costs, in the same currency.",
        show_default=False,
    ),
]
DefectRate = Annotated[
    float | None,
    typer.Option(
        "--defect-rate",
        metavar="SHARE",
        help="Which share of the parts on the line is defective: 0.02 is 2 %.",
        show_default=False,
    ),
]


def read_costs(
    miss: float | None,
    false_alarm: float | None,
    defect_rate: float | None,
    defective: Path | None,
    alpha: float | None,
) -> "Costs | None":
    """The costs, ``None`` where none are given; raises :class:`CobnutError` for some without the others."""
    from cobnut.calibration.costs import Costs
    from cobnut.errors import CobnutError

    given = {"--cost-miss": miss, "--cost-false-alarm": false_alarm, "--defect-rate": defect_rate}
    absent = [name for name, value in given.items() if value is None]
    if len(absent) == len(given):
        return None
    if miss is None or false_alarm is None or defect_rate is None:
        verb = "is" if len(absent) == 1 else "are"
        raise CobnutError(f"{', '.join(given)} go together; {' and '.join(absent)} {verb} missing")
    if defective is None:
        raise CobnutError("costs need labelled defects to count what is missed: name their folder by --defective DIR")
    if alpha is not None:
        raise CobnutError(f"--alpha {alpha:g}: costs choose alpha themselves; give either --alpha or the costs")
    return Costs(miss, false_alarm, defect_rate)


def print_chosen(by_cost: "LeastCost", calibrated: int) -> None:
    """Print which alpha was chosen and why, with all that were weighed."""
    from rich.table import Table

    from cobnut.report.words import amount, percent

    best = by_cost.best
    out.print(
        f"chosen     alpha {best.alpha:g}: a part is expected to cost {amount(best.cost)}, the least of those below "
        f"({amount(by_cost.costs.uninspected)} if nobody inspects). {by_cost.chose} good images and "
        f"{len(by_cost.defective)} labelled defects chose it, {calibrated} others set the threshold.",
        markup=False,
    )
    table = Table("", "alpha", "good parts rejected", "defects missed", "cost of a part")
    for column in table.columns[1:]:
        column.justify = "right"
    for each in by_cost.offers:
        promised = f"at most {100 * each.alpha:g} %"
        cells = (f"{each.alpha:g}", promised, percent(each.miss_rate), amount(each.cost))
        table.add_row("→" if each == best else "", *cells)
    out.print(table)


def print_misses(scores: Collection[float], threshold: float, is_chosen: bool) -> None:
    """Print how many labelled defects, by their scores, pass at the threshold, with the exact 95 % interval."""
    from cobnut.evaluation.intervals import exact_interval
    from cobnut.report.words import percent, percent_range

    missed = sum(score <= threshold for score in scores)
    low, high = exact_interval(missed, len(scores))
    told = f"{percent(missed / len(scores))}, 95 % interval {percent_range(low, high)}"
    flatters = "; they helped to choose alpha, so fresh ones may be missed more often" if is_chosen else ""
    out.print(f"misses     {missed} of {len(scores)} labelled defects pass ({told}){flatters}", markup=False)
