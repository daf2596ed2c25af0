"""Judge images whose truth is known with a bundle as it is deployed, and count how right it was."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cobnut.data.audit import mask_fault
from cobnut.data.images import image_shape, read_mask
from cobnut.data.seen import pixel_hashes
from cobnut.data.split import content_hashes
from cobnut.errors import DataError, ImageError
from cobnut.evaluation.intervals import Interval, bootstrap, exact_interval
from cobnut.evaluation.metrics import Confusion, auroc, average_precision, classification_table, f1_max
from cobnut.evaluation.pixels import PixelScores
from cobnut.evaluation.sizes import Defect, SmallestArea, smallest_area
from cobnut.records import MADE_WITH, Sample
from cobnut.runtime.bundle import Manifest
from cobnut.runtime.inspect import Inspector

Figures = dict[str, float | None]
TIMED = 30
IMAGE_FIGURES = (
    "image_auroc",
    "image_ap",
    "f1_max",
    "f1",
    "accuracy",
    "precision",
    "recall",
    "false_alarm_rate",
    "miss_rate",
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One image of the test with its truth and the detector's answer.

    ``marked`` and ``pixels`` count the pixels of its mask, those that are marked and all; 0 where no defect is drawn.
    """

    sample: Sample
    score: float
    is_rejected: bool
    marked: int = 0
    pixels: int = 0

    @property
    def is_right(self) -> bool:
        """Whether the decision agrees with the truth."""
        return self.is_rejected == self.sample.is_defective


@dataclass(frozen=True, slots=True)
class TypeFigures:
    """The figures of one defect type; ranks and pixels are set against all good images."""

    count: int
    drawn: int
    figures: Figures
    intervals: dict[str, Interval]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every figure of one bundle on one data set, with its 95 % interval; a figure without its truth is ``None``."""

    manifest: Manifest
    data: str
    figures: Figures
    intervals: dict[str, Interval]
    per_type: dict[str, TypeFigures]
    confusion: Confusion
    judged: list[Judged]
    held_out: int
    unreadable: list[str]
    seconds: float
    ms_per_image: float

    @property
    def defects(self) -> list[Defect]:
        """The defective images whose defect is drawn."""
        return [
            Defect(each.marked, each.marked / each.pixels, each.score, each.is_rejected)
            for each in self.judged
            if each.marked
        ]

    @property
    def smallest(self) -> SmallestArea:
        """From which size on defects are found reliably."""
        return smallest_area(self.defects)

    def as_dict(self) -> dict[str, Any]:
        """The figures for machines: the JSON of ``cobnut evaluate --json``."""
        per_type = {
            name: {"n": each.count, "n_masks": each.drawn, **each.figures, "intervals": each.intervals}
            for name, each in self.per_type.items()
        }
        return {
            **self.figures,
            "threshold": self.manifest.threshold,
            "per_type": per_type,
            "intervals": self.intervals,
            "found_reliably": self.smallest.as_dict(),
            "n_good": self.confusion.good,
            "n_defective": self.confusion.defective,
            "n_held_out_good": self.held_out,
            "classification": classification_table(self.confusion),
            "confusion": {name: getattr(self.confusion, name) for name in Confusion.__slots__},
            "unreadable": self.unreadable,
            "recipe": self.manifest.recipe.model_dump(mode="json"),
            "data": self.data,
            "seconds": self.seconds,
            "train_seconds": self.manifest.seconds,
            "ms_per_image": self.ms_per_image,
        }


def evaluate(
    inspector: Inspector,
    samples: Sequence[Sample],
    data: str,
    allow_leaks: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Judge the test images of ``samples``, and the good ones that the detector has not seen while it was made.

    ``ms_per_image`` is the median time from file to verdict of one image alone, decoding with it. Raises
    :class:`DataError` when there is nothing to judge, or when a test image stood in training, validation or calibration
    (unless ``allow_leaks``).
    """
    started = time.perf_counter()
    test, held_out = test_samples(samples, inspector, allow_leaks)
    judged, pixels, unreadable = _judge(inspector, test, on_progress)
    if not judged:
        raise DataError(f"{data}: none of the {len(test)} test images can be read; `cobnut data` tells why")
    figures, intervals = _image_figures(judged)
    return Evaluation(
        manifest=inspector.manifest,
        data=data,
        figures=figures | pixels.figures(),
        intervals=intervals | pixels.intervals(),
        per_type=_per_type(judged, pixels),
        confusion=_confusion(judged),
        judged=judged,
        held_out=held_out,
        unreadable=unreadable,
        seconds=time.perf_counter() - started,
        ms_per_image=_milliseconds(inspector, judged),
    )


