"""Who writes down how a training goes: TensorBoard, MLflow, a table, or nobody."""

import logging
import os
import platform
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cobnut.errors import CobnutError, require_extra
from cobnut.recipe import Recipe

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

LOGGERS = ("tensorboard", "mlflow", "csv", "none")
RUN_ID = "mlflow-run.txt"
LONGEST_NAME = 250  # as wide as the column of MLflow's table of runs
# A server that does not answer is told within seconds; MLflow itself would go on trying for minutes.
MLFLOW_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


def check_loggers(names: Sequence[str]) -> None:
    """Raise :class:`CobnutError` for a name that there is not, for «none» among others, or for a missing package."""
    for name in names:
        if name not in LOGGERS:
            raise CobnutError(f"--logger {name}: there is no such logger; valid are {', '.join(LOGGERS)}")
    if "none" in names and len(names) > 1:
        raise CobnutError(f"--logger {' '.join(names)}: none cannot stand beside others; leave it or them out")
    if "mlflow" in names:
        require_extra("mlflow", "mlflow", "logging to MLflow")


def build_loggers(names: Sequence[str], folder: Path, recipe: Recipe) -> "list[Logger]":
    """The named loggers, each told the recipe's options; what they write on disk stands below ``folder``.

    A training that goes on in the same folder goes on in the same logs. MLflow writes to ``$MLFLOW_TRACKING_URI``, else
    to ``mlflow.db`` in the folder. Raises :class:`CobnutError` as :func:`check_loggers` does, and when MLflow's server
    does not take the run.
    """
    from lightning.pytorch.loggers import TensorBoardLogger

    from cobnut.training.table import EpochTable

    check_loggers(names)
    options = dict(_flatten(recipe.model_dump(mode="json")))
    loggers: list[Logger] = []
    for name in dict.fromkeys(names):
        if name == "tensorboard":
            loggers.append(TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False))
        elif name == "csv":
            loggers.append(EpochTable(folder / "csv"))
        elif name == "mlflow":
            loggers.append(_build_mlflow(folder, options))
    for logger in loggers:
        logger.log_hyperparams(options)
    return loggers


def log_picture(logger: "Logger", picture: NDArray[np.uint8], epoch: int) -> None:
    """Hand reconstructions, uint8 (h, w, 3), to a logger that takes pictures; others pass."""
    from lightning.pytorch.loggers import MLFlowLogger, TensorBoardLogger

    if isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image("reconstructions", picture, epoch, dataformats="HWC")
    elif isinstance(logger, MLFlowLogger):
        logger.experiment.log_image(logger.run_id, picture, f"reconstructions/epoch-{epoch:04d}.png")


def _build_mlflow(folder: Path, options: dict[str, Any]) -> "Logger":
    for key, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(key, value)
    from lightning.pytorch.loggers import MLFlowLogger
    from mlflow.exceptions import MlflowException

    for chatter in ("mlflow", "alembic"):
        logging.getLogger(chatter).setLevel(logging.ERROR)
    server = os.environ.get("MLFLOW_TRACKING_URI")
    note = folder / RUN_ID
    folder.mkdir(parents=True, exist_ok=True)
    logger = MLFlowLogger(
        "cobnut",
        run_name=_run_name(str(options["name"]), folder),
        tracking_uri=server or f"sqlite:///{folder.absolute() / 'mlflow.db'}",
        artifact_location=None if server else (folder.absolute() / "mlflow").as_uri(),
        run_id=note.read_text(encoding="utf-8") if note.exists() else None,
    )
    try:
        note.write_text(str(logger.run_id), encoding="utf-8")  # asking for the run begins it
    except (MlflowException, OSError) as error:
        place = _without_password(server) if server else str(folder)
        reason = " ".join(str(error).replace(server or place, place).split())[:120]
        raise CobnutError(f"MLflow at {place}: does not take the run ({reason}); check $MLFLOW_TRACKING_URI") from None
    return logger


def _run_name(recipe: str, folder: Path) -> str:
    """Recipe, machine and bundle: studies and machines that share a server have cells of the same names."""
    head, place = f"{recipe} {platform.node()}:", str(folder.absolute()).removesuffix(".run")
    room = LONGEST_NAME - len(head)
    return head + (place if len(place) <= room else f"…{place[1 - room :]}")


def _without_password(url: str) -> str:
    """The URL as it may be shown: without what stands before the @ of its host."""
    return re.sub(r"^([^/]*//)[^/]*@", r"\1", url)


def _flatten(options: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested options as (dotted key, value)."""
    for key, value in options.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, int | float | str) else str(value)
