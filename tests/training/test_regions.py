"""Where nothing is inspected, nothing is learned, judged, counted or shown."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from cobnut.data.corrupt import corrupt
from cobnut.data.images import read_image, read_mask
from cobnut.data.region import paint
from cobnut.data.split import content_hashes
from cobnut.errors import CobnutError, ImageError
from cobnut.evaluation.evaluate import evaluate
from cobnut.models import build_network
from cobnut.models.detector import to_unit
from cobnut.models.feature import FeatureNetwork
from cobnut.recipe import read_recipe
from cobnut.records import Sample
from cobnut.runtime.bundle import WEIGHTS, is_only_a_bundle, read_manifest
from cobnut.runtime.inspect import Inspector
from cobnut.runtime.versions import calibrate
from cobnut.training.train import train
from program import TINY, TINY_FEATURE, Run

pytestmark = pytest.mark.slow
# The right half of the rendered parts, which are 64 × 64 pixels.
RIGHT = "region.inspect=32,0 63,0 63,63 32,63"
RECIPES = {
    "feature": lambda: read_recipe("feature", [*TINY_FEATURE, RIGHT]),
    "cae": lambda: read_recipe("cae", [*TINY, RIGHT]),
    "patches": lambda: read_recipe("cae", [*TINY, RIGHT, "patches.size=16", "patches.stride=16"]),
}


@pytest.fixture(scope="module", params=list(RECIPES))
def half(request: pytest.FixtureRequest, samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that inspects the right half."""
    out = tmp_path_factory.mktemp("half") / "half.cobnut"
    train(samples, RECIPES[request.param](), out, loggers=())
    return out


def changed(sample: Sample, columns: slice) -> np.ndarray:
    image = np.array(Image.open(sample.path).convert("RGB"))
    image[:, columns] = np.random.default_rng(0).integers(0, 256, image[:, columns].shape)
    return image


def test_what_lies_outside_changes_nothing(half: Path, samples: list[Sample]) -> None:
    inspector, sample = Inspector(half), samples[0]
    verdict = inspector.inspect(sample.path)
    outside = inspector.inspect(changed(sample, np.s_[:28]))
    assert outside.score == verdict.score
    np.testing.assert_array_equal(outside.anomaly_map, verdict.anomaly_map)
    assert inspector.inspect(changed(sample, np.s_[40:])).score != verdict.score


