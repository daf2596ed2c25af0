"""The same few test images as every recipe sees them: reconstruction, anomaly map, overlay (study, Figs. 8 and 10)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cobnut.data.images import read_full_image, read_mask, resize_map
from cobnut.errors import CobnutError, ImageError
from cobnut.evaluation.outcome import JudgedImage, Outcome
from cobnut.evaluation.standing import Contest, Standing
from cobnut.options import ImageOptions
from cobnut.pictures import Picture, heat, outline, overlay, resized, resized_mask
from cobnut.report.gallery import Inspects, Shot, embed
from cobnut.report.words import times

MOST_TYPES = 4
SIDE, QUALITY = 160, 78
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Panel:
    """What one recipe made of an image: what it said, and its three pictures."""

    recipe: str
    outcome: str
    is_right: bool
    ratio: str
    shots: list[Shot]


@dataclass(frozen=True, slots=True)
class Scene:
    """One test image with its truth, and a panel for every recipe."""

    label: str
    name: str
    shots: list[Shot]
    panels: list[Panel]


def choose_images(contest: Contest) -> list[JudgedImage]:
    """One image of each of the first defect types, by alphabet, and a good one: a fixed rule, no picked examples.

    Of a type the image with the lowest content hash is taken, among those whose defect is drawn where there are any.
    """
    common = set(contest.contents)
    images = [each for each in contest.standings[0].first.images if each.content in common]
    chosen: dict[str, JudgedImage] = {}
    for each in sorted(images, key=lambda each: (each.is_defective, each.mask_path is None, each.content)):
        chosen.setdefault(each.defect_type, each)
    good = [each for each in chosen.values() if not each.is_defective]
    defective = sorted((each for each in chosen.values() if each.is_defective), key=lambda each: each.defect_type)
    return defective[:MOST_TYPES] + good[:1]


def build_scenes(contest: Contest, open_inspector: Callable[[Path], Inspects]) -> list[Scene]:
    """The chosen images as each recipe's first seed sees them; what cannot be read any more says so in its place."""
    images = choose_images(contest)
    columns = [_panels(each, images, open_inspector) for each in contest.standings]
    options = contest.standings[0].first.recipe.image
    return [
        Scene(image.defect_type, image.path.name, _true_shots(image, options), [column[place] for column in columns])
        for place, image in enumerate(images)
    ]


def _panels(
    standing: Standing, images: Sequence[JudgedImage], open_inspector: Callable[[Path], Inspects]
) -> list[Panel]:
    outcome = standing.first
    answers = {each.content: each for each in outcome.images}
    try:
        inspector = open_inspector(outcome.bundle)
    except CobnutError:
        inspector = None
    panels = []
    for image in images:
        answer = answers[image.content]
        panels.append(
            Panel(
                recipe=standing.recipe,
                outcome=_outcome(answer),
                is_right=answer.is_rejected == answer.is_defective,
                ratio=times(max(answer.score, _TINY) / max(outcome.threshold, _TINY)),
                shots=_shots(standing.recipe, image, outcome, inspector),
            )
        )
    return panels


def _outcome(answer: JudgedImage) -> str:
    if answer.is_defective:
        return "found" if answer.is_rejected else "missed"
    return "false alarm" if answer.is_rejected else "passed"


def _true_shots(image: JudgedImage, options: ImageOptions) -> list[Shot]:
    name = image.path.name
    try:
        picture = read_full_image(image.path, options, 2 * SIDE)
        shots = [Shot("Image", f"Photograph {name}", embed(picture))]
        if not image.is_defective:
            return [*shots, Shot("Mask", "", words="good")]
        if image.mask_path is None:
            return [*shots, Shot("Mask", "", words="not drawn")]
        mask = resized_mask(read_mask(image.mask_path), (picture.shape[0], picture.shape[1]))
        return [*shots, Shot("Mask", f"{name} with its true defect outlined", embed(outline(picture, mask)))]
    except ImageError:
        return [Shot("Image", "", words="cannot be read any more")]


def _shots(recipe: str, image: JudgedImage, outcome: Outcome, inspector: Inspects | None) -> list[Shot]:
    try:
        if inspector is None:
            return [Shot("", "", words="the detector cannot be read any more")]
        picture: Picture = read_full_image(image.path, outcome.recipe.image, SIDE)
        verdict = inspector.inspect(image.path)
    except ImageError:
        return [Shot("", "", words="cannot be read any more")]
    shape, threshold = (picture.shape[0], picture.shape[1]), verdict.threshold
    values, rebuilt = resize_map(verdict.anomaly_map, shape), verdict.reconstruction
    # The root shows what is far below the threshold too; the threshold itself lies at 71 % of the scale.
    roots = heat(np.sqrt(np.clip(values, 0, None)), 0, math.sqrt(2 * max(threshold, _TINY)))
    of = f"{image.path.name} by {recipe}"
    return [
        Shot("Reconstruction", "", words="—")
        if rebuilt is None
        else Shot("Reconstruction", f"Reconstruction of {of}", embed(resized(rebuilt, shape), QUALITY)),
        Shot("Anomaly map", f"Anomaly map of {of}", embed(roots, QUALITY)),
        Shot(
            "Overlay",
            f"{of}, what lies above the threshold marked",
            embed(overlay(picture, values, threshold, verdict.inspected), QUALITY),
        ),
    ]
