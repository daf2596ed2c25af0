"""The epochs of a training, as each process that takes part in them runs them."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import Logger
from torch import nn

from cobnut.data.dataset import Features, ImageBatches, Images, batches, build_preparation
from cobnut.data.region import Region
from cobnut.options import TrainingOptions
from cobnut.recipe import Recipe
from cobnut.training.callbacks import WayBack
from cobnut.training.rebuilding import Rebuilding
from cobnut.training.sparse import SparsePart

WAY_BACK = "way-back.ckpt"


@dataclass(frozen=True, slots=True)
class Work:
    """What the epochs need: what learns, by which step, and from what; nothing here belongs to one process."""

    network: nn.Module
    step: type[Rebuilding]
    recipe: Recipe
    training: tuple[Images, Features | None]
    validating: tuple[Images, Features | None]
    region: Region | None
    way_back: Path

    def batches_of(self, part: Literal["training", "validating"]) -> ImageBatches:
        """The images that train or validate, prepared, or their features where they are kept."""
        images, features = self.training if part == "training" else self.validating
        return ImageBatches(images, build_preparation(self.recipe, part == "training"), features)


class Seat(LightningEnvironment):
    """A process's place among those of one machine that train together; they meet at a port of the first.

    Lightning uses it only where there are several.
    """

    def __init__(self, rank: int = 0, processes: int = 1, port: int = 0) -> None:
        super().__init__()
        self.rank, self.processes, self.port = rank, processes, port

    @property
    def creates_processes_externally(self) -> bool:
        """Lightning starts none: we do (``devices.py``)."""
        return True

    @property
    def main_address(self) -> str:
        """Where the first process waits for the others."""
        return "127.0.0.1"

    @property
    def main_port(self) -> int:
        """The port there."""
        return self.port

    def local_rank(self) -> int:
        """The number of this process, from 0."""
        return self.rank

    def node_rank(self) -> int:
        """There is one machine."""
        return 0


def run_epochs(
    work: Work, before: Sequence[Callback], after: Sequence[Callback], loggers: Sequence[Logger], seat: Seat
) -> None:
    """Train from the start or from the way back, at a ``seat`` that may be the only one.

    The callbacks ``before`` hear of an epoch before it is decided whether to stop, those ``after`` after that.
    """
    recipe, training, validating = work.recipe, work.batches_of("training"), work.batches_of("validating")
    options = recipe.training.shortened(len(training))
    module = work.step(work.network, recipe, options, work.region)
    with quiet(), _deterministic():
        trainer = Trainer(
            max_epochs=options.epochs,
            limit_train_batches=recipe.training.batches_for(len(training)),
            callbacks=[
                *before,
                *([SparsePart(recipe.robust, training)] if recipe.robust.threshold else []),
                EarlyStopping("val_loss", patience=options.patience, mode="min", check_finite=False),
                *after,  # before the way back: an epoch that was not looked at is done again
                WayBack(work.way_back),
            ],
            logger=list(loggers),
            precision=_precision(options),
            **_hardware(seat),
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        try:
            trainer.fit(
                module,
                batches(training, options.batch_size, recipe.seed, True, seat.rank, seat.processes),
                # Whole in each process: its loss decides when all stop, and is comparable whatever their number.
                batches(validating, options.batch_size, recipe.seed, shuffle=False),
                ckpt_path=work.way_back if work.way_back.exists() else None,
                weights_only=True,
            )
        except SystemExit:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from None


def _hardware(seat: Seat) -> dict[str, Any]:
    if seat.processes == 1:
        return {"accelerator": "auto", "devices": 1}
    return {
        "accelerator": "gpu" if torch.cuda.is_available() else "cpu",
        "devices": seat.processes,
        "strategy": "ddp",
        "plugins": [seat],
        "use_distributed_sampler": False,  # batches are dealt by us, in the order that seed and epoch say
    }


def _precision(options: TrainingOptions) -> Literal["32-true", "bf16-mixed"]:
    """Bfloat16 where it is asked for, or where the processor itself multiplies it: elsewhere it would be slower."""
    is_native = (
        torch.cuda.is_bf16_supported(including_emulation=False)
        if torch.cuda.is_available()
        else torch.cpu._is_avx512_bf16_supported()
    )
    is_wanted = options.precision == "bfloat16" or (options.precision == "auto" and is_native)
    return "bf16-mixed" if is_wanted else "32-true"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's hints about its own products and our deliberate choices away from the user."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _deterministic() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
