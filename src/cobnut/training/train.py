"""From a recipe and a data set to a bundle: split, read, fit, choose, export, calibrate, close."""

import platform
import time
from collections.abc import Callable, Iterator, Sequence
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
from cobnut.calibration.conformal import check_images
from cobnut.calibration.decision import decide, settle
from cobnut.calibration.threshold import Choice
from cobnut.data.images import in_chunks
from cobnut.data.region import Region, read_region, shrink_region
from cobnut.data.seen import hash_pixels
from cobnut.data.split import FEWEST_HELD_BACK, content_hashes, split_samples
from cobnut.data.store import kept_images
from cobnut.data.working import at_working_size
from cobnut.errors import CobnutError, DataError, RecipeError
from cobnut.files import write_whole, write_whole_folder
from cobnut.losses import build_loss
from cobnut.models import build_detector, build_network, check_error
from cobnut.models.detector import Detector
from cobnut.models.feature import FeatureNetwork
from cobnut.pictures import save_picture
from cobnut.recipe import Recipe
from cobnut.records import MADE_WITH, Sample, Split
from cobnut.runtime.bundle import (
    FORMAT,
    MODEL,
    REGION,
    WEIGHTS,
    Epoch,
    Manifest,
    is_only_a_bundle,
    read_manifest,
    write_manifest,
)
from cobnut.runtime.export import export_onnx
from cobnut.runtime.session import Session
from cobnut.training.callbacks import NetworkListener
from cobnut.training.choose import FEWEST_SYNTHETIC, choose
from cobnut.training.fit import Fitted, Heard, fit
from cobnut.training.loggers import check_loggers
from cobnut.training.run import Run


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who wants to hear how the work goes on; all silent unless given."""

    on_split: Callable[[dict[Split, int]], None] = field(default=lambda counts: None)
    on_size: Callable[[Recipe, float | None], None] = field(default=lambda recipe, finest: None)
    """The recipe at its working size, and how wide a defect covers one feature there (``at_working_size``)."""
    on_image: Callable[[int], None] = field(default=lambda count: None)
    on_features: Callable[[int, int], None] = field(default=lambda done, total: None)
    """So many of so many images have passed a frozen encoder."""
    on_epoch: Callable[[Epoch, int], None] = field(default=lambda epoch, best_epoch: None)
    on_stage: Callable[[str], None] = field(default=lambda stage: None)
    on_detector: Callable[[int, Detector, NDArray[np.uint8]], None] | None = None
    """After each epoch: its number, the detector as it stands, and the validation images. What it raises ends the
    training there."""


def train(
    samples: Sequence[Sample],
    recipe: Recipe,
    out: Path,
    resume: bool = False,
    listeners: Listeners | None = None,
    loggers: Sequence[str] = ("tensorboard",),
) -> Manifest:
    """Train ``recipe`` on the good images of ``samples`` and write the bundle ``out``, whole or not at all.

    With ``resume`` an interrupted training of the same recipe and images goes on to the very result that it would
    have had; a finished one is left as it is. ``loggers`` name who writes the losses down. Raises
    :class:`CobnutError` when ``out`` is something else, or there is nothing to go on with.
    """
    listeners, started, out = listeners or Listeners(), time.perf_counter(), out.absolute()
    check_loggers(loggers)
    _refuse_to_overwrite(out)
    check_recipe(recipe)
    hashes = content_hashes(samples)
    parts = _deal(samples, recipe, hashes)
    fingerprint: dict[Split, list[str]] = {split: [hashes[path] for path in paths] for split, paths in parts.items()}
    region = read_region(recipe.region, [path for split in MADE_WITH for path in parts[split]])
    run, asked = Run.open(out, recipe, fingerprint, resume, region), recipe
    if run.is_finished:
        return read_manifest(out)
    recipe, finest = at_working_size(with_promise(recipe, len(parts["calibration"])), parts["train"])
    inspected = None if region is None else shrink_region(region, recipe.image.shape)
    listeners.on_split({split: len(paths) for split, paths in parts.items()})
    listeners.on_size(recipe, finest)
    images: dict[Split, NDArray[np.uint8]] = {
        split: kept_images(parts[split], fingerprint[split], recipe.image, listeners.on_image, inspected)
        for split in MADE_WITH
    }
    listeners.on_stage("preparing what the network learns from")
    watch = _watch(listeners, recipe, images["validation"], inspected)
    heard = Heard(listeners.on_epoch, watch, listeners.on_features)
    fitted = fit(recipe, images["train"], images["validation"], run.folder, heard, loggers, inspected)
    listeners.on_stage("choosing how the map is made, on validation images")
    detector, resolved, choice = _choose(fitted, recipe, images["train"], images["validation"], inspected)
    listeners.on_stage("exporting and calibrating")
    seen = {split: [hash_pixels(image) for image in kept] for split, kept in images.items()}
    made = _Made(asked, resolved, finest, choice, fitted, detector, fingerprint, seen, region)
    manifest = _write_bundle(out, made, images["calibration"], started)
    run.finish()
    return manifest


@dataclass(frozen=True, slots=True)
class _Made:
    """All that a bundle is written from: the recipe as it was asked for and as it was resolved, and what came of it."""

    asked: Recipe
    recipe: Recipe
    finest: float | None
    choice: Choice | None
    fitted: Fitted
    detector: Detector
    fingerprint: dict[Split, list[str]]
    seen: dict[Split, list[str]]
    region: Region | None


def _choose(
    fitted: Fitted,
    recipe: Recipe,
    train: NDArray[np.uint8],
    validation: NDArray[np.uint8],
    region: Region | None,
) -> tuple[Detector, Recipe, Choice | None]:
    """The detector with its automatic options chosen.

    Images that tell a network of features what is usual look too usual to choose its error as well: each half of the
    validation images chooses while the other half tells, and when that is done they all tell.
    """
    network, held_out = fitted.network, fitted.held_out
    detector = build_detector(network, recipe, region)
    if held_out is None or not isinstance(network, FeatureNetwork):
        return detector, *choose(detector, recipe, train, [validation], region=region)

    def halves() -> Iterator[NDArray[np.uint8]]:
        for half in (0, 1):
            network.learn_usual(held_out[1 - half :: 2])
            yield validation[half::2]

    resolved, choice = choose(detector, recipe, train, halves(), FEWEST_SYNTHETIC // 2, region)
    network.learn_usual(held_out)
    detector = build_detector(network, resolved, region)
    choose(detector, resolved, train, [])
    return detector, resolved, choice


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe that cannot be built, at no cost of memory, before any image is read."""
    with torch.device("meta"):
        build_network(recipe)
        build_loss(recipe.training.loss)
    check_error(recipe)
    network = recipe.network
    if recipe.image.smallest_defect and not (recipe.image.follow and network.rebuilds == "features"):
        raise RecipeError(
            f"image.smallest_defect = {recipe.image.smallest_defect:g}: recipe {recipe.name} works at the size that "
            "image.size says; take one that rebuilds features, with image.follow = true"
        )
    if network.rebuilds == "features" and recipe.changes_images:
        raise RecipeError(
            f"network {network.name} learns from kept features: leave out patches, augmentation, corruption and robust"
            + (f"; {network.own_changes} change what it sees" if network.own_changes else "")
        )
    if network.losses and (others := sorted(set(recipe.training.loss) - set(network.losses))):
        raise RecipeError(
            f"training.loss.{others[0]}: network {network.name} has no such loss; valid are {', '.join(network.losses)}"
        )
    spoils = {
        "patches": bool(recipe.patches.size),
        "corruption": recipe.corruption.name != "none",
        f"network {network.name}": not network.keeps_size,
    }
    if recipe.robust.threshold and any(spoils.values()):
        raise RecipeError(
            f"robust.threshold = {recipe.robust.threshold}: a sparse part can only be split off images that the "
            "network gives back whole and unspoilt; set it to 0, or leave out "
            + " and ".join(name for name, is_so in spoils.items() if is_so)
        )


