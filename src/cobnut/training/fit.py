"""Train a recipe's network as the study did (3.3): Adam, StepLR, early stopping; resumable and repeatable."""

import logging
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from numpy.typing import NDArray
from torch import Tensor, nn

from cobnut.data.dataset import batches
from cobnut.errors import CobnutError
from cobnut.files import write_whole
from cobnut.losses import build_loss
from cobnut.models import build_network
from cobnut.models.detector import to_unit
from cobnut.recipe import Recipe
from cobnut.runtime.bundle import Epoch
from cobnut.training.callbacks import EpochListener, ReconstructionPictures, Record, WayBack

PICTURED = 8
WAY_BACK, FITTED = "way-back.ckpt", "fitted.ckpt"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network with the weights of its best epoch, and how it came to them."""

    network: nn.Module
    history: list[Epoch]
    best_epoch: int


class Rebuilding(LightningModule):
    """Learning to rebuild good images: the loss, the optimiser and its schedule."""

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self.loss = build_loss(recipe.training.loss)
        self.options = recipe.training

    def training_step(self, images: Tensor) -> Tensor:
        """The loss of one batch, uint8 (b, h, w, c)."""
        return self._log_loss("train_loss", images)

    def validation_step(self, images: Tensor) -> None:
        """The same loss on images that do not train."""
        self._log_loss("val_loss", images)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam, whose rate StepLR lowers."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.options.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, self.options.step_epochs, self.options.step_gamma)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def _log_loss(self, name: str, images: Tensor) -> Tensor:
        image = to_unit(images)
        loss = self.loss(self.network(image), image)
        self.log(name, loss, on_step=False, on_epoch=True, batch_size=len(images))
        return loss


def fit(
    recipe: Recipe, train: NDArray[np.uint8], validation: NDArray[np.uint8], folder: Path, on_epoch: EpochListener
) -> Fitted:
    """Train on ``train`` and stop by ``validation``, both uint8 (n, h, w, c); go on when ``folder`` holds a way back.

    ``folder`` receives TensorBoard logs, reconstructions and the checkpoints. The same recipe and images give the same
    weights on the same machine, interrupted or not. Raises :class:`CobnutError` when the loss diverges.
    """
    torch.manual_seed(recipe.seed)
    # Channels last is how the images lie in memory: a tenth faster on a CPU. (torch's stubs do not know the argument.)
    network: nn.Module = build_network(recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    record = Record(recipe.seed, on_epoch)
    if (folder / FITTED).exists():
        record.load_state_dict(_load(folder / FITTED))
    else:
        _run(Rebuilding(network, recipe), recipe, record, train, validation, folder)
        with write_whole(folder / FITTED) as partial:
            torch.save(record.state_dict(), partial)
    network.load_state_dict(record.best_weights)
    network = network.cpu().eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return Fitted(network, record.history, record.best_epoch)


def _run(
    module: Rebuilding,
    recipe: Recipe,
    record: Record,
    train: NDArray[np.uint8],
    validation: NDArray[np.uint8],
    folder: Path,
) -> None:
    """The epochs themselves, from the start or from the way back."""
    options, way_back = recipe.training, folder / WAY_BACK
    if way_back.exists():
        _load(way_back)
    pictured = np.array(validation[:PICTURED])
    with _quiet(), _deterministic():
        trainer = Trainer(
            max_epochs=options.epochs,
            callbacks=[
                record,
                EarlyStopping("val_loss", patience=options.patience, mode="min", check_finite=False),
                ReconstructionPictures(pictured, folder / "reconstructions", options.picture_epochs),
                WayBack(way_back),
            ],
            logger=TensorBoardLogger(folder, name="tensorboard", version=""),
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
                batches(train, options.batch_size, recipe.seed),
                batches(validation, options.batch_size),
                ckpt_path=way_back if way_back.exists() else None,
                weights_only=True,
            )
        except SystemExit:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from None


def _load(path: Path) -> dict[str, Any]:
    """Read a checkpoint of ours; raises :class:`CobnutError` when it is damaged."""
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:100]
        raise CobnutError(
            f"{path}: is damaged ({reason}); remove the folder {path.parent} and train without --resume"
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
