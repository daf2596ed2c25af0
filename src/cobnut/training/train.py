"""From a recipe and a data set to a bundle: split, read, fit, choose, export, calibrate, close."""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

import cobnut
from cobnut.calibration.threshold import Choice, percentile_threshold
from cobnut.data.split import FEWEST_HELD_BACK, content_hashes, split_samples
from cobnut.data.store import kept_images
from cobnut.errors import CobnutError, DataError
from cobnut.files import write_whole, write_whole_folder
from cobnut.losses import build_loss
from cobnut.models import build_network
from cobnut.models.detector import Detector
from cobnut.recipe import Recipe
from cobnut.records import Sample, Split
from cobnut.runtime.bundle import (
    FORMAT,
    MODEL,
    WEIGHTS,
    Epoch,
    Manifest,
    is_only_a_bundle,
    read_manifest,
    write_manifest,
)
from cobnut.runtime.export import export_onnx
from cobnut.runtime.session import Session
from cobnut.training.choose import choose
from cobnut.training.fit import Fitted, fit
from cobnut.training.run import Run


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who wants to hear how the work goes on; all silent unless given."""

    on_split: Callable[[dict[Split, int]], None] = field(default=lambda counts: None)
    on_image: Callable[[int], None] = field(default=lambda count: None)
    on_epoch: Callable[[Epoch, int], None] = field(default=lambda epoch, best_epoch: None)
    on_stage: Callable[[str], None] = field(default=lambda stage: None)


def train(
    samples: Sequence[Sample], recipe: Recipe, out: Path, resume: bool = False, listeners: Listeners | None = None
) -> Manifest:
    """Train ``recipe`` on the good images of ``samples`` and write the bundle ``out``, whole or not at all.

    With ``resume`` an interrupted training of the same recipe and images goes on to the very result that it would
    have had; a finished one is left as it is. Raises :class:`CobnutError` when ``out`` is something else, or there is
    nothing to go on with.
    """
    listeners, started, out = listeners or Listeners(), time.perf_counter(), out.absolute()
    _refuse_to_overwrite(out)
    with torch.device("meta"):  # a recipe that cannot be built is refused before any image is read
        build_network(recipe)
        build_loss(recipe.training.loss)
    hashes = content_hashes(samples)
    parts = _deal(samples, recipe, hashes)
    fingerprint: dict[Split, list[str]] = {split: [hashes[path] for path in paths] for split, paths in parts.items()}
    run = Run.open(out, recipe, fingerprint, resume)
    if run.is_finished:
        return read_manifest(out)
    listeners.on_split({split: len(paths) for split, paths in parts.items()})
    images = {
        split: kept_images(parts[split], fingerprint[split], recipe.image, listeners.on_image)
        for split in ("train", "validation", "calibration")
    }
    fitted = fit(recipe, images["train"], images["validation"], run.folder, listeners.on_epoch)
    listeners.on_stage("choosing the percentile and the least area on validation images")
    choice = choose(Detector(fitted.network, recipe.score, 0.0), recipe, images["validation"])
    listeners.on_stage("exporting and calibrating")
    resolved = resolve(recipe, choice)
    manifest = _write_bundle(out, resolved, recipe, choice, fitted, images["calibration"], fingerprint, started)
    run.finish()
    return manifest


def resolve(recipe: Recipe, choice: Choice | None) -> Recipe:
    """The recipe with its automatic options replaced by what was chosen."""
    if choice is None:
        return recipe
    score = recipe.score.model_copy(update={"least_area": choice.least_area})
    calibration = recipe.calibration.model_copy(update={"q": choice.q})
    return recipe.model_copy(update={"score": score, "calibration": calibration})


def _deal(samples: Sequence[Sample], recipe: Recipe, hashes: dict[Path, str]) -> dict[Split, list[Path]]:
    """The good images' paths by split, each in the order of their contents, so that no file name plays a part."""
    dealt = split_samples(samples, recipe.split, recipe.seed, hashes)
    held_out = {sample.path for sample in samples if sample.split == "train"}
    parts: dict[Split, list[Path]] = {split: [] for split in get_args(Split)}
    fewest: dict[Split, int] = {"train": 4, "validation": FEWEST_HELD_BACK, "calibration": FEWEST_HELD_BACK}
    for sample in sorted(dealt, key=lambda sample: hashes[sample.path]):
        if sample.split != "test" or sample.path in held_out:
            parts[sample.split].append(sample.path)
    for split, count in fewest.items():
        if len(parts[split]) < count:
            raise DataError(f"{len(parts[split])} good images for {split}: at least {count} are needed; add some")
    return parts


def _refuse_to_overwrite(out: Path) -> None:
    is_free = not out.exists() or (out.is_dir() and not any(out.iterdir()) and not out.is_mount())
    if not is_free and not is_only_a_bundle(out):
        raise CobnutError(f"{out}: exists and is not just a bundle; choose another --out, it will not be overwritten")


def _write_bundle(
    out: Path,
    recipe: Recipe,
    asked: Recipe,
    choice: Choice | None,
    fitted: Fitted,
    calibration: NDArray[np.uint8],
    fingerprint: dict[Split, list[str]],
    started: float,
) -> Manifest:
    assert isinstance(recipe.calibration.q, float)
    assert isinstance(recipe.score.least_area, float)
    detector = Detector(fitted.network, recipe.score, recipe.score.least_area)
    with write_whole_folder(out) as folder:
        with write_whole(folder / WEIGHTS) as partial:
            save_file(fitted.network.state_dict(), partial)
        export_onnx(detector, calibration[:16], folder / MODEL)
        maps, scores = _judge(folder / MODEL, calibration)
        manifest = Manifest(
            format=FORMAT,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=_versions(),
            recipe=recipe,
            asked={"q": asked.calibration.q, "least_area": asked.score.least_area},
            threshold=percentile_threshold(maps, recipe.calibration.q),
            choice=choice.as_dict() if choice else None,
            calibration_scores=[float(score) for score in scores],
            fingerprint=fingerprint,
            history=fitted.history,
            best_epoch=fitted.best_epoch,
            parameters=count_parameters(fitted.network),
            seconds=time.perf_counter() - started,
            files={},
        )
        write_manifest(folder, manifest)
    return manifest


def count_parameters(network: nn.Module) -> int:
    """Numbers that the network learns."""
    return sum(parameter.numel() for parameter in network.parameters())


def _judge(model: Path, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Maps and scores from the very model that is deployed."""
    session = Session(model)
    answers = [session.run(np.array(batch)) for batch in np.array_split(images, -(-len(images) // 16))]
    return np.concatenate([maps for maps, _, _ in answers]), np.concatenate([scores for _, scores, _ in answers])


def _versions() -> dict[str, str]:
    return {
        "cobnut": cobnut.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
