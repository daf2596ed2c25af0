"""Train a recipe's network as the study did (3.3): Adam, StepLR, early stopping; resumable and repeatable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback
from numpy.typing import NDArray
from torch import nn

from cobnut.data.dataset import Features
from cobnut.data.region import Region, shrink_region
from cobnut.errors import CobnutError
from cobnut.files import write_whole
from cobnut.models import build_network, build_rebuilding
from cobnut.models.feature import FeatureNetwork
from cobnut.models.transfer import HalfFrozen
from cobnut.models.weights import DAMAGED
from cobnut.recipe import Recipe
from cobnut.runtime.bundle import Epoch
from cobnut.training.callbacks import EpochListener, NetworkListener, ReconstructionPictures, Record, Watched
from cobnut.training.choose import spoil_each
from cobnut.training.devices import beside_others
from cobnut.training.engine import Engine
from cobnut.training.epochs import WAY_BACK, Work, quiet, run_epochs
from cobnut.training.feature_rebuilding import FeatureRebuilding
from cobnut.training.features import kept_features, learn_space
from cobnut.training.loggers import build_loggers
from cobnut.training.rebuilding import Rebuilding

PICTURED = 8
FITTED = "fitted.ckpt"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network with the weights of its best epoch, and how it came to them.

    ``held_out`` are the validation images' features (n, d, h, w) where the network is one of features, ``spoilt`` those
    of the same images with synthetic defects (n or fewer, m, d, h, w): it has yet to learn from them what is usual.
    """

    network: nn.Module
    history: list[Epoch]
    best_epoch: int
    held_out: Features | None = None
    spoilt: Features | None = None


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
        features = _features(network, heard, recipe, [train, validation], region)
    if has_fitted:
        record.load_state_dict(load_checkpoint(folder / FITTED))
    else:
        before: list[Callback] = [] if is_feature else [_pictures(network, recipe, validation, folder)]
        after = [] if heard.on_network is None else [Watched(network, heard.on_network)]
        work = Work(
            learning,
            FeatureRebuilding if is_feature else Rebuilding,
            recipe,
            (train, features[0] if features else None),
            (validation, features[1] if features else None),
            None if recipe.patches.size else region,
            folder / WAY_BACK,
        )
        if work.way_back.exists():
            load_checkpoint(work.way_back)
        with quiet():
            written_by = build_loggers(loggers, folder, recipe)
        with beside_others(work) as seat:
            run_epochs(work, [record, *before], after, written_by, seat)
        with write_whole(folder / FITTED) as partial:
            torch.save(record.state_dict(), partial)
    learning.load_state_dict(record.best_weights)
    return _finish(network, record, features, recipe, region)


def _features(
    network: HalfFrozen, heard: Heard, recipe: Recipe, images: list[NDArray[np.uint8]], region: Region | None
) -> list[Features]:
    """What the frozen part makes of the training and the validation images.

    Of a network of features also, (n, m, d, h, w), what it makes of the latter with m synthetic defects each.
    """
    dtype: type[np.floating[Any]] = np.float32
    if isinstance(network, FeatureNetwork):
        learn_space(network.frozen.eval(), images[0], region)
        dtype = np.float16
        spoilt = spoil_each(recipe, images[1], region)
        images = [*images, spoilt.reshape(-1, *spoilt.shape[2:])]
    engine, done, total = Engine(network.frozen), 0, sum(map(len, images))

    def on_progress(count: int) -> None:
        nonlocal done
        done += count
        heard.on_features(done, total)

    kept = [kept_features(engine, each, dtype, on_progress) for each in images]
    if isinstance(network, FeatureNetwork):
        kept[2] = kept[2].reshape(*spoilt.shape[:2], *kept[2].shape[1:])
    return kept


def _finish(
    network: nn.Module, record: Record, features: Sequence[Features], recipe: Recipe, region: Region | None
) -> Fitted:
    """The network on the processor, with what it learns of good features beside its training."""
    held_out = spoilt = None
    if isinstance(network, FeatureNetwork):
        train, held_out, spoilt = features
        network.cpu().eval()
        network.inside = None if region is None else torch.from_numpy(shrink_region(region, train.shape[2:]))
        network.learn_good(train, recipe.seed)
    network = network.cpu().eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return Fitted(network, record.history, record.best_epoch, held_out, spoilt)


def _pictures(
    network: nn.Module, recipe: Recipe, validation: NDArray[np.uint8], folder: Path
) -> ReconstructionPictures:
    rebuilding, shown = build_rebuilding(network, recipe), np.array(validation[:PICTURED])
    return ReconstructionPictures(rebuilding, shown, folder / "reconstructions", recipe.training.picture_epochs)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of ours; raises :class:`CobnutError` when it is damaged."""
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        reason = " ".join(str(error).split())[:100]
        raise CobnutError(
            f"{path}: is damaged ({reason}); remove the folder {path.parent} and begin anew, without --resume if given"
        ) from None
    return content