def test_the_space_of_features_is_learned_inside(samples: list[Sample], tmp_path: Path) -> None:
    out = tmp_path / "half.cobnut"
    manifest = train(samples, RECIPES["feature"](), out, loggers=())
    network = build_network(manifest.recipe).eval()
    assert isinstance(network, FeatureNetwork)
    network.load_state_dict(load_file(out / WEIGHTS), strict=False)
    region, trained = Inspector(out).region, set(manifest.fingerprint["train"])
    images = [
        read_image(path, manifest.recipe.image) for path, each in content_hashes(samples).items() if each in trained
    ]
    painted = torch.from_numpy(np.stack([paint(image, region) for image in images]))
    with torch.inference_mode():
        features = network.frozen(to_unit(painted))[:, : network.frozen.detail]
    right = features[..., features.shape[-1] // 2 :]
    assert right.mean(dim=(0, 2, 3)).abs().max() < 0.01


def test_the_map_is_0_outside_and_the_score_lies_inside(half: Path, samples: list[Sample]) -> None:
    inspector = Inspector(half)
    verdict = inspector.inspect(samples[0].path)
    side = verdict.anomaly_map.shape[1]
    assert inspector.region is not None
    assert not verdict.anomaly_map[:, : side // 2].any()
    assert (verdict.anomaly_map[:, side // 2 :] > 0).all()
    area = inspector.manifest.recipe.score.least_area
    assert isinstance(area, float)
    inside = np.sort(verdict.anomaly_map[:, side // 2 :].ravel())[::-1]
    assert verdict.score == pytest.approx(inside[int(area * len(inside))])


def test_the_bundle_carries_its_region_and_knows_its_images_again(half: Path, samples: list[Sample]) -> None:
    assert is_only_a_bundle(half)
    manifest = read_manifest(half)
    assert read_mask(half / "region.png")[:, 32:].all()
    assert not read_mask(half / "region.png")[:, :32].any()
    content = manifest.fingerprint["train"][0]
    assert content in manifest.made_with("train")
    with pytest.raises(CobnutError, match="has learned or chosen by this image"):
        calibrate(half, [Path(shuffled_metadata(sample, half.parent)) for sample in samples if sample.split == "train"])


def shuffled_metadata(sample: Sample, folder: Path) -> Path:
    """The same photograph saved as another file."""
    path = folder / f"{sample.path.stem}-{sample.defect_type}.bmp"
    Image.open(sample.path).convert("RGB").save(path)
    return path


def test_a_photograph_of_another_size_is_refused(half: Path) -> None:
    with pytest.raises(ImageError, match="is 60 × 64 pixels, and what this bundle inspects was drawn on .* 64 × 64"):
        Inspector(half).inspect(np.zeros((64, 60, 3), np.uint8))


def test_only_defects_that_are_inspected_are_counted(
    half: Path, samples: list[Sample], write_image: Callable[..., Path]
) -> None:
    left = np.zeros((64, 64), np.uint8)
    left[20:30, 4:20] = 255
    right = left[:, ::-1].copy()
    masks = {"left": write_image("left.png", left), "right": write_image("right.png", right)}
    test = [sample for sample in samples if sample.split == "test"]
    defective = [sample for sample in test if sample.is_defective]
    drawn = [
        replace(sample, mask_path=masks["left" if number == 0 else "right"]) for number, sample in enumerate(defective)
    ]
    found = evaluate(Inspector(half), [*(s for s in test if not s.is_defective), *drawn], "")
    assert found.confusion.defective == len(defective) - 1
    assert [line for line in found.unreadable if "lies where nothing is inspected" in line] == [
        f"{defective[0].path}: its defect lies where nothing is inspected"
    ]
    assert {each.marked for each in found.judged if each.sample.is_defective} == {160}


def test_going_on_with_another_region_is_refused(samples: list[Sample], tmp_path: Path, half: Path) -> None:
    recipe = read_manifest(half).recipe
    mask = tmp_path / "mask.png"
    for columns in (np.s_[32:], np.s_[:32]):
        drawn = np.zeros((64, 64), np.uint8)
        drawn[:, columns] = 255
        Image.fromarray(drawn).save(mask)
        there = recipe.region.model_copy(update={"inspect": str(mask)})
        told = recipe.model_copy(update={"region": there})
        if columns == np.s_[32:]:
            train(samples, told, tmp_path / "a.cobnut", loggers=())
    with pytest.raises(CobnutError, match="begun with another recipe, region or images"):
        train(samples, told, tmp_path / "a.cobnut", resume=True, loggers=())


def test_synthetic_defects_touch_the_region() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    region = np.zeros((64, 64), bool)
    region[2:30, 50:54] = True
    spoilt, masks = corrupt(images, seed=0, region=region)
    assert (masks & region).any(axis=(1, 2)).all()
    assert not masks[:, 40:].any()
    assert (spoilt[:, 40:] == np.repeat(images, 4, axis=0)[:, 40:]).all()


def test_the_command_line_takes_mask_and_polygon(run: Callable[..., Run], parts: Path, tmp_path: Path) -> None:
    mask = tmp_path / "mask.png"
    Image.fromarray(np.full((64, 64), 255, np.uint8)).save(mask)
    settings = [word for each in TINY for word in ("--set", each)]
    told = ("--inspect-only", mask, "--ignore", "0,0 31,0 31,63 0,63")
    trained = run("train", parts, "--out", tmp_path / "a.cobnut", "--recipe", "cae", *settings, *told)
    assert "inspects   50 % of the image" in trained.out
    shown = run("inspect", tmp_path / "a.cobnut", parts / "test" / "crack", "--maps", tmp_path / "maps")
    assert shown.code in (0, 1)
    picture = np.asarray(Image.open(next((tmp_path / "maps").rglob("*.png"))))
    before = np.asarray(Image.open(parts / "test" / "crack" / "000.png").convert("RGB"))
    assert picture[:, :30].std() < 0.5 * before[:, :30].std()  # what is not inspected pales
    wrong = run("train", parts, "--out", tmp_path / "b.cobnut", "--ignore", "0,0 99,0 99,99")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)
    assert "point 99,0 lies outside the photographs, which are 64 × 64 pixels" in wrong.err


def test_what_lies_outside_changes_nothing_with_folds_either(samples: list[Sample], tmp_path: Path) -> None:
    recipe = read_recipe("cae", [*TINY, RIGHT, "calibration.method=conformal", "calibration.folds=2"])
    train(samples, recipe, tmp_path / "a.cobnut", loggers=())
    inspector = Inspector(tmp_path / "a.cobnut")
    verdict, outside = inspector.inspect(samples[0].path), inspector.inspect(changed(samples[0], np.s_[:28]))
    assert outside.score == verdict.score
    np.testing.assert_array_equal(outside.anomaly_map, verdict.anomaly_map)
    assert not verdict.anomaly_map[:, :16].any()
