"""A finished bundle in another form — smaller numbers, or OpenVINO's own format —, refused where it judges worse."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cobnut.calibration.decision import Decision, decide
from cobnut.data.images import in_chunks
from cobnut.data.region import shrink_region
from cobnut.data.store import kept_images
from cobnut.errors import CobnutError, DataError
from cobnut.evaluation.metrics import auroc
from cobnut.files import hash_file, write_whole_folder
from cobnut.records import Split
from cobnut.runtime.agreement import spread_of
from cobnut.runtime.bundle import MODEL, OPENVINO, REGION, Contents, Manifest, read_contents, write_manifest
from cobnut.runtime.session import EngineName, Session
from cobnut.runtime.signatures import check_required
from cobnut.runtime.versions import first_version
from cobnut.training.bundling import refuse_to_overwrite
from cobnut.training.choose import spoil
from cobnut.training.made import judge
from cobnut.training.numbers import write_float16, write_int8, write_openvino

Form = Literal["float16", "int8", "openvino"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)
# What a form may lose: of the AUROC on synthetic defects, of the share of them that is found, and of good validation
# images that pass.
_MOST_LOST = {"auroc": 0.005, "found": 0.02, "passed": 0.02}
# So many training images tell in which range the numbers inside a model lie.
_RANGING = 100


@dataclass(frozen=True, slots=True)
class Figures:
    """What a form of a model is worth: bytes on disk, milliseconds an image (one at a time, decoding apart), AUROC of
    synthetic defects against good validation images, and the shares of either that are found and passed."""

    bytes: int
    milliseconds: float
    auroc: float
    found: float
    passed: float


@dataclass(frozen=True, slots=True)
class Converted:
    """A bundle in its new form, beside the one that it came from.

    ``difference`` is the largest of a calibration image's score, as a share of these scores' spread.
    """

    manifest: Manifest
    before: Figures
    after: Figures
    difference: float


def convert(
    bundle: Path,
    images: Sequence[Path],
    form: Form,
    out: Path,
    on_stage: Callable[[str], None] = lambda _: None,
    version: int | None = None,
    require_signature: Sequence[Path | str] | Literal[False] | None = None,
) -> Converted:
    """Write ``bundle``, or a ``version`` of it, in another ``form`` to ``out``, whole or not at all.

    The new one has a threshold of its own, and nobody has signed it; ``require_signature`` is :class:`Inspector`'s.

    ``images`` hold those that the bundle was made with, known by their contents: training images tell the ranges of
    int8, validation images with synthetic defects what it is worth, calibration images set the threshold anew, so the
    promise stays. Raises :class:`CobnutError` when images are missing or the form judges worse.
    """
    contents, engine = read_contents(bundle, version), _engine(form)
    check_required(bundle, contents, require_signature)
    manifest = contents.manifest
    if out.resolve() == bundle.resolve():
        raise CobnutError(f"--out {out}: is the bundle itself, whose weights would be lost; choose another --out")
    refuse_to_overwrite(out)
    if manifest.folds or manifest.form != "float32":
        told = "holds folds, which count by their own numbers" if manifest.folds else f"is {manifest.form} already"
        raise CobnutError(f"{bundle}: {told}; train a bundle without folds, and export that one")
    on_stage("reading images")
    # what later calibrations have counted as validation images may be labelled defects
    first = first_version(bundle, manifest)
    paths = _find({"calibration": manifest, "validation": first}, images)
    of: dict[Split, Manifest] = {"train": first, "validation": first, "calibration": manifest}
    read = {split: _read(contents, each, split, paths) for split, each in of.items()}
    with write_whole_folder(out) as folder, _written(contents) as source:
        on_stage(f"writing {form}")
        target = folder / (OPENVINO if form == "openvino" else MODEL)
        _WRITERS[form](source / MODEL, target, read["train"][:_RANGING])
        on_stage("comparing on synthetic defects")
        maps, scores = judge(target, read["calibration"], engine)
        decision = decide(manifest.recipe.calibration, _inspected(contents, maps), scores)
        spoilt = spoil(manifest.recipe, read["validation"], region=_region(contents))
        before = _figures(Session(source / MODEL), source / MODEL, spoilt, manifest.threshold)
        after = _figures(Session(target, engine=engine), target, spoilt, decision.threshold)
        _check(form, before, after)
        if REGION in manifest.files:
            shutil.copy(source / REGION, folder / REGION)
        written = write_manifest(folder, _closed(manifest, form, decision, scores))
    usual = np.array(manifest.calibration_scores, np.float32)
    return Converted(written, before, after, float(np.abs(usual - scores).max()) / spread_of(usual))


def _closed(manifest: Manifest, form: Form, decision: Decision, scores: NDArray[np.float32]) -> Manifest:
    """The manifest of the new form: a bundle of its own, whose first version this is."""
    return manifest.model_copy(
        update={
            "version": 1,
            "form": form,
            "agreement": None,  # that was the former model's
            "calibrated": datetime.now(UTC).isoformat(timespec="seconds"),
            "threshold": decision.threshold,
            "level": decision.level,
            "calibration_scores": [float(score) for score in scores],
        }
    )


def _engine(form: Form) -> EngineName:
    return "openvino" if form == "openvino" else "onnxruntime"


def _find(needed: Mapping[Split, Manifest], images: Sequence[Path]) -> dict[str, Path]:
    """The images by their contents; raises :class:`DataError` when a part that is ``needed`` whole is not."""
    found = {hash_file(path): path for path in images}
    for split, manifest in needed.items():
        wanted = manifest.fingerprint.get(split, [])
        missing = sum(content not in found for content in wanted)
        if missing:
            raise DataError(
                f"{missing} of the {len(wanted)} good images for {split} that this bundle was made with are not among "
                f"the {len(images)} given; name the folder that it was "
                + ("calibrated with, too" if split == "calibration" and manifest.version > 1 else "trained on")
            )
    return found


@contextmanager
def _written(contents: Contents) -> Iterator[Path]:
    """A folder of the files as they were checked, for writers that read files."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.files.items():
            (Path(folder) / name).write_bytes(content)
        yield Path(folder)


