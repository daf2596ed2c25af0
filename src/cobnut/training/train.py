"""From a recipe and a data set to a bundle: split, read, fit, choose, export, calibrate, close."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from torch import nn

from cobnut.calibration.threshold import Choice
from cobnut.data.images import in_chunks
from cobnut.data.region import Region, read_region, shrink_region
from cobnut.data.seen import hash_pixels
from cobnut.data.split import FEWEST_HELD_BACK, content_hashes, split_samples
from cobnut.data.store import kept_images
from cobnut.data.working import at_working_size
from cobnut.errors import DataError
from cobnut.models import build_detector
from cobnut.models.detector import Detector
from cobnut.models.feature import FeatureNetwork
from cobnut.recipe import Recipe
from cobnut.records import MADE_WITH, Sample, Split
from cobnut.runtime.agreement import Agreement, agree, nearest, spread_of
from cobnut.runtime.bundle import Epoch, Manifest, read_manifest
from cobnut.runtime.export import export_onnx, run_trained
from cobnut.training.bundling import refuse_to_overwrite, write_bundle
from cobnut.training.callbacks import NetworkListener
from cobnut.training.checks import check_recipe, with_promise
from cobnut.training.choose import FEWEST_SYNTHETIC, choose, set_view
from cobnut.training.fit import Fitted, Heard, fit
from cobnut.training.folds import count_parts, make_folds, pool
from cobnut.training.loggers import check_loggers
from cobnut.training.made import Exported, Images, Made, MakeOne, One, count_parameters, judge, weights_of
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
    on_fold: Callable[[int, int], None] = field(default=lambda number, count: None)
    """The detector of this of so many folds comes next."""
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
    refuse_to_overwrite(out)
    check_recipe(recipe)
    hashes = content_hashes(samples)
    parts = _deal(samples, recipe, hashes)
    if recipe.calibration.folds:
        parts = pool(parts, hashes)
    fingerprint: dict[Split, list[str]] = {split: [hashes[path] for path in paths] for split, paths in parts.items()}
    region = read_region(recipe.region, [path for split in MADE_WITH for path in parts[split]])
    promised = with_promise(recipe, len(parts["calibration"]))
    run, asked = Run.open(out, recipe, fingerprint, resume, region), recipe
    if run.is_finished:
        return read_manifest(out)
    recipe, finest = at_working_size(promised, parts["train"])
    inspected = None if region is None else shrink_region(region, recipe.image.shape)

    def read(split: Split) -> Images:
        return kept_images(parts[split], fingerprint[split], recipe.image, listeners.on_image, inspected)

    make = partial(_make_one, listeners, loggers, inspected)
    counts = {split: len(paths) for split, paths in parts.items()}
    if recipe.calibration.folds:
        counts = {**count_parts(fingerprint["train"], recipe), "test": len(parts["test"])}
    listeners.on_split(counts)
    listeners.on_size(recipe, finest)
    if recipe.calibration.folds:
        made = make_folds(asked, recipe, read("train"), parts["train"], run.folder, make, listeners.on_fold, inspected)
    else:
        images = {split: read(split) for split in MADE_WITH}
        kept = without_copies(images)
        if len(kept) < len(parts["calibration"]):
            parts["calibration"] = [parts["calibration"][place] for place in kept]
            fingerprint["calibration"] = [fingerprint["calibration"][place] for place in kept]
            images["calibration"] = read("calibration")
        again = recipe.model_copy(update={"calibration": asked.calibration})
        made = _make(with_promise(again, len(kept)), images, run.folder, make)
    listeners.on_stage("exporting and calibrating")
    manifest = write_bundle(out, asked, replace(made, finest=finest, region=region), fingerprint, started)
    run.finish()
    return manifest


def _make_one(
    listeners: Listeners,
    loggers: Sequence[str],
    region: Region | None,
    recipe: Recipe,
    train: Images,
    validation: Images,
    folder: Path,
) -> One:
    """A detector with all that is automatic chosen; it looks only at the ``region``, of the images' size."""
    on_network = _watch(listeners, recipe, validation, region)
    listeners.on_stage("preparing what the network learns from")
    heard = Heard(listeners.on_epoch, on_network, listeners.on_features)
    fitted = fit(recipe, train, validation, folder, heard, loggers, region)
    listeners.on_stage("choosing how the map is made, on validation images")
    detector, resolved, choice = _choose(fitted, recipe, train, validation, region)
    weights = weights_of(fitted.network, detector)
    return One(detector, resolved, choice, fitted.history, fitted.best_epoch, weights)