def test_samples(samples: Sequence[Sample], inspector: Inspector, allow_leaks: bool) -> tuple[list[Sample], int]:
    """The test images and the good ones not seen in the making, by content; how many of them were held out.

    Seen is also what was saved again as another file without loss.
    """
    manifest, hashes = inspector.manifest, content_hashes(samples)
    used = manifest.made_with(*MADE_WITH)
    others = [path for path, content in hashes.items() if content not in used] if manifest.seen else []
    pixels = pixel_hashes(others, manifest.recipe.image, inspector.region)
    test: dict[str, Sample] = {}  # by content, so that no copy is judged twice
    leaks = []
    for sample in sorted(samples, key=lambda sample: (sample.split != "test", hashes[sample.path], sample.path)):
        if not {hashes[sample.path], pixels.get(sample.path)} & used:
            test.setdefault(hashes[sample.path], sample)
        elif sample.split == "test":
            leaks.append(sample)
    if leaks and not allow_leaks:
        raise DataError(
            f"{leaks[0].path}: the detector has seen this test image{_elsewhere(leaks[0], pixels, used)} while it was "
            f"made ({len(leaks)} such); figures would flatter: remove them from the test, or say --allow-leaks"
        )
    test |= {hashes[sample.path]: sample for sample in leaks}
    if not test:
        raise DataError("there is no test image: give a test folder, --defective DIR, or train with split.test above 0")
    held_out = sum(content in manifest.fingerprint["test"] and test[content].split != "test" for content in test)
    return [test[content] for content in sorted(test)], held_out


def _elsewhere(sample: Sample, pixels: dict[Path, str], used: set[str]) -> str:
    return ", saved as another file," if pixels.get(sample.path) in used else ""


def _judge(
    inspector: Inspector, samples: Sequence[Sample], on_progress: Callable[[int], None]
) -> tuple[list[Judged], PixelScores, list[str]]:
    judged: list[Judged] = []
    unreadable: list[str] = []
    pixels = PixelScores()
    for sample, answer in zip(samples, inspector.inspect_files([s.path for s in samples]), strict=True):
        on_progress(1)
        if isinstance(answer, ImageError):
            unreadable.append(str(answer))
        else:
            mask = _truth(sample, unreadable)
            marked, drawn = (0, 0) if mask is None else (int(mask.sum()), mask.size)
            if mask is not None and inspector.region is not None:
                if mask.any() and not (mask & inspector.region).any():
                    unreadable.append(f"{sample.path}: its defect lies where nothing is inspected")
                    continue
                mask &= inspector.region
            judged.append(Judged(sample, answer.score, answer.is_defective, marked, drawn))
            if mask is not None:
                pixels.add(answer.anomaly_map, mask, sample.defect_type, inspector.region)
    return judged, pixels, unreadable


def _truth(sample: Sample, unreadable: list[str]) -> NDArray[np.bool_] | None:
    """The mask of a sample, empty and of the image's size for a good one, ``None`` where the truth is not known."""
    height, width = image_shape(sample.path)
    if not sample.is_defective:
        return np.zeros((height, width), bool)
    if sample.mask_path is None:
        return None
    if fault := mask_fault(sample.mask_path, (width, height)):
        unreadable.append(fault)
        return None
    return read_mask(sample.mask_path)


def _milliseconds(inspector: Inspector, judged: Sequence[Judged]) -> float:
    """Median wall time from file to verdict, one image after the other."""
    times = []
    for each in judged[:TIMED]:
        started = time.perf_counter()
        inspector.inspect(each.sample.path)
        times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times))


def _per_type(judged: Sequence[Judged], pixels: PixelScores) -> dict[str, TypeFigures]:
    result = {}
    for name in sorted({each.sample.defect_type for each in judged if each.sample.is_defective}):
        kept = [each for each in judged if each.sample.defect_type in (name, "good")]
        drawn = pixels.of_types((name, "good"))
        figures, intervals = _image_figures(kept)
        result[name] = TypeFigures(
            count=sum(each.sample.is_defective for each in kept),
            drawn=drawn.types.count(name),
            figures=figures | drawn.figures(),
            intervals=intervals | drawn.intervals(),
        )
    return result


def _image_figures(judged: Sequence[Judged]) -> tuple[Figures, dict[str, Interval]]:
    truth = np.array([each.sample.is_defective for each in judged])
    called = np.array([each.is_rejected for each in judged])
    scores = np.array([each.score for each in judged])

    def figures(drawn: NDArray[np.intp]) -> Figures:
        confusion = Confusion.of(truth[drawn], called[drawn])
        good, defective = np.sort(scores[drawn][~truth[drawn]]), scores[drawn][truth[drawn]]
        both = len(good) > 0 and len(defective) > 0
        return {
            "image_auroc": auroc(good, defective) if both else None,
            "image_ap": average_precision(good, defective) if both else None,
            "f1_max": f1_max(good, defective)[0] if both else None,
            **{name: getattr(confusion, name) for name in IMAGE_FIGURES[3:]},
        }

    return figures(np.arange(len(judged))), bootstrap(figures, truth) | _rate_intervals(Confusion.of(truth, called))


def _rate_intervals(confusion: Confusion) -> dict[str, Interval]:
    """Exact intervals of the rates whose images are counted one by one."""
    counts = {
        "false_alarm_rate": (confusion.false_positive, confusion.good),
        "miss_rate": (confusion.false_negative, confusion.defective),
        "recall": (confusion.true_positive, confusion.defective),
        "precision": (confusion.true_positive, confusion.true_positive + confusion.false_positive),
        "accuracy": (confusion.true_positive + confusion.true_negative, confusion.good + confusion.defective),
    }
    return {name: exact_interval(part, whole) for name, (part, whole) in counts.items() if whole}


def _confusion(judged: Sequence[Judged]) -> Confusion:
    return Confusion.of(
        np.array([each.sample.is_defective for each in judged]), np.array([each.is_rejected for each in judged])
    )  # fmt: skip
