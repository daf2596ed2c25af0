"""Evaluations built by hand, over tiny images drawn for the test."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cobnut.errors import ImageError
from cobnut.evaluation.evaluate import Evaluation, Judged, TypeFigures
from cobnut.evaluation.metrics import Confusion
from cobnut.recipe import parse_recipe
from cobnut.records import Sample, Verdict
from cobnut.runtime.bundle import Epoch, Manifest

THRESHOLD = 0.02
FIGURES = ("image_auroc", "image_ap", "accuracy", "precision", "recall", "f1", "false_alarm_rate", "miss_rate")
PIXEL_FIGURES = ("pixel_auroc", "pixel_ap", "pro")


@dataclass
class Judge:
    """Gives every image the same map, one hot square; without a reconstruction where that is wished."""

    rebuilds: bool = True

    def inspect(self, image: Path, /) -> Verdict:
        if not image.is_file():
            raise ImageError(f"{image}: no such image")
        values = np.full((16, 16), THRESHOLD / 4, np.float32)
        values[4:8, 4:8] = 3 * THRESHOLD
        reconstruction = np.full((16, 16, 3), 120, np.uint8) if self.rebuilds else None
        return Verdict(0.5, THRESHOLD, True, values, 0.01, THRESHOLD, 100.0, 3.0, reconstruction)


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def blind_judge() -> Judge:
    return Judge(rebuilds=False)


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        format=3,
        created="2026-03-09T10:11:12+00:00",
        versions={"cobnut": "0.1.0", "onnxruntime": "1.30"},
        recipe=parse_recipe(
            {"name": "cae", "calibration": {"method": "percentile", "q": 99.9}, "score": {"least_area": 0.0005}},
            source="the test",
        ),
        asked={"q": "auto", "least_area": "auto"},
        threshold=THRESHOLD,
        level=THRESHOLD,
        choice={"q": 99.9, "least_area": 0.0005, "false_alarm_rate": 0.0, "synthetic_found": 0.75, "margin": 0.1},
        calibration_scores=[0.01, 0.012],
        fingerprint={"train": ["a", "b"], "validation": ["c"], "calibration": ["d", "e"], "test": []},
        history=[
            Epoch(
                epoch=n,
                train_loss=0.1 / n,
                val_loss=0.12 / n,
                train_mse=0.01,
                val_mse=0.01,
                learning_rate=0.001,
                seconds=1,
            )
            for n in range(1, 6)
        ],
        best_epoch=4,
        parameters=12345,
        seconds=300.0,
        files={},
    )


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., Judged]:
    """Draw an image (and a mask) and give it with a score."""

    def draw_one(
        name: str, score: float, defect_type: str = "good", has_mask: bool = False, size: tuple[int, int] = (40, 30)
    ) -> Judged:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (90, 120, 60)).save(path, "PNG")
        mask, marked = None, 0
        if has_mask:
            mask = tmp_path / "masks" / name
            mask.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.new("L", size)
            picture.paste(255, (5, 5, 15, 12))
            picture.save(mask, "PNG")
            marked = 70
        label = "good" if defect_type == "good" else "defective"
        sample = Sample(path, "test", label, defect_type, mask)
        return Judged(sample, score, score > THRESHOLD, marked, size[0] * size[1])

    return draw_one


@pytest.fixture
def evaluate_by_hand(manifest: Manifest) -> Callable[..., Evaluation]:
    def build(judged: Sequence[Judged], unreadable: Sequence[str] = ()) -> Evaluation:
        types = sorted({each.sample.defect_type for each in judged if each.sample.is_defective})
        figures = _figures(judged)
        return Evaluation(
            manifest=manifest,
            data="tiny parts",
            figures=figures,
            intervals=_intervals(figures),
            per_type={name: _type_figures(judged, name) for name in types},
            confusion=_confusion(judged),
            judged=list(judged),
            held_out=0,
            unreadable=list(unreadable),
            seconds=1.5,
            ms_per_image=4.2,
        )

    return build


def _confusion(judged: Sequence[Judged]) -> Confusion:
    truth = np.array([each.sample.is_defective for each in judged], bool)
    return Confusion.of(truth, np.array([each.is_rejected for each in judged], bool))


def _figures(judged: Sequence[Judged]) -> dict[str, float | None]:
    confusion = _confusion(judged)
    both = confusion.good > 0 and confusion.defective > 0
    drawn = any(each.sample.mask_path for each in judged)
    rates = {name: getattr(confusion, name) for name in FIGURES[2:]}
    ranks = dict.fromkeys(FIGURES[:2], 0.875 if both else None)
    return rates | ranks | dict.fromkeys(PIXEL_FIGURES, 0.625 if drawn else None)


def _intervals(figures: dict[str, float | None]) -> dict[str, tuple[float, float]]:
    return {
        name: (value, value) if value in (0, 1) else (0.9 * value, min(1.1 * value, 1.0))
        for name, value in figures.items()
        if value is not None
    }


def _type_figures(judged: Sequence[Judged], name: str) -> TypeFigures:
    kept = [each for each in judged if each.sample.defect_type in (name, "good")]
    own = [each.sample for each in kept if each.sample.is_defective]
    figures = _figures(kept)
    return TypeFigures(len(own), sum(each.mask_path is not None for each in own), figures, _intervals(figures))
