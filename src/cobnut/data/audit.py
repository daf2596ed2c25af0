"""What a data set holds, counted and checked before anything is learned from it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cobnut.data.images import image_facts, read_mask
from cobnut.errors import ImageError
from cobnut.records import Sample


@dataclass(slots=True)
class Audit:
    """Counts per (split, class), (width, height) and Pillow mode; most significant bits of a channel; what is wrong."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    masks: Counter[tuple[str, str]] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    deepest_bits: int = 0
    damaged: list[str] = field(default_factory=list)
    bad_masks: list[str] = field(default_factory=list)

    @property
    def missing_masks(self) -> int:
        """Defective images whose defect nobody drew; pixel figures leave them out."""
        return sum(count - self.masks[key] for key, count in self.counts.items() if key[1] != "good")


def audit(samples: Sequence[Sample], on_progress: Callable[[int], None] = lambda _: None) -> Audit:
    """Decode every image and mask once and tell what is there; nothing raises for a damaged file."""
    result = Audit()
    for sample in samples:
        _look_at(sample, result)
        on_progress(1)
    return result


def _look_at(sample: Sample, result: Audit) -> None:
    key = (sample.split, sample.defect_type)
    result.counts[key] += 1
    result.masks[key] += sample.mask_path is not None
    try:
        facts = image_facts(sample.path)
    except ImageError as error:
        result.damaged.append(str(error))
        return
    size = (facts.width, facts.height)
    result.sizes[size] += 1
    result.modes[facts.mode] += 1
    result.deepest_bits = max(result.deepest_bits, facts.bits)
    if sample.mask_path is not None and (fault := mask_fault(sample.mask_path, size)):
        result.bad_masks.append(fault)


def mask_fault(path: Path, image_size: tuple[int, int]) -> str | None:
    """Why a mask does not fit an image of (width, height), or ``None`` when it does."""
    try:
        mask = read_mask(path)
    except ImageError as error:
        return str(error)
    size = (mask.shape[1], mask.shape[0])
    if size != image_size:
        return f"{path}: is {size[0]} × {size[1]} pixels, its image {image_size[0]} × {image_size[1]}; draw it anew"
    if not mask.any():
        return f"{path}: marks no pixel; draw the defect or remove the file"
    return None
