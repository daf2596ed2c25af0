"""What happens around the epochs of a training: the record, the best weights, the way back, the pictures."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from torch import nn

from cobnut.errors import DivergedError
from cobnut.files import write_whole
from cobnut.models.detector import grow, to_bytes, to_unit
from cobnut.pictures import grid, save_picture
from cobnut.runtime.bundle import Epoch
from cobnut.training.loggers import log_picture

EpochListener = Callable[[Epoch, int], None]
NetworkListener = Callable[[int, nn.Module], None]


class Record(Callback):
    """Losses of every epoch, and the weights of the best one; both survive an interruption inside the checkpoint."""

    def __init__(self, seed: int, on_epoch: EpochListener) -> None:
        self.seed, self.on_epoch = seed, on_epoch
        self.history: list[Epoch] = []
        self.best_epoch = 0
        self.best_weights: dict[str, torch.Tensor] = {}
        self._started = 0.0
        self._learning_rate = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self._started = time.perf_counter()
        self._learning_rate = trainer.optimizers[0].param_groups[-1]["lr"]  # of a fine-tuned network: the decoder's

    def on_train_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        batch: object,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Make chance depend on (seed, epoch) alone, so that a resumed run repeats it exactly.

        That is done at the first batch: before it the loaders draw seeds, in the first epoch after a start more of
        them. Of processes that train together each has a chance of its own.
        """
        if batch_idx:
            return
        place = [self.seed, trainer.current_epoch, *([trainer.global_rank] if trainer.global_rank else [])]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the epoch down, and keep its weights when no validation loss was lower."""
        figures = trainer.callback_metrics
        epoch = Epoch(
            epoch=trainer.current_epoch + 1,
            train_loss=float(figures["train_loss"]),
            val_loss=float(figures["val_loss"]),
            train_mse=float(figures["train_mse"]),
            val_mse=float(figures["val_mse"]),
            learning_rate=self._learning_rate,
            seconds=time.perf_counter() - self._started,
        )
        if not math.isfinite(epoch.val_loss):
            raise DivergedError(
                f"training diverged: the validation loss of epoch {epoch.epoch} is {epoch.val_loss}; "
                f"lower training.learning_rate (it is {epoch.learning_rate:g})"
            )
        if all(epoch.val_loss < former.val_loss for former in self.history):
            self.best_epoch = epoch.epoch
            self.best_weights = {
                name: value.detach().clone() for name, value in _network(pl_module).state_dict().items()
            }
        self.history.append(epoch)
        self.on_epoch(epoch, self.best_epoch)

    def state_dict(self) -> dict[str, Any]:
        """What the checkpoint keeps."""
        history = [epoch.model_dump() for epoch in self.history]
        return {"history": history, "best_epoch": self.best_epoch, "best_weights": self.best_weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.history = [Epoch.model_validate(epoch) for epoch in state_dict["history"]]
        self.best_epoch, self.best_weights = state_dict["best_epoch"], state_dict["best_weights"]


class WayBack(Callback):
    """One checkpoint to resume from, replaced whole after an epoch, at most every ``seconds``."""

    def __init__(self, path: Path, seconds: float = 10.0) -> None:
        self.path, self.seconds, self._saved = path, seconds, 0.0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Save when the last save is long enough ago; never in the epoch that stops, or it would be gone on from.

        Of processes that train together the first says when, and writes; Lightning wants the others to be there.
        """
        if trainer.should_stop or not trainer.strategy.broadcast(time.monotonic() - self._saved >= self.seconds):
            return
        with write_whole(self.path) if trainer.is_global_zero else nullcontext(self.path) as path:
            trainer.save_checkpoint(path)
        self._saved = time.monotonic()


class Watched(Callback):
    """Shows the network as it stands after each epoch; whatever the listener raises ends the training there."""

    def __init__(self, network: nn.Module, on_network: NetworkListener) -> None:
        self.network, self.on_network = network, on_network

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Call with the epochs done and the network in evaluation mode."""
        self.network.to(pl_module.device).eval()
        with torch.no_grad():
            self.on_network(trainer.current_epoch + 1, self.network)
        self.network.train()


class ReconstructionPictures(Callback):
    """The same few validation images and what the network makes of them, as pictures while it trains."""

    def __init__(self, rebuilding: nn.Module, images: NDArray[np.uint8], folder: Path, every_epochs: int) -> None:
        self.rebuilding, self.images, self.folder, self.every_epochs = rebuilding, images, folder, every_epochs

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw originals above reconstructions, to a PNG and to every logger that takes pictures."""
        epoch = trainer.current_epoch + 1
        if epoch != 1 and epoch % self.every_epochs:
            return
        self.rebuilding.to(pl_module.device).eval()
        with torch.no_grad():
            image = to_unit(torch.from_numpy(np.array(self.images)).to(pl_module.device))
            rebuilt = to_bytes(grow(self.rebuilding(image), image)).cpu().numpy()
        self.rebuilding.train()
        picture = grid([list(self.images), list(rebuilt)])
        save_picture(picture, self.folder / f"epoch-{epoch:04d}.png")
        for logger in trainer.loggers:
            log_picture(logger, picture, epoch)


def _network(module: LightningModule) -> nn.Module:
    network = module.network
    assert isinstance(network, nn.Module)
    return network
