"""The figures of a training as a table on disk, one row an epoch, that any spreadsheet opens."""

import csv
import json
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from cobnut.files import write_whole

METRICS, OPTIONS = "metrics.csv", "options.json"


class EpochTable(Logger):
    """Writes ``metrics.csv`` and ``options.json`` below ``folder``, whole after every epoch.

    A training that goes on keeps the rows that are there; an epoch that is done again replaces its row, where
    Lightning's own CSV logger would begin the file anew.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.rows = _read_rows(folder / METRICS)

    @property
    def name(self) -> str:
        """What Lightning calls it."""
        return "csv"

    @property
    def version(self) -> str:
        """There is only one."""
        return ""

    def log_hyperparams(self, params: dict[str, Any]) -> None:  # type: ignore[override]
        """Write the recipe's options beside the table."""
        with write_whole(self.folder / OPTIONS) as partial:
            partial.write_text(json.dumps(params, indent=2), encoding="utf-8")

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:  # noqa: ARG002
        """Put figures into the row of their epoch, counted from 1."""
        epoch = int(metrics["epoch"]) + 1
        row = self.rows.setdefault(epoch, {})
        row.update({name: f"{value:.9g}" for name, value in metrics.items() if name != "epoch"})

    def save(self) -> None:
        """Write the table."""
        names = sorted({name for row in self.rows.values() for name in row})
        with write_whole(self.folder / METRICS) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["epoch", *names])
            writer.writeheader()
            writer.writerows({"epoch": epoch, **row} for epoch, row in sorted(self.rows.items()))


def _read_rows(path: Path) -> dict[int, dict[str, str]]:
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {int(row.pop("epoch")): row for row in csv.DictReader(file)}
