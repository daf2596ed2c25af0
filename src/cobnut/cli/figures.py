"""The figures of an evaluation as tables on the terminal."""

from typing import TYPE_CHECKING

from rich.markup import escape

from cobnut.cli.terminal import out

if TYPE_CHECKING:
    from rich.table import Table

    from cobnut.evaluation.evaluate import Evaluation


def print_figures(evaluation: "Evaluation") -> None:
    """Print the figures with their intervals, the decisions per class, and the defect types."""
    from rich.table import Table

    table = Table("figure", title=escape(f"{evaluation.data}: {_counts(evaluation)}"), title_justify="left")
    for heading in ("value", "95 % interval"):
        table.add_column(heading, justify="right")
    for name, heading in _HEADINGS.items():
        interval = " to ".join(_number(bound) for bound in evaluation.intervals.get(name, ()))
        table.add_row(heading, _number(evaluation.figures[name]), interval)
    out.print(table)
    out.print(_table_of_classes(evaluation))
    if evaluation.per_type:
        out.print(_table_of_types(evaluation))


def _table_of_classes(evaluation: "Evaluation") -> "Table":
    """The study's Fig. 7, with the decisions themselves beside it."""
    from rich.table import Table

    from cobnut.evaluation.metrics import classification_table

    counts = evaluation.confusion
    decisions = {
        "good": (counts.true_negative, counts.false_positive),
        "defective": (counts.false_negative, counts.true_positive),
    }
    table = Table("truth")
    for heading in ("precision", "recall", "F1", "support", "passed", "rejected"):
        table.add_column(heading, justify="right")
    for name, row in classification_table(counts).items():
        figures = [_number(row[figure]) for figure in ("precision", "recall", "f1")]
        table.add_row(name.replace("_", " "), *figures, str(row["support"]), *map(str, decisions.get(name, ())))
    return table


def _table_of_types(evaluation: "Evaluation") -> "Table":
    from rich.table import Table

    table = Table("defect type")
    for heading in ("images", "found", "missed", "image AUROC", "pixel AUROC", "PRO"):
        table.add_column(heading, justify="right")
    for name, each in evaluation.per_type.items():
        missed = round(each.count * (each.figures["miss_rate"] or 0))
        ranks = [_number(each.figures[figure]) for figure in ("image_auroc", "pixel_auroc", "pro")]
        table.add_row(escape(name), str(each.count), str(each.count - missed), str(missed), *ranks)
    return table


_HEADINGS = {
    "accuracy": "accuracy",
    "false_alarm_rate": "false alarms",
    "miss_rate": "misses",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "f1_max": "best F1 of any threshold",
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "pro": "PRO",
}


def _counts(evaluation: "Evaluation") -> str:
    held_out = f" ({evaluation.held_out} of them held out of training)" if evaluation.held_out else ""
    return f"{evaluation.confusion.good} good{held_out}, {evaluation.confusion.defective} defective"


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"
