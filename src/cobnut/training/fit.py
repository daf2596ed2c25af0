"""Train a recipe's network as the study did (3.3): Adam, StepLR, early stopping; resumable and repeatable."""

import logging
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from numpy.typing import NDArray
from torch import nn

from cobnut.data.dataset import Features, ImageBatches, batches, build_preparation
from cobnut.data.region import Region, shrink_region
from cobnut.errors import CobnutError
from cobnut.files import write_whole
from cobnut.models import build_network, build_rebuilding
from cobnut.models.feature import FeatureNetwork
from cobnut.models.transfer import HalfFrozen
from cobnut.options import TrainingOptions
from cobnut.recipe import Recipe
from cobnut.runtime.bundle import Epoch
from cobnut.training.callbacks import EpochListener, NetworkListener, ReconstructionPictures, Record, Watched, WayBack
from cobnut.training.engine import Engine
from cobnut.training.feature_rebuilding import FeatureRebuilding
from cobnut.training.features import kept_features, learn_space
from cobnut.training.loggers import build_loggers
from cobnut.training.rebuilding import Rebuilding
from cobnut.training.sparse import SparsePart

PICTURED = 8
WAY_BACK, FITTED = "way-back.ckpt", "fitted.ckpt"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network with the weights of its best epoch, and how it came to them.

    ``held_out`` are the validation images' features where the network is one of features: it has yet to learn from them
    what is usual.
    """

    network: nn.Module
    history: list[Epoch]
    best_epoch: int
    held_out: Features | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """Who hears how the fitting goes on: of epochs, of the network after each, of images through a frozen encoder."""

    on_epoch: EpochListener
    on_network: NetworkListener | None = None
    on_features: Callable[[int, int], None] = lambda done, total: None


def fit(
    recipe: Recipe,
    train: NDArray[np.uint8],
    validation: NDArray[np.uint8],
    folder: Path,
    heard: Heard,
    loggers: Sequence[str] = ("tensorboard",),
    region: Region | None = None,
) -> Fitted:
    """Train on ``train`` and stop by ``validation``, both uint8 (n, h, w, c); go on when ``folder`` holds a way back.

    Nothing is learned outside ``region``, of the images' size, where images are already painted over.

    ``folder`` receives the logs, reconstructions and the checkpoints. The same recipe and images give the same
    weights on the same machine, interrupted or not. Raises :class:`CobnutError` when the loss diverges.
    """
    torch.manual_seed(recipe.seed)
    # Channels last is how the images lie in memory: a tenth faster on a CPU. (torch's stubs do not know the argument.)
    network: nn.Module = build_network(recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    record = Record(recipe.seed, heard.on_epoch)
    has_fitted = (folder / FITTED).exists()
    # Images that never change need to pass a frozen encoder but once: only what comes after it is trained.
    is_feature = isinstance(network, FeatureNetwork)
    keeps_features = isinstance(network, HalfFrozen) and not recipe.changes_images
    learning = network.learning if isinstance(network, HalfFrozen) and keeps_features else network
    features: list[Features] = []
    if isinstance(network, HalfFrozen) and keeps_features and (is_feature or not has_fitted):
        features = _features(network, heard, train, validation)
    if has_fitted:
        record.load_state_dict(load_checkpoint(folder / FITTED))
    else:
        training = ImageBatches(train, build_preparation(recipe, is_training=True), *features[:1])
        validating = ImageBatches(validation, build_preparation(recipe, is_training=False), *features[1:])
        callbacks: list[Callback] = [record]
        if not is_feature:
            callbacks.append(_pictures(network, recipe, validation, folder))
        if recipe.robust.threshold:
            callbacks.append(SparsePart(recipe.robust, training))
        after = [] if heard.on_network is None else [Watched(network, heard.on_network)]
        step = FeatureRebuilding if is_feature else Rebuilding
        module = step(
            learning, recipe, recipe.training.shortened(len(training)), None if recipe.patches.size else region
        )
        _run(module, recipe, training, validating, callbacks, loggers, folder, after)
        with write_whole(folder / FITTED) as partial:
            torch.save(record.state_dict(), partial)
    learning.load_state_dict(record.best_weights)
    if isinstance(network, FeatureNetwork):
        network.cpu().eval()
        network.inside = None if region is None else torch.from_numpy(shrink_region(region, features[0].shape[2:]))
        network.learn_good(features[0], recipe.seed)
    network = network.cpu().eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return Fitted(network, record.history, record.best_epoch, features[1] if is_feature else None)


def _features(network: HalfFrozen, heard: Heard, *images: NDArray[np.uint8]) -> list[Features]:
    """What the frozen part makes of the training images, which come first, and of others."""
    dtype: type[np.floating[Any]] = np.float32
    if isinstance(network, FeatureNetwork):
        learn_space(network.frozen.eval(), images[0])
        dtype = np.float16
    engine, done, total = Engine(network.frozen), 0, sum(map(len, images))

    def on_progress(count: int) -> None:
        nonlocal done
        done += count
        heard.on_features(done, total)

    return [kept_features(engine, each, dtype, on_progress) for each in images]


def _pictures(
    network: nn.Module, recipe: Recipe, validation: NDArray[np.uint8], folder: Path
) -> ReconstructionPictures:
    rebuilding, shown = build_rebuilding(network, recipe), np.array(validation[:PICTURED])
    return ReconstructionPictures(rebuilding, shown, folder / "reconstructions", recipe.training.picture_epochs)


def _run(
    module: Rebuilding,
    recipe: Recipe,
    training: ImageBatches,
    validating: ImageBatches,
    callbacks: list[Callback],
    loggers: Sequence[str],
    folder: Path,
    after: list[Watched],
) -> None:
    """The epochs themselves, from the start or from the way back."""
    options, way_back = module.options, folder / WAY_BACK
    if way_back.exists():
        load_checkpoint(way_back)
    with _quiet(), _deterministic():
        trainer = Trainer(
            max_epochs=options.epochs,
            callbacks=[
                *callbacks,
                EarlyStopping("val_loss", patience=options.patience, mode="min", check_finite=False),
                *after,  # before the way back: an epoch that was not looked at is done again
                WayBack(way_back),
            ],
            logger=build_loggers(loggers, folder, recipe),
            precision=_precision(options),
            accelerator="auto",
            devices=1,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        try:
            trainer.fit(
                module,
                batches(training, options.batch_size, recipe.seed, shuffle=True),
                batches(validating, options.batch_size, recipe.seed, shuffle=False),
                ckpt_path=way_back if way_back.exists() else None,
                weights_only=True,
            )
        except SystemExit:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from None


def _precision(options: TrainingOptions) -> Literal["32-true", "bf16-mixed"]:
    """Bfloat16 where it is asked for, or where the processor itself multiplies it: elsewhere it would be slower."""
    is_native = torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported()
    is_wanted = options.precision == "bfloat16" or (options.precision == "auto" and is_native)
    return "bf16-mixed" if is_wanted else "32-true"


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of ours; raises :class:`CobnutError` when it is damaged."""
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:100]
        raise CobnutError(
            f"{path}: is damaged ({reason}); remove the folder {path.parent} and begin anew, without --resume if given"
        ) from None
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's hints about its own products and our deliberate choices away from the user."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _deterministic() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
