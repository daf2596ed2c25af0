"""A bundle is whole, unaltered and holds no pickle, or it is refused in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cobnut.errors import BundleError
from cobnut.records import Sample
from cobnut.runtime.bundle import FORMAT, MANIFEST, MODEL, WEIGHTS, read_manifest
from cobnut.runtime.inspect import Inspector


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy.cobnut"))


def test_a_bundle_holds_manifest_model_and_weights_and_nothing_else(bundle: Path) -> None:
    assert sorted(path.name for path in bundle.iterdir()) == sorted([MANIFEST, MODEL, WEIGHTS])


def test_no_file_of_a_bundle_is_a_pickle(bundle: Path) -> None:
    for path in bundle.iterdir():
        content = path.read_bytes()
        assert not content.startswith((b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK"))
    assert json.loads((bundle / MANIFEST).read_text())["format"] == FORMAT


def test_the_manifest_tells_how_the_detector_was_made(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert manifest.recipe.calibration.q != "auto"
    assert manifest.recipe.score.least_area != "auto"
    assert manifest.asked == dict.fromkeys(("normalise", "smoothing", "least_area", "q", "alpha"), "auto")
    assert len(manifest.history) == 3
    assert (
        len(manifest.fingerprint["train"])
        + sum(len(manifest.fingerprint[split]) for split in ("validation", "calibration", "test"))
        == 24
    )
    assert len(manifest.calibration_scores) == len(manifest.fingerprint["calibration"])


def edit_manifest(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def edit(bundle: Path) -> None:
        content = json.loads((bundle / MANIFEST).read_text())
        change(content)
        (bundle / MANIFEST).write_text(json.dumps(content))

    return edit


def cut_in_half(name: str) -> Callable[[Path], None]:
    def cut(bundle: Path) -> None:
        content = (bundle / name).read_bytes()
        (bundle / name).write_bytes(content[: len(content) // 2])

    return cut


def flip_a_bit(name: str) -> Callable[[Path], None]:
    def flip(bundle: Path) -> None:
        content = bytearray((bundle / name).read_bytes())
        content[len(content) // 2] ^= 1
        (bundle / name).write_bytes(content)

    return flip


HARM: dict[str, tuple[Callable[[Path], object], str]] = {
    "model altered": (flip_a_bit(MODEL), "model.onnx: is damaged or was altered"),
    "model cut off": (cut_in_half(MODEL), "model.onnx: is damaged or was altered"),
    "model gone": (lambda bundle: (bundle / MODEL).unlink(), "model.onnx: is missing"),
    "weights altered": (flip_a_bit(WEIGHTS), "model.safetensors: is damaged or was altered"),
    "threshold altered": (edit_manifest(lambda c: c.update(threshold=9.0)), "was altered after training"),
    "recipe altered": (edit_manifest(lambda c: c["recipe"]["score"].update(smoothing=3)), "was altered"),
    "digest gone": (edit_manifest(lambda c: c.pop("digest")), "was altered after training"),
    "other format": (edit_manifest(lambda c: c.update(format=1)), "has format 1, this Cobnut reads 3"),
    "no format": (edit_manifest(lambda c: c.pop("format")), "has format None"),
    "manifest cut off": (cut_in_half(MANIFEST), "is damaged"),
    "manifest no record": (lambda bundle: (bundle / MANIFEST).write_text("[]"), "is damaged"),
    "manifest no text": (lambda bundle: (bundle / MANIFEST).write_bytes(b"\xff\xfe\x00"), "is damaged"),
    "manifest gone": (lambda bundle: (bundle / MANIFEST).unlink(), "is not a bundle"),
    "all gone": (shutil.rmtree, "no such bundle"),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_or_altered_bundle_is_refused_in_one_line(copy: Path, harm: str) -> None:
    do_harm, told = HARM[harm]
    do_harm(copy)
    with pytest.raises(BundleError) as error:
        Inspector(copy)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_what_was_learned_may_be_left_behind(copy: Path, samples: list[Sample]) -> None:
    image = samples[0].path
    whole = Inspector(copy).inspect(image)
    (copy / WEIGHTS).unlink()
    assert Inspector(copy).inspect(image).score == whole.score


def test_a_name_that_leaves_the_bundle_is_refused(copy: Path) -> None:
    from cobnut.runtime.bundle import write_manifest

    (copy.parent / "outside").write_bytes(b"secret")
    manifest = read_manifest(copy)
    write_manifest(copy, manifest)
    content = json.loads((copy / MANIFEST).read_text())
    content.pop("digest")
    content["files"]["../outside"] = "0" * 64
    from cobnut.runtime.bundle import _digest

    (copy / MANIFEST).write_text(json.dumps({**content, "digest": _digest(content)}))
    with pytest.raises(BundleError, match="outside: is missing from the bundle"):
        read_manifest(copy)


def test_the_only_version_of_a_bundle_may_be_named(bundle: Path) -> None:
    assert read_manifest(bundle, 1) == read_manifest(bundle)
    with pytest.raises(BundleError, match="has no version 2"):
        read_manifest(bundle, 2)
