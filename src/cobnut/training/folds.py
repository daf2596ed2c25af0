"""Training over folds: each of K detectors is made without its fold, which it then judges; all go into one model."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cobnut.calibration.decision import check_promise
from cobnut.data.images import in_chunks
from cobnut.data.region import Region
from cobnut.data.seen import hash_pixels
from cobnut.data.split import FEWEST_HELD_BACK
from cobnut.data.working import at_working_size
from cobnut.errors import CobnutError, DataError
from cobnut.files import make_folder, write_whole
from cobnut.models import build_detector, build_network
from cobnut.models.cross import OUTPUTS as OF_FOLDS
from cobnut.models.cross import CrossDetector, share_parts
from cobnut.models.detector import Detector
from cobnut.options import CalibrationOptions
from cobnut.recipe import Recipe
from cobnut.records import Split
from cobnut.runtime.agreement import MOST_COMPARED, Agreement, agree, spread_of
from cobnut.runtime.bundle import Epoch
from cobnut.runtime.export import OUTPUTS, fill, run_model, run_trained, write_onnx
from cobnut.training.checks import with_promise
from cobnut.training.fit import load_checkpoint
from cobnut.training.made import Exported, Images, Made, MakeOne, One, count_parameters
from cobnut.training.run import FOLD_DONE

FEWEST_TRAINING = 4
_TINY = np.finfo(np.float32).tiny


@dataclass(frozen=True, slots=True)
class Fold:
    """Places of images: those that a detector trains on, those that stop it and choose, and those it never sees."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    left_out: NDArray[np.intp]

    @property
    def others(self) -> NDArray[np.intp]:
        """All that this fold's detector was made with."""
        return np.union1d(self.train, self.validation)


def pool(parts: dict[Split, list[Path]], hashes: dict[Path, str]) -> dict[Split, list[Path]]:
    """The good images' paths by split where all that are no test train and calibrate; of copies only the first."""
    found = {hashes[path]: path for split in ("calibration", "validation", "train") for path in reversed(parts[split])}
    paths = [found[content] for content in sorted(found)]
    return {"train": paths, "validation": [], "calibration": paths, "test": parts["test"]}


def count_parts(contents: Sequence[str], recipe: Recipe) -> dict[Split, int]:
    """How many images train, stop and are left out in a fold; refused as :func:`deal_folds` does."""
    fold = deal_folds(contents, recipe)[0]
    return {"train": len(fold.train), "validation": len(fold.validation), "calibration": len(fold.left_out)}


def deal_folds(contents: Sequence[str], recipe: Recipe) -> list[Fold]:
    """Deal images, known by the hashes of their contents, to folds of one size; which, the contents and the seed say.

    What is left of equal folds is never left out. Of those that are not in a fold the recipe's share for validation
    stops its training and chooses; which these are depends on no other image. Raises :class:`DataError` for too few.
    """
    folds, validation, seed = recipe.calibration.folds, recipe.split.validation, recipe.seed
    order = np.argsort([_place(content, "fold", seed) for content in contents])
    size = len(contents) // folds
    dealt = []
    for fold in range(folds):
        left_out = np.sort(order[fold * size : (fold + 1) * size])
        others = np.setdiff1d(order, left_out)
        held_back = max(FEWEST_HELD_BACK, round(validation * len(others)))
        if len(others) < held_back + FEWEST_TRAINING:
            raise DataError(
                f"{len(others)} good images beside a fold: {held_back + FEWEST_TRAINING} are needed; add some"
            )
        by_chance = others[np.argsort([_place(contents[place], "validation", seed) for place in others])]
        dealt.append(Fold(np.sort(by_chance[held_back:]), np.sort(by_chance[:held_back]), left_out))
    return dealt


def make_folds(
    asked: Recipe,
    recipe: Recipe,
    images: Images,
    paths: Sequence[Path],
    folder: Path,
    make: MakeOne,
    on_fold: Callable[[int, int], None],
    region: Region | None = None,
) -> Made:
    """Make a detector for each fold of the good ``images``, each in its own folder, and what a bundle holds of all.

    An image that was saved as several files counts once. The history is that of the first fold. Raises
    :class:`CobnutError` where too few images are left for the promise, or the size would not be the same in all folds.
    """
    pixels, first = np.unique([hash_pixels(image) for image in images], return_index=True)
    recipe = with_promise(recipe.model_copy(update={"calibration": asked.calibration}), len(pixels))
    images, contents = images[first], [str(each) for each in pixels]
    folds = deal_folds(contents, recipe)
    if asked.image.follow:
        _check_sizes(asked, recipe, [[paths[place] for place in first[fold.others]] for fold in folds])
    made = []
    for number, fold in enumerate(folds, start=1):
        on_fold(number, len(folds))
        made.append(_make_fold(recipe, images, fold, folder / f"fold-{number}", make, region))
    detectors = [each.detector for each in made]
    parameters = sum(map(count_parameters, detectors))
    share_parts(detectors)
    resolved = _agreed(recipe, made)
    return Made(
        recipe=resolved,
        choice=None,
        history=made[0].history,
        best_epoch=made[0].best_epoch,
        weights=_weights_of_all(detectors),
        parameters=parameters,
        seen={"train": contents, "validation": [], "calibration": contents, "test": []},
        export=partial(_export_folds, detectors, folds, images, resolved.calibration),
    )


def _check_sizes(asked: Recipe, recipe: Recipe, without: Sequence[Sequence[Path]]) -> None:
    """Hold that the images outside each fold alone would have given the size: else those in it chose it as well."""
    found = sorted({at_working_size(asked, paths)[0].image.shape for paths in without})
    if found != [recipe.image.shape]:
        sizes = " and ".join(f"{width} × {height}" for height, width in found)
        raise DataError(
            f"the good images differ in size, so that folds would work at {sizes} pixels; set image.follow=false, "
            f"image.size={recipe.image.size} and image.aspect={recipe.image.aspect:g}"
        )


