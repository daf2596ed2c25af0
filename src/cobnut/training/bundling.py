"""From what a training made to a bundle on disk."""

import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from safetensors.torch import save_file

import cobnut
from cobnut.calibration.decision import decide
from cobnut.errors import CobnutError
from cobnut.files import write_whole, write_whole_folder
from cobnut.pictures import save_picture
from cobnut.recipe import Recipe
from cobnut.records import Split
from cobnut.runtime.bundle import FORMAT, MODEL, REGION, WEIGHTS, Manifest, is_only_a_bundle, write_manifest
from cobnut.training.made import Made


def refuse_to_overwrite(out: Path) -> None:
    """Refuse to write a bundle where anything but a bundle stands."""
    is_free = not out.exists() or (out.is_dir() and not any(out.iterdir()) and not out.is_mount())
    if not is_free and not is_only_a_bundle(out):
        raise CobnutError(f"{out}: exists and is not just a bundle; choose another --out, it will not be overwritten")


def write_bundle(out: Path, asked: Recipe, made: Made, fingerprint: dict[Split, list[str]], started: float) -> Manifest:
    """Write the bundle ``out``, whole or not at all: weights, model, region and manifest, calibrated."""
    recipe = made.recipe
    with write_whole_folder(out) as folder:
        with write_whole(folder / WEIGHTS) as partial:
            save_file(made.weights, partial)
        if made.region is not None:
            save_picture(np.uint8(255) * made.region, folder / REGION)
        exported = made.export(folder / MODEL)
        decision = decide(recipe.calibration, exported.maps, exported.scores)
        manifest = Manifest(
            format=FORMAT,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=_versions(),
            recipe=recipe,
            finest_defect=made.finest,
            asked=asked.automatic() | {"alpha": asked.calibration.alpha},
            folds=recipe.calibration.folds,
            threshold=decision.threshold,
            level=decision.level,
            agreement=exported.check(decision.threshold),
            choice=made.choice.as_dict() if made.choice else None,
            calibration_scores=[float(score) for score in exported.scores],
            fingerprint=fingerprint,
            seen=made.seen,
            history=made.history,
            best_epoch=made.best_epoch,
            parameters=made.parameters,
            seconds=time.perf_counter() - started,
            files={},
        )
        return write_manifest(folder, manifest)


def _versions() -> dict[str, str]:
    return {
        "cobnut": cobnut.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
