"""A bundle: the folder that is deployed. Weights, model and manifest, proved by their hashes; never a pickle.

``manifest.json`` holds everything a verdict depends on, ``model.onnx`` runs anywhere, ``model.safetensors`` holds what
was learned for who would go on from there and may be left behind, ``region.png`` says what is inspected where that is
not everything, ``history/`` keeps the manifests of other calibrations, and ``signatures/`` says who vouches for which
of them. The manifest lists the SHA-256 of each file and closes with its own, so no accident changes it unseen.
"""

import hashlib
import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cobnut.data.images import read_mask
from cobnut.data.region import Region
from cobnut.errors import BundleError, CobnutError
from cobnut.files import hash_file, write_whole
from cobnut.recipe import Recipe
from cobnut.records import Split
from cobnut.runtime.agreement import Agreement

FORMAT: Final = 3
MANIFEST, MODEL, WEIGHTS = "manifest.json", "model.onnx", "model.safetensors"
# The model in OpenVINO's own format, in place of model.onnx: what it computes, and with which numbers.
OPENVINO, OPENVINO_NUMBERS = "model.xml", "model.bin"
# What is inspected, bright on black, of the photographs' size; there is none where that is everything.
REGION = "region.png"
# Every calibration of a bundle is kept in this folder of it, as the manifest of that version.
HISTORY = "history"
# Signatures of these versions lie in this one, each in a file of its own; no manifest lists them.
SIGNATURES = "signatures"
_OURS = {MANIFEST, MODEL, OPENVINO, OPENVINO_NUMBERS, WEIGHTS, REGION, HISTORY, SIGNATURES}


class Epoch(BaseModel):
    """What one pass over the training images came to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    train_loss: float
    val_loss: float
    train_mse: float
    val_mse: float
    learning_rate: float
    seconds: float


class Manifest(BaseModel):
    """All that a bundle says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[3] = Field(description="version of this record")
    version: int = Field(
        default=1, ge=1, description="which calibration of the bundle this is; training makes the first"
    )
    created: str = Field(description="when it was trained, ISO 8601, UTC")
    calibrated: str = Field(
        default="", description="when this version was calibrated, ISO 8601, UTC; empty: as it was trained"
    )
    versions: dict[str, str] = Field(description="of the software that made it")
    recipe: Recipe = Field(description="everything that decided it, automatic options resolved")
    finest_defect: float | None = Field(
        default=None, description="width of a defect that covers one feature, in pixels of the photographs, where known"
    )
    asked: dict[str, Any] = Field(description="the automatic options as they were asked for")
    folds: int = Field(
        default=0,
        description="detectors that the model holds, each made without its fold: the score counts the left-out images "
        "that look less odd; 0: one detector",
    )
    threshold: float = Field(description="a score above it is defective")
    level: float = Field(
        description="what good maps exceed anywhere no more often than was promised for scores; of folds not proved"
    )
    form: Literal["float32", "float16", "int8", "openvino"] = Field(
        default="float32", description="of the model; others come from `cobnut export`"
    )
    agreement: Agreement | None = Field(
        default=None, description="of the exported model with the trained one; none in bundles of earlier versions"
    )
    choice: dict[str, float] | None = Field(description="how the automatic options were chosen, where they were")
    calibration_scores: list[float] = Field(description="scores of the good calibration images")
    fingerprint: dict[Split, list[str]] = Field(description="SHA-256 of each image by its part in the making")
    seen: dict[Split, list[str]] = Field(
        default_factory=dict,
        description="SHA-256 of the pixels that the network saw of each image; empty in bundles of earlier versions",
    )
    history: list[Epoch] = Field(description="losses, epoch by epoch; of folds those of the first")
    best_epoch: int = Field(description="the epoch of that history whose weights these are")
    parameters: int = Field(description="numbers that were learned")
    seconds: float = Field(description="wall time of the making")
    files: dict[str, str] = Field(description="SHA-256 of every other file of the bundle")

    def made_with(self, *splits: Split) -> set[str]:
        """The hashes of files and of pixels that had these parts in the making."""
        return {each for hashes in (self.fingerprint, self.seen) for split in splits for each in hashes.get(split, [])}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a whole bundle held as it was read: these very bytes were checked, whatever becomes of its folder.

    ``record`` is the manifest as it was written, ``files`` those that a verdict depends on: the model, and the region.
    """

    manifest: Manifest
    record: bytes
    files: dict[str, bytes]

    @property
    def region(self) -> Region | None:
        """What is inspected of photographs, (h, w) of their size; ``None``: everything."""
        return read_mask(BytesIO(self.files[REGION])) if REGION in self.files else None


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Hash the files in ``folder`` and close it with its manifest, which now lists them."""
    files = {
        path.name: hash_file(path) for path in sorted(folder.iterdir()) if path.is_file() and path.name != MANIFEST
    }
    closed = manifest.model_copy(update={"files": files})
    write_record(close_record(closed), folder / MANIFEST)
    return closed


def close_record(manifest: Manifest) -> bytes:
    """A manifest as it is written, closed by its digest."""
    content = manifest.model_dump(mode="json")
    return json.dumps({**content, "digest": _digest(content)}, indent=1, ensure_ascii=False).encode()


