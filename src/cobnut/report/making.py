"""«How it was made»: the recipe, the decision and its origin in words a quality engineer can check."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cobnut.calibration.conformal import beta_promise, round_up
from cobnut.calibration.cross import cross_worst
from cobnut.options import LARGEST, Options
from cobnut.recipe import Recipe
from cobnut.report.words import THIN, amount, count, day, duration, percent
from cobnut.runtime.bundle import Manifest


@dataclass(frozen=True, slots=True)
class OptionRow:
    """One option of the recipe: dotted key, value, what it decides."""

    key: str
    value: str
    meaning: str


def option_values(options: Options, prefix: str = "") -> Iterator[OptionRow]:
    """Every option of a recipe with its value, in the order of the recipe."""
    for name, field in type(options).model_fields.items():
        value = getattr(options, name)
        if isinstance(value, Options):
            yield from option_values(value, f"{prefix}{name}.")
        elif f"{prefix}{name}" not in ("name", "about"):
            yield OptionRow(f"{prefix}{name}", _option_text(value), field.description or "")


def decision_text(manifest: Manifest) -> str:
    """When a part is rejected, in one sentence."""
    if manifest.folds:
        return (
            f"A part is rejected when its score lies above the threshold of {amount(manifest.threshold)}. The score "
            f"counts the left-out images that look less odd than the part, each to that of the {manifest.folds} "
            "detectors which was made without it."
        )
    area = manifest.recipe.score.least_area
    whole = manifest.recipe.region.whole
    where = f"more than {_exactly(area)} of {whole} lies" if isinstance(area, float) and area else "any pixel lies"
    return f"A part is rejected when {where} above the threshold of {amount(manifest.threshold)} in its anomaly map."


def threshold_text(manifest: Manifest) -> str:
    """Where the threshold comes from."""
    calibration = manifest.recipe.calibration
    images = count(len(manifest.calibration_scores), "good calibration image")
    if calibration.folds:
        return (
            f"{promise_text(manifest)} Each of the {images} was judged by a detector that was made without it; where "
            "maps are marked in parts that pass is not promised."
        )
    if calibration.method == "conformal":
        return f"{promise_text(manifest)} The {images} that bear this promise took no other part in the making."
    q = calibration.q
    is_highest = not isinstance(q, float) or q == 100
    origin = "the highest pixel error" if is_highest else f"the {q:g}th percentile of the pixel errors"
    return f"That threshold is {origin} of {images}, which nothing had seen before."


def promise_text(manifest: Manifest) -> str:
    """What is promised of good parts, in words that can be held against what happens."""
    calibration, scores = manifest.recipe.calibration, np.array(manifest.calibration_scores)
    assert isinstance(calibration.alpha, float)
    above = int((scores > manifest.threshold).sum())
    at_most = f"at most {_exactly(calibration.alpha)} of good parts are rejected"
    like = "as long as they are like the calibration images"
    if calibration.confidence:
        return f"With {_exactly(calibration.confidence)} confidence, {at_most}, {like}."
    if calibration.folds:
        like = f"as long as they are like the good images of the {calibration.folds} folds"
        most = cross_worst(len(scores), calibration.folds, calibration.alpha, 0.95)
    else:
        most = beta_promise(len(scores), above, 0.95)
    worst = _exactly(min(round_up(most), 1.0))
    return (
        f"On average {at_most}, {like}. So few images leave some luck in it: with 95{THIN}% confidence, this very "
        f"threshold rejects at most {worst}."
    )


def working_text(recipe: Recipe, finest: float | None) -> str:
    """At what size the detector works, and how wide a defect covers one feature there, where that is known."""
    height, width = recipe.image.shape
    size = f"at {width} × {height} pixels"
    if finest is None:
        return size
    return f"{size}, where a defect {finest:.3g} pixels wide in the photographs covers one feature"


def reach_text(recipe: Recipe, finest: float, best: int) -> str:
    """What would let the smallest defect worth finding cover a feature where the recipe's size does not.

    ``best`` is the size that the best effort may take.
    """
    image = recipe.image
    needed = math.ceil(image.size * finest / image.smallest_defect / 64) * 64
    crop = f"crop the photographs to {100 * image.smallest_defect / finest:.0f}{THIN}% of their sides"
    cures = f"--set image.size={needed} (slower) or {crop}" if needed <= LARGEST else crop
    return f"a defect {image.smallest_defect:g} pixels wide does not cover one feature at so few pixels: " + (
        "--effort best makes it so" if needed <= best else cures
    )


def choice_text(manifest: Manifest) -> str:
    """How the automatic options were chosen, or that the recipe fixed them."""
    choice, asked = manifest.choice, manifest.asked
    if manifest.folds and "auto" in {value for name, value in asked.items() if name != "alpha"}:
        return (
            "How the map becomes a score, each fold's detector chose on its own validation images, never on the test."
        )
    if choice is None:
        return "The recipe fixed how the map becomes a score; nothing was chosen automatically."
    if manifest.recipe.calibration.method == "conformal":
        return _ranked_text(manifest, choice)
    names = {"q": "percentile", "least_area": "least area"}
    values = {"q": f"{choice.get('q', 0):g}", "least_area": _exactly(choice.get("least_area", 0.0))}
    chosen = " and ".join(f"the {names[key]} ({values[key]})" for key in names if asked.get(key) == "auto")
    chosen = chosen or "the options"
    were = "were" if " and " in chosen else "was"
    return (
        f"{chosen[0].upper()}{chosen[1:]} {were} chosen on good validation images and on the same images with "
        "synthetic defects, never on the test: among the choices "
        f"{_allowed(manifest, choice.get('false_alarm_rate', 0.0))}, the "
        "one that finds the most synthetic defects. It rejected "
        f"{percent(choice.get('false_alarm_rate', 0.0))} of the good ones and found "
        f"{percent(choice.get('synthetic_found', 0.0))} of the synthetic defects."
    )


def _ranked_text(manifest: Manifest, choice: dict[str, float]) -> str:
    """What was left to be chosen, and what it was chosen by; what the recipe fixed is not called chosen."""
    score = manifest.recipe.score
    least = score.least_area
    told = "in multiples of what is usual at their place" if score.normalise == "place" else "as they are"
    said = {
        "error": f"the error «{score.error}»",
        "normalise": f"to tell errors {told}",
        "smoothing": f"to average over {score.smoothing} × {score.smoothing} places of the map",
        "least_area": f"the least area of {_exactly(least) if isinstance(least, float) else least}",
    }
    chosen = ", ".join(text for name, text in said.items() if manifest.asked.get(name) == "auto")
    return (
        f"Chosen on good validation images and on the same images with synthetic defects, never on the test: {chosen}. "
        "So these defects rank above the good images best, and "
        f"{percent(choice.get('synthetic_found', 0.0))} of them are found under the promise."
    )


def _allowed(manifest: Manifest, false_alarm_rate: float) -> str:
    tolerated = manifest.recipe.calibration.tolerated_false_alarms
    if false_alarm_rate <= tolerated:
        return f"that reject at most {percent(tolerated)} of the good ones"
    return f"with the fewest false alarms, because none keeps to the tolerated {percent(tolerated)}"


def fact_rows(manifest: Manifest, ms_per_image: float, seconds: float) -> Iterator[tuple[str, str]]:
    """Counts, times and versions."""
    parts = {name: len(hashes) for name, hashes in manifest.fingerprint.items()}
    yield "Trained", f"{day(manifest.created)}, in {duration(manifest.seconds)}"
    yield "Works", working_text(manifest.recipe, manifest.finest_defect)
    yield "Good images", ", ".join(f"{parts[name]:,} {name}" for name in parts if parts[name])
    yield "Epochs", epochs_text(manifest)
    yield "Learned parameters", f"{manifest.parameters:,}"
    yield "Time for one image", f"{amount(ms_per_image)}{THIN}ms from file to verdict, where this was evaluated"
    yield "Time for this evaluation", duration(seconds)
    if agreement_text(manifest):
        yield "Deployed model", agreement_text(manifest)
    yield "Software", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())


def agreement_text(manifest: Manifest) -> str:
    """How closely the model that is deployed agrees with the one that was trained; empty where nobody has looked."""
    agreement = manifest.agreement
    if agreement is None:
        return ""
    differ = f"by at most {amount(100 * agreement.difference)}{THIN}% of their spread"
    same = f"{agreement.images - agreement.turned} of " if agreement.turned else ""
    others = " (the rest set the threshold, where rounding decides)" if agreement.turned else ""
    judged = count(agreement.images, "calibration image")
    return f"decides {same}{judged} as the trained one does{others}; scores differ {differ}"


def epochs_text(manifest: Manifest) -> str:
    """How long training went on, and which of its epochs was the best."""
    of = f" in the first of {manifest.folds} folds" if manifest.folds else ""
    return f"best epoch {manifest.best_epoch} of {len(manifest.history)}{of}"


def _exactly(value: float) -> str:
    """A share as exact percents, «0.83 %»: it was set or promised, and rounding it would make it another."""
    return f"{100 * value:g}{THIN}%"


def _option_text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} × {weight:g}" for name, weight in value.items())
    if isinstance(value, tuple | list):
        return ", ".join(_option_text(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
