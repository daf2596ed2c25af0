"""The calibrations of a bundle: a new one is a new version, the old ones are kept, and there is a way back."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from cobnut.calibration.decision import decide, settle
from cobnut.errors import BundleError, DataError, ImageError
from cobnut.files import hash_file, make_folder
from cobnut.recipe import check_options
from cobnut.runtime.bundle import HISTORY, MANIFEST, Manifest, read_manifest, version_path, write_record
from cobnut.runtime.inspect import Inspector


def calibrate(
    bundle: Path,
    images: Sequence[Path],
    changes: Mapping[str, Any] | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Manifest:
    """Calibrate ``bundle`` anew on good ``images`` that it was not made with, and make that its present version.

    ``changes`` are laid over the bundle's own options of calibration, whose automatic alpha is settled anew. The model
    stays as it is. Raises :class:`CobnutError`, with nothing changed, when an option is wrong, an image trained or
    chose anything or cannot be read, or when they are too few for the promise.
    """
    inspector = Inspector(bundle)
    manifest = inspector.manifest
    asked = {"alpha": "auto"} if manifest.asked.get("alpha") == "auto" else {}
    wanted = check_options(manifest.recipe.calibration, {**asked, **(changes or {})})
    different = _unseen(manifest, images)
    scores, maps = [], []
    for answer in inspector.inspect_files(different.values()):
        on_progress(1)
        if isinstance(answer, ImageError):
            raise DataError(f"{answer}; calibrate without it")
        scores.append(answer.score)
        # a promise needs no more of a map than its highest value
        maps.append(answer.anomaly_map if wanted.method == "percentile" else answer.anomaly_map.max(keepdims=True))
    settled = settle(wanted, len(scores))
    decision = decide(settled, np.stack(maps), np.array(scores, np.float32))
    made = manifest.model_copy(
        update={
            "version": max([manifest.version, *versions(bundle)]) + 1,
            "calibrated": datetime.now(UTC).isoformat(timespec="seconds"),
            "asked": {**manifest.asked, "alpha": wanted.alpha},
            "recipe": manifest.recipe.model_copy(update={"calibration": settled}),
            "threshold": decision.threshold,
            "level": decision.level,
            "calibration_scores": scores,
            "fingerprint": {**manifest.fingerprint, "calibration": sorted(different)},
        }
    )
    _keep(bundle, manifest)
    _keep(bundle, made)
    write_record(made, bundle / MANIFEST)
    return made


def roll_back(bundle: Path, version: int | None = None) -> Manifest:
    """Make ``version``, or the one before the present one, the present version again; none is lost.

    Raises :class:`BundleError` when there is no such version.
    """
    try:
        present = read_manifest(bundle)
    except BundleError:
        if version is None or not version_path(bundle, version).is_file():
            raise
        # its present record is damaged: any version that is whole may take its place
        chosen = read_manifest(bundle, version)
        write_record(chosen, bundle / MANIFEST)
        return chosen
    if version is None:
        earlier = [each for each in versions(bundle) if each < present.version]
        if not earlier:
            raise BundleError(f"{bundle}: version {present.version} is its first; there is nothing to go back to")
        version = max(earlier)
    chosen = present if version == present.version else read_manifest(bundle, version)
    _keep(bundle, present)
    write_record(chosen, bundle / MANIFEST)
    return chosen


def versions(bundle: Path) -> list[int]:
    """The versions that are kept, in their order; a bundle that was never calibrated anew keeps none."""
    names = (path.stem for path in (bundle / HISTORY).glob("*.json"))
    return sorted(int(name) for name in names if re.fullmatch(r"[0-9]{4,}", name))


def _keep(bundle: Path, manifest: Manifest) -> None:
    path = version_path(bundle, manifest.version)
    if not path.is_file():
        make_folder(path.parent)
        write_record(manifest, path)


def _unseen(manifest: Manifest, images: Sequence[Path]) -> dict[str, Path]:
    """The images by content, each content once."""
    found: dict[str, Path] = {}
    for path in images:
        found.setdefault(hash_file(path), path)
    seen = {content for split in ("train", "validation") for content in manifest.fingerprint[split]}
    known = [path for content, path in found.items() if content in seen]
    if known:
        raise DataError(
            f"{known[0]}: the detector has learned or chosen by this image ({len(known)} such); a promise needs images "
            "that nothing has seen: leave them out"
        )
    return found
