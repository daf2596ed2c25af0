"""The calibrations of a bundle: a new one is a new version, the old ones are kept, and there is a way back."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cobnut.calibration.costs import LeastCost
from cobnut.calibration.decision import decide, settle
from cobnut.data.region import Region, shrink_region
from cobnut.data.seen import pixel_hashes
from cobnut.errors import BundleError, DataError, ImageError
from cobnut.files import hash_file, make_folder
from cobnut.recipe import check_options
from cobnut.records import Verdict
from cobnut.runtime.bundle import (
    HISTORY,
    MANIFEST,
    Manifest,
    close_record,
    read_contents,
    read_manifest,
    version_path,
    write_record,
)
from cobnut.runtime.inspect import Inspector


@dataclass(frozen=True, slots=True)
class _Photograph:
    """An image that calibrates: its file, and the hashes of its bytes and of its pixels."""

    path: Path
    content: str
    pixels: str


def calibrate(
    bundle: Path,
    images: Sequence[Path],
    changes: Mapping[str, Any] | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
    by_cost: LeastCost | None = None,
    require_signature: Sequence[Path] | None = None,
) -> Manifest:
    """Calibrate ``bundle`` anew on good ``images`` that it was not made with, and make that its present version.

    ``changes`` are laid over the bundle's own options of calibration, whose automatic alpha is settled anew. With
    ``by_cost`` half of the images choose alpha, and only the others calibrate; those that chose, labelled defects too,
    count as validation images of this version. ``require_signature`` is :class:`Inspector`'s; nobody has signed what is
    made. The model stays as it is; one of folds has seen none of these images and is calibrated like any other. Raises
    :class:`CobnutError`, with nothing changed, when an option is wrong, an image trained or chose anything or cannot be
    read, or when they are too few for the promise.
    """
    inspector = Inspector(bundle, engine="own", require_signature=require_signature)
    manifest = inspector.manifest
    # what was asked for, not what costs have chosen by some of these very images
    asked = {"alpha": manifest.asked["alpha"]} if "alpha" in manifest.asked else {}
    wanted = check_options(manifest.recipe.calibration, {"folds": 0, **asked, **(changes or {})})
    first = first_version(bundle, manifest)
    choosing, calibrating = _unseen(first, images, inspector.region, is_parted=by_cost is not None)
    if by_cost is not None:
        usual = [answer.score for answer in _judge(inspector, (image.path for image in choosing), on_progress)]
        alpha = by_cost.choose(np.array(usual, np.float32), len(calibrating), wanted.confidence)
        wanted = check_options(wanted, {"method": "conformal", "alpha": alpha})
    scores, maps = [], []
    for answer in _judge(inspector, (image.path for image in calibrating), on_progress):
        scores.append(answer.score)
        # a promise needs no more of a map than its highest value
        maps.append(_inspected(answer) if wanted.method == "percentile" else answer.anomaly_map.max(keepdims=True))
    settled = settle(wanted, len(scores))
    decision = decide(settled, np.stack(maps), np.array(scores, np.float32))
    labelled = by_cost.defective if by_cost is not None else ()
    made = manifest.model_copy(
        update={
            "version": max([manifest.version, *versions(bundle)]) + 1,
            "calibrated": datetime.now(UTC).isoformat(timespec="seconds"),
            "asked": manifest.asked if by_cost is not None else {**manifest.asked, "alpha": wanted.alpha},
            "recipe": manifest.recipe.model_copy(update={"calibration": settled}),
            "threshold": decision.threshold,
            "level": decision.level,
            "calibration_scores": scores,
            "agreement": None,  # that was told of other images, by another threshold
            **_images_of(first, choosing, calibrating, labelled),
        }
    )
    _keep(bundle, manifest.version, inspector.record)
    record = close_record(made)
    _keep(bundle, made.version, record)
    write_record(record, bundle / MANIFEST)
    return made


def _images_of(
    first: Manifest, choosing: Sequence[_Photograph], calibrating: Sequence[_Photograph], labelled: Iterable[str]
) -> dict[str, Any]:
    """What the manifest says of the images: those of the training, and those that chose and calibrate now."""
    chose = [*(image.content for image in choosing), *labelled]
    return {
        "fingerprint": {
            **first.fingerprint,
            "validation": [*first.fingerprint["validation"], *chose],
            "calibration": sorted(image.content for image in calibrating),
        },
        "seen": {
            **first.seen,
            "validation": [*first.seen.get("validation", ()), *(image.pixels for image in choosing)],
            "calibration": sorted(image.pixels for image in calibrating),
        },
    }


def defective_scores(
    bundle: Path,
    defective: Sequence[Path],
    good: Sequence[Path],
    on_progress: Callable[[int], None] = lambda _: None,
    require_signature: Sequence[Path] | None = None,
) -> dict[str, float]:
    """Scores of labelled defective images by their contents, from the model of ``bundle``.

    Raises :class:`DataError` when one was used as a good image in the making, stands among ``good`` or cannot be read.
    """
    inspector = Inspector(bundle, engine="own", require_signature=require_signature)
    found = {hash_file(path): path for path in reversed(defective)}
    first = first_version(bundle, inspector.manifest).made_with("train", "validation")
    for hashes, why in (
        (first | inspector.manifest.made_with("calibration"), "the bundle was made with this image as a good one"),
        ({hash_file(path) for path in good}, "stands among the good images as well"),
    ):
        if known := sorted(path for content, path in found.items() if content in hashes):
            raise DataError(f"{known[0]}: {why} ({len(known)} such); look at it, and leave it out where it is wrong")
    answers = _judge(inspector, found.values(), on_progress)
    return {content: answer.score for content, answer in zip(found, answers, strict=True)}


def roll_back(bundle: Path, version: int | None = None) -> Manifest:
    """Make ``version``, or the one before the present one, the present version again; none is lost.

    Raises :class:`BundleError` when there is no such version.
    """
    try:
        present = read_contents(bundle)
    except BundleError:
        if version is None or not version_path(bundle, version).is_file():
            raise
        # its present record is damaged: any version that is whole may take its place
        chosen = read_contents(bundle, version)
        write_record(chosen.record, bundle / MANIFEST)
        return chosen.manifest
    now = present.manifest.version
    if version is None:
        earlier = [each for each in versions(bundle) if each < now]
        if not earlier:
            raise BundleError(f"{bundle}: version {now} is its first; there is nothing to go back to")
        version = max(earlier)
    chosen = present if version == now else read_contents(bundle, version)
    _keep(bundle, now, present.record)
    write_record(chosen.record, bundle / MANIFEST)
    return chosen.manifest


def versions(bundle: Path) -> list[int]:
    """The versions that are kept, in their order; a bundle that was never calibrated anew keeps none."""
    names = (path.stem for path in (bundle / HISTORY).glob("*.json"))
    return sorted(int(name) for name in names if re.fullmatch(r"[0-9]{4,}", name))


def _keep(bundle: Path, version: int, record: bytes) -> None:
    """Keep a version to the byte: a signature of it holds for these bytes, not for what a newer Cobnut writes."""
    path = version_path(bundle, version)
    if not path.is_file() or path.read_bytes() != record:
        make_folder(path.parent)
        write_record(record, path)


def _judge(
    inspector: Inspector, images: Iterable[Path], on_progress: Callable[[int], None] = lambda _: None
) -> Iterator[Verdict]:
    for answer in inspector.inspect_files(images):
        on_progress(1)
        if isinstance(answer, ImageError):
            raise DataError(f"{answer}; calibrate without it")
        yield answer


def _inspected(verdict: Verdict) -> NDArray[np.float32]:
    """The values of a map where it was inspected."""
    values = verdict.anomaly_map
    if verdict.inspected is None:
        return values
    return np.asarray(values[shrink_region(verdict.inspected, (values.shape[0], values.shape[1]))])


def first_version(bundle: Path, manifest: Manifest) -> Manifest:
    """The version that training made; later ones may have chosen an alpha by further images."""
    kept = versions(bundle)
    return read_manifest(bundle, kept[0]) if kept else manifest


def _unseen(
    manifest: Manifest, images: Sequence[Path], region: Region | None, is_parted: bool
) -> tuple[list[_Photograph], list[_Photograph]]:
    """The different images, saved as one file or as several: those that choose alpha, and those that calibrate.

    If ``is_parted``, half of them choose; which, depends on their bytes alone.
    """
    files = {hash_file(path): path for path in reversed(images)}
    pixels = pixel_hashes(files.values(), manifest.recipe.image, region)
    found = [_Photograph(path, content, pixels.get(path, content)) for content, path in reversed(files.items())]
    seen = manifest.made_with("train", "validation")
    known = [image.path for image in found if {image.content, image.pixels} & seen]
    if known:
        raise DataError(
            f"{known[0]}: the detector has learned or chosen by this image ({len(known)} such); a promise needs images "
            "that nothing has seen: leave them out"
        )
    different = list({image.pixels: image for image in reversed(found)}.values())[::-1]
    if not is_parted:
        return [], different
    ordered = sorted(different, key=lambda image: image.content)
    return ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]
