"""A bundle in another form is a bundle of its own with the same promise, or is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cobnut.errors import CobnutError, DataError
from cobnut.recipe import Recipe, read_recipe
from cobnut.records import Sample
from cobnut.runtime.bundle import (
    MANIFEST,
    MODEL,
    OPENVINO,
    OPENVINO_NUMBERS,
    REGION,
    Contents,
    read_manifest,
    write_manifest,
)
from cobnut.runtime.inspect import Inspector
from cobnut.training import conversion
from cobnut.training.conversion import FORMS, Form, convert
from cobnut.training.numbers import write_float16
from cobnut.training.train import train
from program import TINY


@pytest.fixture(scope="module")
def images(parts: Path) -> list[Path]:
    return sorted(parts.rglob("train/good/*.png"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory, samples: list[Sample]) -> Path:
    """A bundle with weights that are worth halving."""
    out = tmp_path_factory.mktemp("wide") / "wide.cobnut"
    train(samples, read_recipe("cae", [*TINY, "network.widths=[16, 32, 32]", "network.hidden=64"]), out)
    return out


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small a network may lose by 8 bits, on some processors, what is refused of a real one."""
    for name in conversion._MOST_LOST:
        monkeypatch.setitem(conversion._MOST_LOST, name, 0.1)


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("form", FORMS)
def test_each_form_judges_nearly_as_before_by_a_threshold_of_its_own(
    wide: Path, images: list[Path], parts: Path, tmp_path: Path, form: Form
) -> None:
    out = tmp_path / "new.cobnut"
    converted = convert(wide, images, form, out)
    inspector, former = Inspector(out), Inspector(wide)
    assert inspector.manifest == converted.manifest
    assert inspector.manifest.form == form
    assert inspector.manifest.agreement is None  # nobody has held this model against the trained one
    assert inspector.manifest.fingerprint == former.manifest.fingerprint
    assert inspector.manifest.recipe == former.manifest.recipe
    scores = inspector.manifest.calibration_scores
    assert 0 < abs(inspector.manifest.threshold / former.manifest.threshold - 1) < 0.2
    assert scores == pytest.approx(former.manifest.calibration_scores, rel=0.2)
    assert sorted(scores) != sorted(former.manifest.calibration_scores)
    for path in sorted((parts / "test").rglob("*.png"))[:6]:
        assert inspector.inspect(path).score == pytest.approx(former.inspect(path).score, rel=0.2)
    model = {OPENVINO, OPENVINO_NUMBERS} if form == "openvino" else {MODEL}
    assert {path.name for path in out.iterdir()} == {MANIFEST, *model}


@pytest.mark.usefixtures("lenient")
def test_a_promise_is_kept_by_a_calibration_image_of_the_new_form(
    samples: list[Sample], images: list[Path], tmp_path: Path
) -> None:
    train(samples, read_recipe("cae", [*TINY, "calibration.method=conformal"]), tmp_path / "a.cobnut")
    manifest = convert(tmp_path / "a.cobnut", images, "int8", tmp_path / "b.cobnut").manifest
    assert manifest.threshold == max(manifest.calibration_scores)
    assert manifest.recipe.calibration == read_manifest(tmp_path / "a.cobnut").recipe.calibration


def test_halved_weights_need_half_the_bytes_and_hardly_change_a_score(
    wide: Path, images: list[Path], tmp_path: Path
) -> None:
    converted = convert(wide, images, "float16", tmp_path / "new.cobnut")
    assert converted.after.bytes < 0.75 * converted.before.bytes
    assert converted.difference < 0.05


