"""How the reconstructions of a recipe came about: pictures that its training left, from the first epoch to the best."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cobnut.evaluation.outcome import Outcome
from cobnut.evaluation.standing import Standing
from cobnut.pictures import GAP, Picture, grid, resized
from cobnut.report.gallery import embed

MOST_IMAGES, SIDE, QUALITY = 4, 72, 80


@dataclass(frozen=True, slots=True)
class Lesson:
    """One recipe's picture: originals in the upper row, below them the reconstructions after each of ``epochs``."""

    recipe: str
    url: str
    epochs: list[int]


def build_lessons(standings: Sequence[Standing]) -> list[Lesson]:
    """A picture for each recipe whose first seed left some (study, Figs. 6 and 9)."""
    return [lesson for each in standings if (lesson := _lesson(each)) is not None]


def choose_epochs(saved: Sequence[int], best_epoch: int) -> list[int]:
    """The first saved epoch, the last one not after the best, and the one in the middle between them."""
    until = [epoch for epoch in sorted(saved) if epoch <= best_epoch] or sorted(saved)[:1]
    middle = min(until, key=lambda epoch: abs(epoch - (until[0] + until[-1]) / 2)) if until else 0
    return sorted({until[0], middle, until[-1]}) if until else []


def _lesson(standing: Standing) -> Lesson | None:
    outcome = standing.first
    saved = _saved(outcome)
    epochs = choose_epochs(list(saved), outcome.best_epoch)
    rows: list[list[Picture]] = []
    for epoch in epochs:
        try:
            originals, rebuilt = _rows(saved[epoch])
        except OSError:
            return None
        rows = [*(rows or [originals]), rebuilt]
    return Lesson(standing.recipe, embed(grid(rows, ground=128), QUALITY), epochs) if rows else None


def _saved(outcome: Outcome) -> dict[int, Path]:
    """The pictures that the training left beside its bundle, by epoch."""
    folder = outcome.bundle.with_name(f"{outcome.bundle.name}.run") / "reconstructions"
    return {int(path.stem.removeprefix("epoch-")): path for path in sorted(folder.glob("epoch-[0-9]*.png"))}


def _rows(path: Path) -> tuple[list[Picture], list[Picture]]:
    """The first originals and reconstructions of one picture, which has two rows of squares with gaps between."""
    with Image.open(path) as image:
        picture = np.asarray(image.convert("RGB"))
    side = (picture.shape[0] - GAP) // 2
    count = min(MOST_IMAGES, (picture.shape[1] + GAP) // (side + GAP))
    lefts = [column * (side + GAP) for column in range(count)]
    upper, lower = (
        [resized(picture[top : top + side, left : left + side], (SIDE, SIDE)) for left in lefts]
        for top in (0, side + GAP)
    )
    return upper, lower
