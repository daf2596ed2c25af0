"""The folder beside a bundle in which its training runs: logs, pictures, and the way back after an interruption."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cobnut.data.layouts import RUN_NOTE
from cobnut.data.region import Region
from cobnut.errors import CobnutError
from cobnut.files import make_folder, write_whole
from cobnut.recipe import Recipe
from cobnut.records import Split
from cobnut.runtime.bundle import is_bundle
from cobnut.training.epochs import WAY_BACK
from cobnut.training.fit import FITTED

# Keeps what is done of a fold.
FOLD_DONE = "detector.ckpt"


def run_folder(out: Path) -> Path:
    """Where the training of the bundle ``out`` runs."""
    return out.with_name(f"{out.name}.run")


@dataclass(frozen=True, slots=True)
class Run:
    """One training: its folder, what it was begun with, and whether it came to its end."""

    folder: Path
    begun_with: dict[str, Any]
    is_finished: bool

    @classmethod
    def open(
        cls,
        out: Path,
        recipe: Recipe,
        fingerprint: dict[Split, list[str]],
        resume: bool,
        region: Region | None = None,
    ) -> "Run":
        """Begin anew, or with ``resume`` go on with the run that is there, of the same recipe, images and region.

        Raises :class:`CobnutError` when there is no run to go on with, when it was begun with another recipe or other
        images, when ``--resume`` seems forgotten, or when the folder is not ours to empty.
        """
        folder = run_folder(out)
        begun_with = {"recipe": recipe.model_dump(mode="json"), "fingerprint": fingerprint}
        if region is not None:
            begun_with["region"] = hashlib.sha256(region.tobytes()).hexdigest()
        note = _read_note(folder)
        is_finished = bool(note.pop("is_finished", False))
        is_same = note == begun_with
        if resume:
            if not note:
                raise CobnutError(f"{folder}: holds no training to go on with; train without --resume")
            if not is_same:
                raise CobnutError(
                    f"{folder}: was begun with another recipe, region or images; train without --resume to start anew"
                )
            return cls(folder, begun_with, is_finished and is_bundle(out))
        if folder.exists() and not note:
            raise CobnutError(f"{folder}: exists and is not the folder of a training; choose another --out")
        if is_same and not is_finished and any(_checkpoints(folder)):
            raise CobnutError(
                f"{folder}: holds this very training, interrupted; go on with --resume, or remove it to start anew"
            )
        if folder.exists():
            shutil.rmtree(folder.resolve())
        run = cls(make_folder(folder), begun_with, False)
        run._write_note(is_finished=False)
        return run

    def finish(self) -> None:
        """Note the end, and remove the checkpoints."""
        self._write_note(is_finished=True)
        for path in _checkpoints(self.folder):
            path.unlink()

    def _write_note(self, is_finished: bool) -> None:
        with write_whole(self.folder / RUN_NOTE) as partial:
            partial.write_text(json.dumps({**self.begun_with, "is_finished": is_finished}), encoding="utf-8")


def was_begun_with(out: Path, recipe: Recipe) -> bool:
    """Whether the run beside the bundle ``out`` is there and was begun with ``recipe``."""
    return bool(_read_note(run_folder(out)).get("recipe") == recipe.model_dump(mode="json"))


def _checkpoints(folder: Path) -> list[Path]:
    """All that there is to go on with, of a single training or of folds."""
    return [path for name in (WAY_BACK, FITTED, FOLD_DONE) for path in folder.rglob(name)]


def _read_note(folder: Path) -> dict[str, Any]:
    """What a run was begun with; empty where there is none, or it cannot be read."""
    try:
        note = json.loads((folder / RUN_NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