def test_weights_that_16_bits_would_change_keep_their_32(wide: Path, tmp_path: Path) -> None:
    content = onnx.load(wide / MODEL)
    tensor = max(content.graph.initializer, key=lambda each: np.prod(each.dims))
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1e-8), tensor.name))
    onnx.save(content, tmp_path / "tiny.onnx")
    write_float16(tmp_path / "tiny.onnx", tmp_path / "half.onnx", np.zeros((0, 1, 1, 3), np.uint8))
    kinds = {each.name: each.data_type for each in onnx.load(tmp_path / "half.onnx").graph.initializer}
    assert kinds[tensor.name] == onnx.TensorProto.FLOAT
    assert onnx.TensorProto.FLOAT16 in kinds.values()


def test_a_form_that_tells_defects_worse_is_refused_and_nothing_is_written(
    bundle: Path, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(source: Path, target: Path, _: np.ndarray) -> None:
        content = onnx.load(source)
        for tensor in content.graph.initializer:
            if len(tensor.dims) == 4:
                tensor.CopyFrom(numpy_helper.from_array(np.zeros(tensor.dims, np.float32), tensor.name))
        onnx.save(content, target)

    monkeypatch.setitem(conversion._WRITERS, "int8", spoil)
    with pytest.raises(CobnutError, match=r"^int8: the (AUROC|share) of .* falls from .* take float16$"):
        convert(bundle, images, "int8", tmp_path / "new.cobnut")
    assert not list(tmp_path.iterdir())


def test_what_is_swapped_after_the_check_is_not_converted(
    wide: Path, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(wide, tmp_path / "copy.cobnut"))
    expected = convert(wide, images, "float16", tmp_path / "expected.cobnut").manifest.calibration_scores
    read = conversion.read_contents

    def swapping(bundle: Path, version: int | None = None) -> Contents:
        contents = read(bundle, version)
        (bundle / MODEL).write_bytes(b"another model")
        return contents

    monkeypatch.setattr(conversion, "read_contents", swapping)
    assert convert(copy, images, "float16", tmp_path / "new.cobnut").manifest.calibration_scores == expected


def test_a_bundle_is_never_written_over_itself(bundle: Path, images: list[Path]) -> None:
    before = {path.name for path in bundle.iterdir()}
    with pytest.raises(CobnutError, match="is the bundle itself"):
        convert(bundle, images, "float16", bundle.parent / "." / bundle.name)
    assert {path.name for path in bundle.iterdir()} == before


def test_images_that_calibrated_must_be_there(bundle: Path, images: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^\d+ of the \d+ good images for calibration .* not among the 3 given"):
        convert(bundle, images[:3], "float16", tmp_path / "new.cobnut")


def test_a_bundle_that_is_converted_or_holds_folds_is_refused(
    bundle: Path, images: list[Path], tmp_path: Path, copy_of: Callable[..., Path]
) -> None:
    with pytest.raises(CobnutError, match="is int8 already"):
        convert(copy_of(bundle, form="int8"), images, "float16", tmp_path / "new.cobnut")
    with pytest.raises(CobnutError, match="holds folds"):
        convert(copy_of(bundle, folds=3), images, "float16", tmp_path / "new.cobnut")


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[..., Path]:
    """A copy of a bundle whose manifest says something else."""

    def copy(bundle: Path, **told: object) -> Path:
        other = tmp_path / "-".join(told)
        other.mkdir()
        (other / MODEL).write_bytes((bundle / MODEL).read_bytes())
        write_manifest(other, read_manifest(bundle).model_copy(update=told))
        return other

    return copy


def test_a_region_goes_with_it(samples: list[Sample], tiny_recipe: Recipe, images: list[Path], tmp_path: Path) -> None:
    region = tiny_recipe.region.model_copy(update={"inspect": "8,8 56,8 56,56 8,56"})
    train(samples, tiny_recipe.model_copy(update={"region": region}), tmp_path / "a.cobnut")
    convert(tmp_path / "a.cobnut", images, "float16", tmp_path / "b.cobnut")
    assert (tmp_path / "b.cobnut" / REGION).read_bytes() == (tmp_path / "a.cobnut" / REGION).read_bytes()
    assert Inspector(tmp_path / "b.cobnut").inspect(images[0]).inspected is not None