def with_promise(recipe: Recipe, images: int) -> Recipe:
    """The recipe with an alpha that so many calibration images can promise; refused where they cannot."""
    calibration = settle(recipe.calibration, images)
    if isinstance(calibration.alpha, float):
        check_images(images, calibration.alpha, calibration.confidence)
    return recipe.model_copy(update={"calibration": calibration})


def _watch(
    listeners: Listeners, recipe: Recipe, validation: NDArray[np.uint8], region: Region | None
) -> NetworkListener | None:
    on_detector = listeners.on_detector
    if on_detector is None:
        return None

    def watch(epoch: int, network: nn.Module) -> None:
        detector = build_detector(network, recipe, region).to(next(network.parameters()).device)
        on_detector(epoch, detector, validation)

    return watch


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


def _write_bundle(out: Path, made: _Made, calibration: NDArray[np.uint8], started: float) -> Manifest:
    recipe, fitted, detector = made.recipe, made.fitted, made.detector
    assert isinstance(recipe.score.least_area, float)
    with write_whole_folder(out) as folder:
        with write_whole(folder / WEIGHTS) as partial:
            save_file(weights_of(fitted.network, detector), partial)
        export_onnx(detector, next(in_chunks(calibration)), folder / MODEL)
        maps, scores = _judge(folder / MODEL, calibration)
        inspected = maps if detector.inside is None else maps[:, detector.inside.numpy()]
        decision = decide(recipe.calibration, inspected, scores)
        if made.region is not None:
            save_picture(np.uint8(255) * made.region, folder / REGION)
        manifest = Manifest(
            format=FORMAT,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=_versions(),
            recipe=recipe,
            finest_defect=made.finest,
            asked=made.asked.automatic() | {"alpha": made.asked.calibration.alpha},
            threshold=decision.threshold,
            level=decision.level,
            choice=made.choice.as_dict() if made.choice else None,
            calibration_scores=[float(score) for score in scores],
            fingerprint=made.fingerprint,
            seen=made.seen,
            history=fitted.history,
            best_epoch=fitted.best_epoch,
            parameters=count_parameters(fitted.network),
            seconds=time.perf_counter() - started,
            files={},
        )
        return write_manifest(folder, manifest)


def weights_of(network: nn.Module, detector: Detector) -> dict[str, torch.Tensor]:
    """The numbers that another training can go on from: the network's, and the typical error where there is one."""
    typical = {} if detector.typical is None else {"typical": detector.typical}
    return {**network.state_dict(), **typical}


def count_parameters(network: nn.Module) -> int:
    """Numbers that the network learns."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _judge(model: Path, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Maps and scores from the very model that is deployed."""
    session = Session(model)
    answers = [session.run(np.array(batch)) for batch in in_chunks(images)]
    return np.concatenate([maps for maps, _, _ in answers]), np.concatenate([scores for _, scores, _ in answers])


def _versions() -> dict[str, str]:
    return {
        "cobnut": cobnut.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