def _make(recipe: Recipe, images: dict[Split, Images], folder: Path, make: MakeOne) -> Made:
    one = make(recipe, images["train"], images["validation"], folder)

    def export(model: Path) -> Exported:
        calibrating, inside = images["calibration"], one.detector.inside
        export_onnx(one.detector, next(in_chunks(calibrating)), model)
        maps, scores = judge(model, calibrating)

        def check(threshold: float) -> Agreement:
            places = nearest(scores, threshold)
            trained = run_trained(one.detector, in_chunks(calibrating[places]))
            return agree(trained, scores[places], spread_of(scores), lambda values: values > threshold)

        return Exported(maps if inside is None else maps[:, None, inside.numpy()], scores, check)

    return Made(
        recipe=one.recipe,
        choice=one.choice,
        history=one.history,
        best_epoch=one.best_epoch,
        weights=one.weights,
        parameters=count_parameters(one.detector),
        seen={
            split: [hash_pixels(image) for batch in in_chunks(kept) for image in batch]
            for split, kept in images.items()
        },
        export=export,
    )


def without_copies(images: dict[Split, Images]) -> list[int]:
    """The places of the calibration images whose pixels stand nowhere else; of copies among them the first.

    The same photograph in another file would be judged by what has learned it. Raises :class:`DataError` when too few
    are left.
    """
    trained: tuple[Split, ...] = ("train", "validation")
    seen = {hash_pixels(image) for split in trained for batch in in_chunks(images[split]) for image in batch}
    places = []
    calibrating = (image for batch in in_chunks(images["calibration"]) for image in batch)
    for place, pixels in enumerate(map(hash_pixels, calibrating)):
        if pixels not in seen:
            seen.add(pixels)
            places.append(place)
    if len(places) < FEWEST_HELD_BACK:
        raise DataError(
            f"{len(places)} good images for calibration are no copies of others, and {FEWEST_HELD_BACK} are needed; "
            "`cobnut audit` lists the copies: add other images"
        )
    return places


def _choose(
    fitted: Fitted,
    recipe: Recipe,
    train: Images,
    validation: Images,
    region: Region | None,
) -> tuple[Detector, Recipe, Choice | None]:
    """The detector with its automatic options chosen.

    Images that tell a network of features what is usual look too usual to choose its error as well: each half of the
    validation images chooses while the other half tells, and when that is done they all tell.
    """
    network, held_out, spoilt = fitted.network, fitted.held_out, fitted.spoilt
    detector = build_detector(network, recipe, region)
    if held_out is None or spoilt is None or not isinstance(network, FeatureNetwork):
        return detector, *choose(detector, recipe, train, [validation], region=region)

    def halves() -> Iterator[Images]:
        for half in (0, 1):
            network.learn_usual(held_out[1 - half :: 2], spoilt[1 - half :: 2])
            yield validation[half::2]

    resolved, choice = choose(detector, recipe, train, halves(), FEWEST_SYNTHETIC // 2, region)
    network.learn_usual(held_out, spoilt)
    detector = build_detector(network, resolved, region)
    set_view(detector, resolved, train)
    return detector, resolved, choice


def _watch(listeners: Listeners, recipe: Recipe, validation: Images, region: Region | None) -> NetworkListener | None:
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
    if recipe.calibration.folds:  # which are dealt anew
        fewest = {}
    for sample in sorted(dealt, key=lambda sample: hashes[sample.path]):
        if sample.split != "test" or sample.path in held_out:
            parts[sample.split].append(sample.path)
    for split, count in fewest.items():
        if len(parts[split]) < count:
            raise DataError(f"{len(parts[split])} good images for {split}: at least {count} are needed; add some")
    return parts
