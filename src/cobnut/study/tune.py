"""Search the settings of a recipe, trial by trial, on good images alone: the test set is never an argument here."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import TrialState

from cobnut.data.layouts import RUN_NOTE
from cobnut.data.region import shrink_region
from cobnut.data.split import content_hashes, test_share
from cobnut.data.store import kept_images
from cobnut.errors import DivergedError, RecipeError
from cobnut.evaluation.trials import TrialRow
from cobnut.models.detector import Detector
from cobnut.recipe import Recipe
from cobnut.records import Sample, Split
from cobnut.runtime.bundle import MODEL, Manifest, read_bundle_region
from cobnut.runtime.session import Session
from cobnut.study.claims import Claim, claim
from cobnut.study.ledger import Ledger, quiet
from cobnut.study.rows import read_rows
from cobnut.study.space import Space, lay
from cobnut.training.checks import check_recipe
from cobnut.training.choose import Proof, detector_maps, prove, spoil
from cobnut.training.run import run_folder
from cobnut.training.train import Listeners, train

LOOKS = 10  # times at which the shortest training is compared with the others
NEVER_PRUNED = 5  # trials that must have ended before one is compared with them
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Task:
    """What every trial starts from: images without a test set, their hashes, the recipe and its space."""

    samples: list[Sample]
    hashes: dict[Path, str]
    recipe: Recipe
    space: Space

    @property
    def every_epochs(self) -> int:
        """Epochs between two looks at a training: the same in all trials, or they could not be compared."""
        names = ("epochs", "most_steps", "batch_size")
        least = {name: value for name in names if (value := self.space.least(f"training.{name}")) is not None}
        shortest, split = self.recipe.training.model_copy(update=least), self.recipe.split
        assert split.test != "auto"
        training = round(len(self.samples) * (1 - split.validation - split.calibration - split.test))
        return max(1, shortest.epochs_for(max(1, training)) // LOOKS)


@dataclass(frozen=True, slots=True)
class TuneListeners:
    """Who wants to hear how the search goes on; silent unless given."""

    on_begin: Callable[[int, Recipe], Listeners] = field(default=lambda number, recipe: Listeners())
    on_end: Callable[[int, list[TrialRow]], None] = field(default=lambda number, rows: None)


class PrunedError(Exception):
    """A training that is not worth its remaining epochs."""


def build_task(samples: Sequence[Sample], recipe: Recipe, space: Space) -> Task:
    """Put the test images aside; what they would have decided of the split is decided here, by their number alone.

    Raises :class:`RecipeError` when the recipe, or one of the choices of the space, cannot be built.
    """
    check_recipe(recipe)
    if recipe.calibration.folds:
        raise RecipeError(
            f"calibration.folds = {recipe.calibration.folds}: a search chooses by good images, which then may not "
            "calibrate; search without folds, and promise by fresh images with cobnut calibrate"
        )
    for key, value in space.choices():
        check_recipe(lay(recipe, {key: value}, f"{recipe.name} with {key}"))
    share = test_share(samples, recipe.split)
    split = recipe.split.model_copy(update={"test": share})
    kept = [sample for sample in samples if sample.split != "test"]
    return Task(kept, content_hashes(kept), recipe.model_copy(update={"split": split}), space)


def tune(
    task: Task,
    ledger: Ledger,
    trials: int,
    listeners: TuneListeners | None = None,
    loggers: Sequence[str] = ("tensorboard",),
) -> None:
    """Work at trials until there are ``trials`` in all, whoever works at them; each leaves its bundle in the folder.

    The objective of a trial is :attr:`~cobnut.training.choose.Proof.objective` of the bundle, as it would be deployed,
    on the good validation images. Interrupted and called again, it goes on with the training that was broken off.
    ``loggers`` name who writes the losses down.
    """
    listeners = listeners or TuneListeners()
    warm_up = 3 * task.every_epochs
    ledger.study.pruner = optuna.pruners.MedianPruner(n_startup_trials=NEVER_PRUNED, n_warmup_steps=warm_up)
    with quiet():
        while True:
            with claim(ledger, task.space, trials, task.recipe.seed) as claimed:
                if claimed is None:
                    return
                _try(task, ledger, claimed, listeners, loggers)
            listeners.on_end(claimed.trial.number, read_rows(ledger, task.space))


def _try(task: Task, ledger: Ledger, claimed: Claim, listeners: TuneListeners, loggers: Sequence[str]) -> None:
    trial, bundle, started = claimed.trial, ledger.bundle(claimed.trial.number), time.perf_counter()
    figures: dict[str, float | str]
    objective: float | None
    try:
        recipe = lay(task.recipe, task.space.values(trial.params), f"{task.recipe.name} of trial {trial.number}")
        watch = _Watch(claimed, recipe, task.every_epochs)
        heard = watch.hear(listeners.on_begin(trial.number, recipe))
        manifest = train(task.samples, recipe, bundle, _is_begun(bundle), heard, loggers)
        proof = _prove(bundle, manifest, task.hashes)
    except PrunedError:
        figures, objective = {"epochs": watch.epoch}, None
    except (DivergedError, RecipeError, RuntimeError, MemoryError) as error:
        # a bad place in the space, or one too large for this machine: the search should learn to avoid it
        figures, objective = {"reason": " ".join(str(error).split())[:300] or type(error).__name__}, None
    else:
        figures, objective = _figures(proof, manifest), proof.objective
    for name, value in {**figures, "seconds": time.perf_counter() - started}.items():
        trial.set_user_attr(name, value)
    state = TrialState.PRUNED if objective is None else TrialState.COMPLETE
    ledger.study.tell(trial, objective, state, skip_if_finished=True)
    if objective is None:
        shutil.rmtree(run_folder(bundle), ignore_errors=True)


@dataclass(slots=True)
class _Watch:
    """Reports the objective every few epochs, and ends a training that lags behind the others.

    A network of features learns its prototypes after the last epoch: before it there is nothing to judge.
    """

    claimed: Claim
    recipe: Recipe
    every_epochs: int
    epoch: int = 0
    last_epoch: int = 0
    images: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None

    def hear(self, listeners: Listeners) -> Listeners:
        """Listen beside ``listeners``."""

        def on_split(counts: dict[Split, int]) -> None:
            self.last_epoch = self.recipe.training.epochs_for(counts["train"])
            listeners.on_split(counts)

        return replace(listeners, on_split=on_split, on_detector=self)

    def __call__(self, epoch: int, detector: Detector, validation: NDArray[np.uint8]) -> None:
        self.claimed.sign()
        self.epoch, trial = epoch, self.claimed.trial
        if epoch % self.every_epochs or self.recipe.network.rebuilds == "features":
            return
        if epoch not in self.claimed.reported:
            self.images = self.images or spoil(self.recipe, validation, region=detector.looks_at)
            proof = prove(self.recipe, *(detector_maps(detector, images) for images in self.images))
            trial.report(proof.objective, epoch)
        # The recipe as it was given is always tried to the end, so that the search cannot end with worse; and what has
        # come to its last epoch costs no more.
        if trial.number > 0 and epoch < self.last_epoch and trial.should_prune():
            raise PrunedError


def _is_begun(bundle: Path) -> bool:
    """Whether there is a training to go on with; what was killed before its first note is swept away."""
    if (run_folder(bundle) / RUN_NOTE).exists():
        return True
    shutil.rmtree(run_folder(bundle), ignore_errors=True)
    return False


def _prove(bundle: Path, manifest: Manifest, hashes: Mapping[Path, str]) -> Proof:
    """Judge the validation images with the bundle as it is deployed, at the decision that it came to."""
    paths = {content: path for path, content in hashes.items()}
    contents = manifest.fingerprint["validation"]
    image, region = manifest.recipe.image, read_bundle_region(bundle, manifest)
    region = None if region is None else shrink_region(region, image.shape)
    validation = kept_images([paths[content] for content in contents], contents, image, region=region)
    session = Session(bundle / MODEL)

    def maps_of(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        batches = np.array_split(images, -(-len(images) // _BATCH))
        maps = np.concatenate([session.run(batch)[0] for batch in batches])
        return maps if region is None else maps[:, None, shrink_region(region, (maps.shape[1], maps.shape[2]))]

    return prove(manifest.recipe, *map(maps_of, spoil(manifest.recipe, validation, region=region)))


def _figures(proof: Proof, manifest: Manifest) -> dict[str, float | str]:
    return {
        "auroc": proof.auroc,
        "false_alarm_rate": proof.choice.false_alarm_rate,
        "synthetic_found": proof.choice.synthetic_found,
        "epochs": len(manifest.history),
    }
