"""What a tuning came to, in plain sentences."""

from typing import Any

from cobnut.evaluation.trials import FEWEST_TO_TRACK, Tracking, TrialRow, Tuning
from cobnut.report.words import NOTHING, count, share

FEW = 20


def choice_sentence(tuning: Tuning) -> str:
    """Which trial was chosen, and how far it came from the recipe as it was."""
    best, start = tuning.best, tuning.start
    if best.number == start.number or start.objective is None or best.objective is None:
        return "No trial was better than the recipe as it was; it stays as it is."
    gain = best.objective - start.objective
    return (
        f"Trial {best.number} is the best: objective {figure(best.objective)} against "
        f"{figure(start.objective)} of the recipe as it was ({gain:+.4f})."
    )


def tracking_sentence(tracking: Tracking | None, tuning: Tuning) -> str:
    """How well the objective, which never saw a real defect, stood for the truth."""
    known = sum(row.truth is not None for row in tuning.finished)
    if tracking is None and known < FEWEST_TO_TRACK:
        if known == 0:
            return "The truth was not looked at: how well the synthetic defects stood for real ones is not known."
        return f"The truth is known of {count(known, 'trial')} only: too few to tell how well the objective tracked it."
    if tracking is None:
        return "Objective or truth is the same in all trials: there is nothing to track."
    low, high = tracking.interval
    where = f"is the best of all {tracking.trials} by it, too"
    if tracking.place > 1:
        where = (
            f"is number {tracking.place} of {tracking.trials} by it: image AUROC {share(tracking.chosen_truth)}, "
            f"where the best trial reaches {share(tracking.best_truth)}"
        )
    return (
        f"The objective tracked the truth {tracking.word}: rank correlation {signed(tracking.correlation)} "
        f"(95 %: {signed(low)} to {signed(high)}) over {tracking.trials} trials. The chosen trial {where}."
    )


def few_images(tuning: Tuning) -> str:
    """A warning where the objective rests on few images, else empty."""
    if tuning.validation >= FEW:
        return ""
    return (
        f"The objective rests on {count(tuning.validation, 'good validation image')} only, so what it prefers may be "
        "chance: more good images, or a higher split.validation, sharpen it."
    )


def outcome_text(row: TrialRow) -> str:
    """How a trial ended, in a word or two."""
    if row.outcome == "pruned":
        return f"pruned after {row.epochs} epochs"
    return row.outcome


def setting_text(value: Any) -> str:
    """A setting as a person writes it."""
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return " · ".join(setting_text(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {setting_text(each)}" for name, each in value.items())
    return str(value)


def figure(value: float | None) -> str:
    """An objective or one of its parts: four digits, for trials lie close together."""
    return NOTHING if value is None else f"{value:.4f}"


def signed(value: float) -> str:
    """A correlation, with a true minus."""
    return f"{value:.2f}".replace("-", "−")
