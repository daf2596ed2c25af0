"""What came of one cell of a study, a recipe trained on a category with a seed: all that tables and plots need."""

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cobnut.errors import DataError
from cobnut.files import write_whole
from cobnut.recipe import Recipe
from cobnut.runtime.bundle import Epoch


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class JudgedImage(_Record):
    """One test image with its truth and the answer; ``content`` is the SHA-256 of its file, by which images match."""

    content: str
    path: Path
    mask_path: Path | None
    defect_type: str
    is_defective: bool
    score: float
    is_rejected: bool


class Outcome(_Record):
    """One finished cell."""

    category: str
    recipe: Recipe = Field(description="as it was asked for, with its seed")
    remark: str = Field("", description="what a reader must know of it, for example «random weights»")
    data: str = Field(description="fingerprint of the category's images, truths and masks")
    bundle: Path = Field(description="the trained detector")
    threshold: float
    figures: dict[str, float | None]
    intervals: dict[str, tuple[float, float]] = Field(description="95 % over the images, of this seed alone")
    images: list[JudgedImage] = Field(description="in the order of their contents")
    unreadable: list[str]
    history: list[Epoch]
    best_epoch: int
    parameters: int
    train_seconds: float = Field(description="of all parts, when the training was interrupted")
    ms_per_image: float
    versions: dict[str, str]

    @property
    def name(self) -> str:
        """What the recipe is called."""
        return self.recipe.name

    @property
    def best(self) -> Epoch | None:
        """The epoch whose weights were kept; ``None`` for a detector that learned without epochs."""
        return next((each for each in self.history if each.epoch == self.best_epoch), None)


class Failure(_Record):
    """A cell that came to nothing, and why, in one line."""

    category: str
    recipe: str
    seed: int
    reason: str


_Kind = TypeVar("_Kind", bound=_Record)


def write_outcome(outcome: Outcome, path: Path) -> None:
    """Write a finished cell as JSON, whole or not at all; the bundle's place is kept relative to the file."""
    content = outcome.model_dump(mode="json")
    content["bundle"] = str(outcome.bundle.relative_to(path.parent))
    with write_whole(path) as partial:
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def read_outcome(path: Path) -> Outcome:
    """Read a finished cell; raises :class:`DataError` when the file is damaged."""
    outcome = _read(path, Outcome)
    return outcome.model_copy(update={"bundle": path.parent / outcome.bundle})


def write_failure(failure: Failure, path: Path) -> None:
    """Write a cell that came to nothing as JSON, whole or not at all."""
    with write_whole(path) as partial:
        partial.write_text(json.dumps(failure.model_dump(), ensure_ascii=False) + "\n", "utf-8")


def read_failure(path: Path) -> Failure:
    """Read a cell that came to nothing; raises :class:`DataError` when the file is damaged."""
    return _read(path, Failure)


def _read(path: Path, kind: type[_Kind]) -> _Kind:
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        reason = " ".join(str(error.errors()[0]["msg"]).split())
        raise DataError(f"{path}: is damaged ({reason}); remove the file, and the study runs this cell again") from None
