"""What another bundle, or another version, would have said of the same images, before it goes live."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cobnut.errors import ImageError
from cobnut.records import Verdict
from cobnut.runtime.inspect import Inspector


@dataclass(frozen=True, slots=True)
class Replayed:
    """One image and both answers; ``error`` where it could not be judged."""

    path: Path
    old: Verdict | None = None
    new: Verdict | None = None
    error: str = ""

    @property
    def is_changed(self) -> bool:
        """Whether the decision would be another one."""
        return self.old is not None and self.new is not None and self.old.is_defective != self.new.is_defective

    def line(self) -> str:
        """A changed decision for a person, each score with how many times its threshold it is."""
        assert self.old is not None
        assert self.new is not None
        return f"{_told(self.old)} → {_told(self.new)}  {self.path}"


def replay(old: Inspector, new: Inspector, images: Sequence[Path]) -> Iterator[Replayed]:
    """Both answers for each image, in their order."""
    for path, first, second in zip(images, old.inspect_files(images), new.inspect_files(images), strict=True):
        if isinstance(first, ImageError):
            yield Replayed(path, error=str(first))
        elif isinstance(second, ImageError):
            yield Replayed(path, error=str(second))
        else:
            yield Replayed(path, first, second)


def _told(verdict: Verdict) -> str:
    name = "DEFECTIVE" if verdict.is_defective else "good"
    return f"{name:<9} {verdict.score / verdict.threshold if verdict.threshold else 0:5.2f} ×"