def _make_fold(recipe: Recipe, images: Images, fold: Fold, folder: Path, make: MakeOne, region: Region | None) -> One:
    """One fold's detector, or what was kept of it when it was done before."""
    alone = recipe.model_copy(update={"calibration": recipe.calibration.model_copy(update={"folds": 0})})
    done = folder / FOLD_DONE
    if done.exists():
        return _read_fold(alone, done, region)
    one = make(alone, images[fold.train], images[fold.validation], make_folder(folder))
    kept = {
        "detector": one.detector.state_dict(),
        "recipe": one.recipe.model_dump_json(),
        "history": [epoch.model_dump() for epoch in one.history],
        "best_epoch": one.best_epoch,
    }
    with write_whole(done) as partial_file:
        torch.save(kept, partial_file)
    return one


def _read_fold(recipe: Recipe, done: Path, region: Region | None) -> One:
    kept = load_checkpoint(done)
    resolved = Recipe.model_validate_json(kept["recipe"])
    detector = build_detector(build_network(recipe), resolved, region)
    detector.typical = kept["detector"].get("typical")
    detector.load_state_dict(kept["detector"])
    history = [Epoch.model_validate(epoch) for epoch in kept["history"]]
    return One(detector.eval(), resolved, None, history, kept["best_epoch"], {})


def _export_folds(
    detectors: Sequence[Detector], folds: Sequence[Fold], images: Images, options: CalibrationOptions, model: Path
) -> Exported:
    """Write the detectors as one model that counts, and tell maps (n, 1, 1) and scores (n,) of its left-out images.

    The model's own scores of the left-out images are written into it. Their maps stand for their highest value: the map
    is told in such a unit that what as many of them exceed as the threshold is the threshold itself.
    """
    cross = CrossDetector(detectors, len(folds[0].left_out)).eval()
    example = np.array(images[: len(next(in_chunks(images)))])
    with torch.inference_mode():
        told = len(cross(torch.from_numpy(example[:1])))
    write_onnx(cross, example, model, (*OUTPUTS[: told - len(OF_FOLDS)], *OF_FOLDS))
    answers = [run_model(model, in_chunks(images[fold.left_out]), OF_FOLDS) for fold in folds]
    scores = np.stack([scores[:, number] for number, (scores, _) in enumerate(answers)])
    peaks = np.stack([peaks[:, number] for number, (_, peaks) in enumerate(answers)])
    usual = np.maximum(np.median(peaks, axis=1, keepdims=True), _TINY)
    rank = check_promise(options, scores.size)
    unit = rank / np.maximum(np.sort((peaks / usual).ravel())[rank - 1], _TINY)
    fill(
        model,
        {
            "scores": scores[None],
            "usual_score": np.maximum(np.median(scores, axis=1), _TINY)[None],
            "usual_peak": (usual / unit)[None, :, :, None],
        },
    )
    _check_count(model, example, scores)
    maps = np.sort((peaks / usual * unit).ravel()).astype(np.float32)[:, None, None]
    counted = np.arange(1, scores.size + 1, dtype=np.float32)
    return Exported(maps, counted, partial(_check_folds, cross, model, images, scores))


def _check_folds(
    cross: CrossDetector, model: Path, images: Images, left_out: NDArray[np.float32], threshold: float
) -> Agreement:
    """Hold the finished model against the trained detectors: the scores of each, and which images outscore enough."""
    some = images[:: -(-len(images) * len(left_out) // MOST_COMPARED)]
    [exported] = run_model(model, in_chunks(some), OF_FOLDS[:1])
    trained = run_trained(cross, in_chunks(some), output=-2)
    spreads = np.array([spread_of(each) for each in left_out])
    return agree(trained, exported, spreads, lambda scores: _outscored(scores, left_out) >= threshold)


def _check_count(model: Path, images: Images, left_out: NDArray[np.float32]) -> None:
    """Hold that the finished model counts the ``left_out`` scores (folds, size) as its own fold scores say.

    Raises :class:`CobnutError` when it does not.
    """
    score, by_fold = run_model(model, [images], ("score", OF_FOLDS[0]))
    if (np.floor(score) != _outscored(by_fold, left_out)).any():
        raise CobnutError(f"{model.name}: does not count its left-out images; nothing was written, report the recipe")


def _outscored(scores: NDArray[np.floating[Any]], left_out: NDArray[np.float32]) -> NDArray[np.intp]:
    """How many left-out scores (folds, size) lie below an image's, (n, folds), each by its own detector: (n,)."""
    return np.asarray((left_out[None] < scores[:, :, None]).sum(axis=(1, 2)))


def _weights_of_all(detectors: Sequence[Detector]) -> dict[str, torch.Tensor]:
    """The numbers of all detectors, by fold and name; what they share stands once, with the first."""
    found: dict[int, str] = {}
    weights = {}
    for number, detector in enumerate(detectors, start=1):
        for name, value in detector.state_dict().items():
            key = f"fold-{number}.{name}"
            if found.setdefault(value.data_ptr(), key) == key or not value.numel():
                weights[key] = value.contiguous()
    return weights


def _agreed(recipe: Recipe, made: Sequence[One]) -> Recipe:
    """The recipe with the automatic options that every fold chose alike; what they differ in stays automatic."""
    chosen = [each.recipe.score.model_dump() for each in made]
    alike = {name: value for name, value in chosen[0].items() if all(each[name] == value for each in chosen)}
    return recipe.model_copy(update={"score": recipe.score.model_copy(update=alike)})


def _place(content: str, side: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{side}:{content}".encode()).hexdigest()
