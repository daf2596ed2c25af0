"""The gallery: which images a person should see, in which order, and their pictures as small JPEGs in the page."""

import base64
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from cobnut.data.images import read_full_image, read_mask, resize_map
from cobnut.errors import ImageError
from cobnut.evaluation.evaluate import Judged
from cobnut.options import ImageOptions
from cobnut.pictures import Picture, heat, outline, overlay, resized, resized_mask
from cobnut.records import Sample, Verdict
from cobnut.report.words import amount, times

MOST_MISTAKES, MOST_HARD, MOST_TYPICAL = 24, 4, 8
SIDE, QUALITY = 256, 85
_TINY = 1e-12


class Inspects(Protocol):
    """Whatever judges an image file; the Inspector does."""

    def inspect(self, image: Path, /) -> Verdict:
        """Judge one image file; raises :class:`ImageError`."""
        ...


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of a row: its heading, alternative text and data URL; without a URL, the words in its place."""

    heading: str
    alt: str
    url: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One image of the gallery with its pictures and what was said of it."""

    name: str
    type: str
    outcome: str
    is_right: bool
    score: str
    ratio: str
    place: float
    shots: list[Shot]


@dataclass(frozen=True, slots=True)
class Group:
    """Cards that belong together, and why they are shown."""

    heading: str
    remark: str
    is_right: bool
    cards: list[Card]


def build_groups(judged: Sequence[Judged], inspector: Inspects, threshold: float, options: ImageOptions) -> list[Group]:
    """The gallery: the worst mistakes, the closest right decisions, some typical ones; empty groups are left out."""
    root = common_folder(each.sample.path for each in judged)

    def cards(chosen: Iterable[Judged]) -> list[Card]:
        return [_card(each, inspector, threshold, options, root) for each in chosen]

    mistakes = order_mistakes(judged, threshold)
    hard, typical = choose_right(judged, threshold)
    shown = f"The {MOST_MISTAKES} worst of {len(mistakes)}" if len(mistakes) > MOST_MISTAKES else "All of them"
    groups = [
        Group("Mistakes", f"{shown}, the worst first.", False, cards(mistakes[:MOST_MISTAKES])),
        Group("Right, but only just", "Right decisions whose scores lie closest to the threshold.", True, cards(hard)),
        Group("Typical", "Right decisions with a middling score for their class.", True, cards(typical)),
    ]
    return [group for group in groups if group.cards]


def order_mistakes(judged: Iterable[Judged], threshold: float) -> list[Judged]:
    """Wrong decisions, first the one whose score lies farthest on the wrong side, as a ratio to the threshold."""
    wrong = [each for each in judged if not each.is_right]
    return sorted(wrong, key=lambda each: (-_distance(each.score, threshold), str(each.sample.path)))


def choose_right(judged: Iterable[Judged], threshold: float) -> tuple[list[Judged], list[Judged]]:
    """Right decisions: the closest to the threshold, and of the others those with the median score of each class."""
    right = sorted(
        (each for each in judged if each.is_right),
        key=lambda each: (_distance(each.score, threshold), str(each.sample.path)),
    )
    hard, others = right[:MOST_HARD], right[MOST_HARD:]
    classes: dict[str, list[Judged]] = {}
    for each in sorted(others, key=lambda each: (each.sample.is_defective, each.sample.defect_type)):
        classes.setdefault(each.sample.defect_type, []).append(each)
    return hard, [members[len(members) // 2] for members in classes.values()][:MOST_TYPICAL]


def common_folder(paths: Iterable[Path]) -> Path:
    """The deepest folder that holds all of ``paths``."""
    return Path(os.path.commonpath([path.absolute().parent for path in paths]))


def short_name(path: Path, root: Path) -> str:
    """A path below ``root`` as text that any page can hold, characters that do not print shown as «�»."""
    text = os.fsencode(path.absolute().relative_to(root).as_posix()).decode("utf-8", errors="replace")
    return "".join(character if character.isprintable() else "�" for character in text)


def _distance(score: float, threshold: float) -> float:
    return abs(math.log(max(score, _TINY) / max(threshold, _TINY)))


def _card(each: Judged, inspector: Inspects, threshold: float, options: ImageOptions, root: Path) -> Card:
    name = short_name(each.sample.path, root)
    ratio = max(each.score, _TINY) / max(threshold, _TINY)
    return Card(
        name=name,
        type=each.sample.defect_type + (", held out of training" if each.sample.split == "train" else ""),
        outcome=_outcome(each),
        is_right=each.is_right,
        score=amount(each.score),
        ratio=times(ratio),
        place=round(50 + 50 * float(np.clip(math.log(ratio, 4), -1, 1)), 1),
        shots=list(_shots(each.sample, name, inspector, options)),
    )


def _outcome(each: Judged) -> str:
    if each.is_right:
        return "found" if each.sample.is_defective else "passed"
    return "missed" if each.sample.is_defective else "false alarm"


def _shots(sample: Sample, name: str, inspector: Inspects, options: ImageOptions) -> Iterator[Shot]:
    """The columns of the study's Figs. 8 and 10: image, truth, reconstruction, anomaly map, overlay."""
    try:
        image = read_full_image(sample.path, options, SIDE)
        verdict = inspector.inspect(sample.path)
    except ImageError:
        yield Shot("Image", "", words="cannot be read any more")
        return
    shape, threshold, marked = (image.shape[0], image.shape[1]), verdict.threshold, verdict.shown_above
    values = resize_map(verdict.anomaly_map, shape)
    yield Shot("Image", f"Photograph {name}", embed(image))
    yield _truth(sample, name, image)
    if verdict.reconstruction is not None:
        yield Shot("Reconstruction", f"Reconstruction of {name}", embed(resized(verdict.reconstruction, shape)))
    # The root shows what is far below the threshold too; the threshold itself lies at 71 % of the scale.
    roots = heat(np.sqrt(np.clip(values, 0, None)), 0, math.sqrt(2 * max(threshold, _TINY)))
    yield Shot("Anomaly map", f"Anomaly map of {name}", embed(roots))
    heading = "Marked" if (values > marked).any() else "Marked: nothing"
    yield Shot(
        heading,
        f"{name} with what is rare among good parts marked",
        embed(overlay(image, values, marked, verdict.inspected)),
    )


def _truth(sample: Sample, name: str, image: Picture) -> Shot:
    if not sample.is_defective:
        return Shot("Truth", "", words="good")
    if sample.mask_path is None:
        return Shot("Truth", "", words="not drawn")
    try:
        mask = resized_mask(read_mask(sample.mask_path), (image.shape[0], image.shape[1]))
    except ImageError:
        return Shot("Truth", "", words="mask cannot be read")
    return Shot("Truth", f"{name} with its true defect outlined", embed(outline(image, mask)))


def embed(picture: Picture, quality: int = QUALITY) -> str:
    """A picture as the data URL of a JPEG, colours at full resolution so that thin lines stay crisp."""
    encoded = BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(encoded, "JPEG", quality=quality, subsampling=0, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode('ascii')}"