def _read(checked: Contents, manifest: Manifest, split: Split, paths: dict[str, Path]) -> NDArray[np.uint8]:
    contents = [content for content in manifest.fingerprint[split] if content in paths]
    if not contents:
        raise DataError(f"no good image for {split} is among those given; name the folder that it was trained on")
    return kept_images(
        [paths[content] for content in contents],
        contents,
        manifest.recipe.image,
        region=_region(checked),
    )


def _region(checked: Contents) -> NDArray[np.bool_] | None:
    region = checked.region
    return None if region is None else shrink_region(region, checked.manifest.recipe.image.shape)


def _inspected(checked: Contents, maps: NDArray[np.float32]) -> NDArray[np.float32]:
    region = checked.region
    return maps if region is None else maps[:, None, shrink_region(region, (maps.shape[1], maps.shape[2]))]


def _figures(
    session: Session, model: Path, spoilt: tuple[NDArray[np.uint8], NDArray[np.uint8]], threshold: float
) -> Figures:
    good, defective = (np.concatenate([session.run(np.array(each))[1] for each in in_chunks(some)]) for some in spoilt)
    took = []
    for image in spoilt[0][:20]:
        started = time.perf_counter()
        session.run(image[None])
        took.append(1000 * (time.perf_counter() - started))
    return Figures(
        bytes=sum(each.stat().st_size for each in model.parent.glob("model.*") if each.suffix != ".safetensors"),
        milliseconds=float(np.median(took)),
        auroc=auroc(np.sort(good), defective),
        found=float(np.mean(defective > threshold)),
        passed=float(np.mean(good <= threshold)),
    )


def _check(form: Form, before: Figures, after: Figures) -> None:
    """Raise :class:`CobnutError` where a form judges worse than what it came from."""
    for name, words in _WORDS.items():
        was, comes = getattr(before, name), getattr(after, name)
        if not was - comes <= _MOST_LOST[name]:
            raise CobnutError(
                f"{form}: {words} falls from {was:.3f} to {comes:.3f} (allowed {_MOST_LOST[name]:g} less); nothing was "
                f"written: {'keep float32' if form == 'float16' else 'take float16'}"
            )


_WORDS = {
    "auroc": "the AUROC of synthetic defects against good images",
    "found": "the share of synthetic defects that is found",
    "passed": "the share of good validation images that pass",
}
_WRITERS: dict[Form, Callable[[Path, Path, NDArray[np.uint8]], None]] = {
    "float16": write_float16,
    "int8": write_int8,
    "openvino": write_openvino,
}