def write_record(record: bytes, path: Path) -> None:
    """Write a closed manifest alone, whole or not at all."""
    with write_whole(path) as partial:
        partial.write_bytes(record)


def read_manifest(bundle: Path, version: int | None = None) -> Manifest:
    """Read and check a bundle as :func:`read_contents` does, for what it says of itself."""
    return read_contents(bundle, version).manifest


def read_contents(bundle: Path, version: int | None = None) -> Contents:
    """Read and check a bundle's manifest, or that of an earlier version, and the hash of each of its files.

    Raises :class:`BundleError` when anything is missing, damaged, altered, or written by a newer Cobnut.
    """
    path = bundle / MANIFEST if version is None else version_path(bundle, version)
    if version is None or not path.is_file():
        _check_bundle(bundle)
    if not path.is_file() and _holds(bundle, version):
        path = bundle / MANIFEST  # a bundle that was never calibrated anew keeps no other versions
    if not path.is_file():
        raise BundleError(f"{bundle}: has no version {version}; `cobnut rollback {bundle} --list` shows them")
    record = path.read_bytes()
    manifest = _parse(bundle, path, record)
    if version is not None and manifest.version != version:
        raise BundleError(f"{path}: holds version {manifest.version}; fetch the bundle again from where it was made")
    files = {name: _read_file(bundle, name, expected) for name, expected in manifest.files.items()}
    if not {MODEL, OPENVINO} & manifest.files.keys():
        raise BundleError(f"{bundle}: lists no {MODEL}; fetch the bundle again from where it was made")
    return Contents(manifest, record, {name: content for name, content in files.items() if content is not None})


def read_bundle_region(bundle: Path, manifest: Manifest) -> Region | None:
    """What a checked bundle inspects of photographs, (h, w) of their size; ``None``: everything."""
    return read_mask(bundle / REGION) if REGION in manifest.files else None


def model_of(manifest: Manifest) -> str:
    """The name of the file that holds a bundle's model."""
    return MODEL if MODEL in manifest.files else OPENVINO


def version_path(bundle: Path, version: int) -> Path:
    """Where a version of a bundle is kept."""
    return bundle / HISTORY / f"{version:04}.json"


def _parse(bundle: Path, path: Path, record: bytes) -> Manifest:
    content = _read_record(path, record)
    digest = content.pop("digest", None)
    if content.get("format") != FORMAT:
        raise BundleError(
            f"{bundle}: has format {content.get('format')!r}, this Cobnut reads {FORMAT}; update Cobnut or train again"
        )
    if digest != _digest(content):
        raise BundleError(f"{path}: was altered after training; fetch the bundle again from where it was made")
    try:
        return Manifest.model_validate(content)
    except (ValidationError, CobnutError) as error:
        raise BundleError(f"{path}: does not hold what it should ({_first_line(error)}); train again") from None


def is_bundle(path: Path) -> bool:
    """Whether a bundle, whole or damaged, stands at ``path``."""
    return (path / MANIFEST).is_file()


def is_only_a_bundle(path: Path) -> bool:
    """Whether ``path`` holds a bundle of ours and nothing else, so that a new one may take its place."""
    if not is_bundle(path) or {each.name for each in path.iterdir()} - _OURS:
        return False
    try:
        return {"format", "digest", "recipe"} <= _read_record(path / MANIFEST, (path / MANIFEST).read_bytes()).keys()
    except BundleError:
        return False


def _holds(bundle: Path, version: int | None) -> bool:
    """Whether the present manifest is the one of ``version``."""
    return (
        version is not None
        and _read_record(bundle / MANIFEST, (bundle / MANIFEST).read_bytes()).get("version") == version
    )


def _check_bundle(bundle: Path) -> None:
    if not bundle.exists():
        raise BundleError(f"{bundle}: no such bundle; `cobnut train` makes one")
    if not is_bundle(bundle):
        raise BundleError(
            f"{bundle}: is not a bundle, there is no {MANIFEST} in it; name the folder that `cobnut train` wrote"
        )


def _read_record(path: Path, record: bytes) -> dict[str, Any]:
    try:
        content = json.loads(record.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BundleError(f"{path}: is damaged ({error}); fetch the bundle again") from None
    if not isinstance(content, dict):
        raise BundleError(f"{path}: is damaged (not a record); fetch the bundle again")
    return content


def _read_file(bundle: Path, name: str, expected: str) -> bytes | None:
    """Check a file of the bundle; its bytes where a verdict depends on them, ``None`` of the weights, if they came."""
    path = bundle / name
    if name == WEIGHTS and not path.exists():
        return None
    if Path(name).name != name or not path.is_file():
        raise BundleError(f"{path}: is missing from the bundle; fetch it again from where it was made")
    content = None if name == WEIGHTS else path.read_bytes()
    if expected != (hash_file(path) if content is None else hashlib.sha256(content).hexdigest()):
        raise BundleError(f"{path}: is damaged or was altered (its SHA-256 differs); fetch the bundle again")
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
