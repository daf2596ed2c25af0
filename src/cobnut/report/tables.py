"""The figures of an evaluation as rows of text, each with its interval, or with the reason why it is absent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cobnut.evaluation.evaluate import Evaluation, Figures, TypeFigures
from cobnut.evaluation.intervals import Interval
from cobnut.evaluation.metrics import Confusion, classification_table
from cobnut.report.words import NOTHING, THIN, count, percent, percent_range, share, share_range


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a figure is called, what it says, and why it may be absent."""

    label: str
    says: str
    absent: str
    is_rate: bool = False
    is_error: bool = False


MEANINGS = {
    "image_auroc": Meaning(
        "Image AUROC",
        "How often a defective part scores above a good one; 0.5 is guessing, 1 is perfect.",
        "needs good and defective test images",
    ),
    "accuracy": Meaning("Accuracy", "Share of all parts decided rightly.", "nothing was judged", True),
    "false_alarm_rate": Meaning(
        "False alarm rate", "Share of the good parts that were rejected.", "no good test image", True, True
    ),
    "miss_rate": Meaning(
        "Miss rate", "Share of the defective parts that passed.", "no defective test image", True, True
    ),
    "precision": Meaning("Precision", "Of the rejected parts, how many are defective.", "nothing was rejected", True),
    "recall": Meaning("Recall", "Of the defective parts, how many are rejected.", "no defective test image", True),
    "f1": Meaning("F1", "Harmonic mean of precision and recall.", "no defective test image"),
    "f1_max": Meaning(
        "F1-max",
        "The best F1 of any threshold: chosen with the truth in hand, so what the scores could do, not what they do.",
        "needs good and defective test images",
    ),
    "image_ap": Meaning("Image AP", "Average precision over all thresholds.", "needs good and defective test images"),
    "pixel_auroc": Meaning(
        "Pixel AUROC",
        "How often a pixel inside a defect scores above one outside.",
        "no defect is drawn: there are no masks",
    ),
    "pixel_ap": Meaning("Pixel AP", "Average precision of the pixels.", "no defect is drawn: there are no masks"),
    "pro": Meaning(
        "PRO",
        "How much of each defect is marked, small or large, at up to 30 % false pixels.".replace(" %", f"{THIN}%"),
        "no defect is drawn: there are no masks",
    ),
}
TILES = ("image_auroc", "accuracy", "false_alarm_rate", "miss_rate", "pixel_auroc", "pro")
FURTHER = ("precision", "recall", "f1", "f1_max", "image_ap", "pixel_ap")
TYPE_COLUMNS = ("miss_rate", "image_auroc", "pixel_auroc", "pixel_ap", "pro")
_CLASSES = {
    "good": "Good", "defective": "Defective", "macro_average": "Macro average", "weighted_average": "Weighted average"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure for the page: text, interval, remark, and positions 0 to 100 for its small bar."""

    name: str
    label: str
    text: str
    says: str
    interval: str = ""
    remark: str = ""
    mark: float | None = None
    low: float = 0
    high: float = 0
    is_error: bool = False

    @property
    def extent(self) -> float:
        """How wide the interval's bar is, in percents."""
        return round(self.high - self.low, 2)


@dataclass(frozen=True, slots=True)
class TypeRow:
    """One defect type: how many were there, found and missed, and its figures."""

    name: str
    count: int
    found: int
    drawn: int
    figures: list[Figure]

    @property
    def missed(self) -> int:
        """Parts of this type that passed."""
        return self.count - self.found


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the confusion matrix; ``rate`` is its share of the row, ``None`` for an empty row."""

    number: int
    decision: str
    is_right: bool
    rate: str
    strength: float


def build_figures(evaluation: Evaluation, names: Sequence[str]) -> list[Figure]:
    """The named figures, in that order."""
    return [_figure(name, evaluation.figures, evaluation.intervals) for name in names]


def build_type_rows(evaluation: Evaluation) -> list[TypeRow]:
    """A row for each defect type, in alphabetical order."""
    return [_type_row(name, each) for name, each in evaluation.per_type.items()]


def build_class_rows(confusion: Confusion) -> Iterator[tuple[str, list[str]]]:
    """The study's Fig. 7: heading and (precision, recall, F1, support) of each row."""
    rows = classification_table(confusion)
    for name, heading in _CLASSES.items():
        if name == "macro_average":
            yield "Accuracy", ["", "", _text(confusion.accuracy), f"{rows[name]['support']:,}"]
        figures = [_text(rows[name][figure]) for figure in ("precision", "recall", "f1")]
        yield heading, [*figures, f"{rows[name]['support']:,}"]


def build_matrix(confusion: Confusion) -> list[tuple[str, int, list[Cell]]]:
    """The confusion matrix: truth, how many, and the cells «passed» and «rejected»."""
    return [
        (
            "Good",
            confusion.good,
            [
                _cell(confusion.true_negative, confusion.good, "passed", is_right=True),
                _cell(confusion.false_positive, confusion.good, "rejected", is_right=False),
            ],
        ),
        (
            "Defective",
            confusion.defective,
            [
                _cell(confusion.false_negative, confusion.defective, "passed", is_right=False),
                _cell(confusion.true_positive, confusion.defective, "rejected", is_right=True),
            ],
        ),
    ]


def drawn_remark(evaluation: Evaluation) -> str:
    """How many of the defective images carry a mask, where that is not all of them."""
    drawn = sum(each.drawn for each in evaluation.per_type.values())
    defective = evaluation.confusion.defective
    if drawn == defective:
        return ""
    return (
        f"Pixel figures rest on the {drawn:,} of {count(defective, 'defective image')} whose defect is drawn, "
        "and on the good images."
    )


def _type_row(name: str, each: TypeFigures) -> TypeRow:
    missed = round((each.figures["miss_rate"] or 0.0) * each.count)
    figures = [_figure(column, each.figures, each.intervals) for column in TYPE_COLUMNS]
    return TypeRow(name, each.count, each.count - missed, each.drawn, figures)


def _figure(name: str, figures: Figures, intervals: Mapping[str, Interval]) -> Figure:
    meaning, value = MEANINGS[name], figures.get(name)
    if value is None:
        return Figure(name, meaning.label, NOTHING, meaning.says, remark=meaning.absent, is_error=meaning.is_error)
    low, high = intervals.get(name, (value, value))
    remark = "no spread over the test images" if low == high else ""
    interval = (percent_range if meaning.is_rate else share_range)(low, high)
    text = percent(value) if meaning.is_rate else share(value)
    mark, left, right = (round(100 * place, 2) for place in (value, low, high))
    return Figure(name, meaning.label, text, meaning.says, interval, remark, mark, left, right, meaning.is_error)


def _cell(number: int, of: int, decision: str, is_right: bool) -> Cell:
    rate = number / of if of else 0.0
    return Cell(number, decision, is_right, percent(rate) if of else NOTHING, round(60 * rate, 1))


def _text(value: float | int | None) -> str:
    return NOTHING if value is None else share(value)
