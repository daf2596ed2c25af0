"""A contest as rows of text, alike for the page, the notes and the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from cobnut.evaluation.outcome import Outcome
from cobnut.evaluation.published import STUDY_EPOCHS, STUDY_FIGURES, STUDY_LOSSES, is_of_the_study
from cobnut.evaluation.standing import Contest, Standing
from cobnut.report.tables import MEANINGS
from cobnut.report.words import NOTHING, THIN, amount, count, duration, percent, percent_range, share, share_range

THE_STUDY = "the study"
# The figures of a row, in their order, with the headings that a narrow column can bear.
HEADINGS = {
    "image_auroc": "AUROC", "accuracy": "Accuracy", "f1": "F1", "false_alarm_rate": "False alarms",
    "miss_rate": "Misses", "pro": "PRO", "train_seconds": "Training", "parameters": "Parameters",
    "ms_per_image": "ms / image",
}  # fmt: skip
LOSS_HEADINGS = {"train_loss": "loss", "train_mse": "mse", "val_loss": "val_loss", "val_mse": "val_mse"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One cell of a table: its text, and the interval below it."""

    text: str
    interval: str = ""


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One recipe's row, or the study's own."""

    name: str
    remark: str
    entries: list[Entry]
    is_of_the_study: bool = False


def build_rows(contest: Contest) -> list[StudyRow]:
    """A row for each recipe, the highest AUROC first, and the study's own where it looked at the same category."""
    most = max(len(each.outcomes) for each in contest.standings)
    rows = [_row(each, most) for each in contest.standings]
    if is_of_the_study(contest.category):
        entries = [_entry(name, STUDY_FIGURES.get(name)) for name in HEADINGS]
        rows.append(StudyRow(THE_STUDY, "its own images, one training", entries, is_of_the_study=True))
    return rows


def build_loss_rows(contest: Contest) -> list[StudyRow]:
    """The study's Table 1 for every recipe: losses at the best epoch, means over the seeds, and how many epochs."""
    rows = []
    for each in contest.standings:
        best = [epoch for outcome in each.outcomes if (epoch := outcome.best) is not None]
        figures = [mean(getattr(epoch, name) for epoch in best) if best else None for name in LOSS_HEADINGS]
        epochs = sorted(len(outcome.history) for outcome in each.outcomes)
        spread = f"{epochs[0]}–{epochs[-1]}" if epochs[0] < epochs[-1] else str(epochs[0])
        entries = [Entry(NOTHING if value is None else amount(value)) for value in figures]
        rows.append(StudyRow(each.recipe, loss_text(each.first), [*entries, Entry(spread)]))
    if is_of_the_study(contest.category):
        entries = [Entry(amount(STUDY_LOSSES[name])) for name in LOSS_HEADINGS]
        rows.append(StudyRow(THE_STUDY, "upsampling, SSIM", [*entries, Entry(str(STUDY_EPOCHS))], is_of_the_study=True))
    return rows


def loss_text(outcome: Outcome) -> str:
    """What the recipe learned by: «mse», or «0.5 × mse + ssim»."""
    weights = outcome.recipe.training.loss
    return " + ".join(name if weight == 1 else f"{weight:g}{THIN}×{THIN}{name}" for name, weight in weights.items())


def figure_text(name: str, value: float | None) -> str:
    """A figure as a person writes it; a dash where there is none."""
    if value is None:
        return NOTHING
    if name == "train_seconds":
        return duration(value)
    if name == "parameters":
        return f"{value / 1e6:.2f}{THIN}M" if value >= 1e5 else f"{value / 1e3:.1f}{THIN}k"
    if name == "ms_per_image":
        return amount(value)
    return percent(value) if MEANINGS[name].is_rate else share(value)


def _row(standing: Standing, most: int) -> StudyRow:
    figures: dict[str, float | None] = standing.figures | {
        "train_seconds": _mean([each.train_seconds for each in standing.outcomes]),
        "parameters": standing.first.parameters,
        "ms_per_image": _mean([each.ms_per_image for each in standing.outcomes]),
    }
    entries = [_entry(name, figures[name], standing.intervals.get(name)) for name in HEADINGS]
    seeds = len(standing.outcomes)
    partly = f"{count(seeds, 'seed')} of {most}" if seeds < most else ""
    return StudyRow(standing.recipe, "; ".join(filter(None, (standing.remark, partly))), entries)


def _entry(name: str, value: float | None, interval: tuple[float, float] | None = None) -> Entry:
    if value is None or interval is None:
        return Entry(figure_text(name, value))
    return Entry(figure_text(name, value), (percent_range if MEANINGS[name].is_rate else share_range)(*interval))


def _mean(values: Sequence[float]) -> float:
    return float(mean(values))
