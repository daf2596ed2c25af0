"""Parts three times as high as wide keep their shape from the photograph to the map."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cobnut.data.images import read_mask
from cobnut.data.layouts import read_dataset
from cobnut.evaluation.evaluate import Evaluation, evaluate
from cobnut.recipe import Recipe, read_recipe
from cobnut.records import Sample
from cobnut.report.html import render_report
from cobnut.runtime.bundle import read_manifest
from cobnut.runtime.inspect import Inspector
from cobnut.training.train import Listeners, train

SETTINGS = ["training.most_steps=20", "network.prototypes=64"]


def pile(paths: list[Path], target: Path) -> None:
    """Three images on top of each other."""
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate([np.asarray(Image.open(path)) for path in paths])).save(target)


@pytest.fixture(scope="module")
def thin(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Piles of three parts, of which one may be defective; the first, second or third in turn."""
    folder = tmp_path_factory.mktemp("thin")
    good = [sample.path for sample in samples if sample.split == "train"]
    for number, sample in enumerate(samples):
        three = [good[(number + step) % len(good)] for step in (0, 1, 2)]
        three[number % 3] = sample.path
        place = sample.split if sample.split == "train" else "test"
        pile(three, folder / place / sample.defect_type / f"{number:03}.png")
        if sample.mask_path is not None:
            blank = folder / "blank.png"
            Image.fromarray(np.zeros_like(read_mask(sample.mask_path), np.uint8)).save(blank)
            masks = [blank, blank, blank]
            masks[number % 3] = sample.mask_path
            pile(masks, folder / "ground_truth" / sample.defect_type / f"{number:03}_mask.png")
    return read_dataset(folder)


@pytest.fixture(scope="module")
def bundle(thin: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "thin.cobnut"
    told: list[tuple[Recipe, float | None]] = []
    listeners = Listeners(on_size=lambda recipe, finest: told.append((recipe, finest)))
    train(thin, read_recipe("feature", SETTINGS), out, listeners=listeners, loggers=())
    assert [(recipe.image.shape, finest) for recipe, finest in told] == [((256, 64), 8.0)]
    return out


@pytest.fixture(scope="module")
def evaluation(bundle: Path, thin: list[Sample]) -> Evaluation:
    return evaluate(Inspector(bundle), thin, "thin parts")


def test_the_bundle_remembers_the_shape(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert (manifest.recipe.image.size, manifest.recipe.image.aspect) == (128, 0.333)
    assert manifest.recipe.image.shape == (256, 64)
    assert manifest.finest_defect == 8  # 192 × 64 pixels are seen as 256 × 64, and a feature is 8 wide


def test_the_maps_lie_where_the_defects_are(bundle: Path, thin: list[Sample]) -> None:
    inspector = Inspector(bundle)
    drawn = [sample for sample in thin if sample.mask_path is not None]
    right = 0
    for sample in drawn:
        shown = inspector.inspect(sample.path).anomaly_map
        assert shown.shape == (32, 8)
        row = int(np.unravel_index(shown.argmax(), shown.shape)[0])
        rows = np.flatnonzero(read_mask(sample.mask_path).any(axis=1)) if sample.mask_path else []
        right += min(rows) // 64 == 3 * row // 32
    assert right >= 0.75 * len(drawn)


def test_masks_of_the_photographs_measure_the_maps(evaluation: Evaluation) -> None:
    figures = evaluation.figures
    assert figures["pixel_auroc"] is not None
    assert figures["pixel_auroc"] > 0.85
    assert figures["image_auroc"] is not None
    assert figures["image_auroc"] > 0.7


def test_the_report_tells_the_shape(evaluation: Evaluation, bundle: Path) -> None:
    page = render_report(evaluation, Inspector(bundle))
    assert "at 64 × 256 pixels, where a defect 8 pixels wide in the photographs covers one feature" in page
