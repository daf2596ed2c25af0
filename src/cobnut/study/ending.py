"""The end of a tuning: the best recipe is written; only then the test is looked at, and all is summed up."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tomli_w
from optuna.trial import TrialState

from cobnut.data.split import content_hashes
from cobnut.errors import CobnutError, ImageError
from cobnut.evaluation.evaluate import test_samples
from cobnut.evaluation.metrics import auroc
from cobnut.evaluation.trials import TrialRow, Tuning
from cobnut.files import write_whole
from cobnut.recipe import Recipe
from cobnut.records import Sample
from cobnut.runtime.bundle import read_manifest
from cobnut.runtime.inspect import Inspector
from cobnut.study.claims import counted
from cobnut.study.ledger import Ledger, fingerprint
from cobnut.study.rows import TRUTH, read_importance, read_rows
from cobnut.study.space import Space, lay
from cobnut.training.choose import synthetic_counts
from cobnut.training.run import run_folder


def is_over(ledger: Ledger, trials: int) -> bool:
    """Whether ``trials`` have come to an end and no worker is at one."""
    done = counted(ledger.study)
    return len(done) >= trials and all(each.state.is_finished() for each in done)


def sum_up(ledger: Ledger, space: Space, data: str, recipe: Recipe) -> Tuning:
    """All that is known of the tuning.

    Raises :class:`CobnutError` when no trial came to its end, with the reason of the first.
    """
    rows = read_rows(ledger, space)
    finished = [row for row in rows if row.outcome == "finished"]
    if not finished:
        reason = next((row.reason for row in rows if row.reason), "none has ended yet")
        raise CobnutError(f"no trial came to its end: {reason}; narrow the space, or mend the recipe")
    here = [row for row in finished if ledger.bundle(row.number).is_dir()]
    if not here:
        raise CobnutError(
            f"{ledger.bundle(finished[0].number).parent}: this machine trained none of the {len(finished)} finished "
            "trials; run the same command where they were trained, it ends the tuning"
        )
    good, synthetic = synthetic_counts(len(read_manifest(ledger.bundle(here[0].number)).fingerprint["validation"]))
    scales = {key: space.scale(key) for key in space.distributions}
    return Tuning(data, recipe.name, rows, scales, read_importance(ledger), good, synthetic)


def write_best(tuning: Tuning, recipe: Recipe, path: Path) -> Recipe:
    """Write the recipe with the settings of the best trial as TOML, where they came from on top."""
    best = tuning.best
    named = recipe.model_copy(update={"name": f"{recipe.name}-tuned"})
    tuned = lay(named, best.settings, f"{recipe.name} of trial {best.number}")
    origin = (
        f"# From `cobnut tune`: trial {best.number} of {len(tuning.rows)} on «{tuning.data}», begun with recipe "
        f"{recipe.name}.\n# Objective {best.objective:.4f} on good validation images and synthetic defects "
        f"(the recipe as it was: {_text(tuning.start.objective)}).\n\n"
    )
    with write_whole(path) as partial:
        text = tomli_w.dumps(tuned.model_dump(mode="json", exclude_none=True))
        partial.write_text(origin.replace("\r", " ") + text, encoding="utf-8")
    return tuned


def look_at_truth(
    ledger: Ledger, rows: Sequence[TrialRow], samples: Sequence[Sample], on_row: Callable[[TrialRow], None]
) -> None:
    """Note the image AUROC on the test images of every trial of ``rows`` whose bundle stands here.

    What was noted for the very same images is not judged again.
    """
    tested = [sample for sample in samples if sample.split == "test"]
    images = fingerprint(tested, content_hashes(tested))
    noted = ledger.study.user_attrs.get(TRUTH, {})
    aurocs = noted["aurocs"] if noted.get("images") == images else {}
    for row in rows:
        bundle = ledger.bundle(row.number)
        if str(row.number) not in aurocs and bundle.is_dir():
            aurocs[str(row.number)] = true_auroc(bundle, samples)
            ledger.study.set_user_attr(TRUTH, {"images": images, "aurocs": aurocs})
        on_row(row)


def true_auroc(bundle: Path, samples: Sequence[Sample]) -> float | None:
    """The image AUROC of a bundle on the test images; ``None`` without good or without defective ones."""
    inspector = Inspector(bundle, engine="own", require_signature=False)
    tested, _ = test_samples(samples, inspector, allow_leaks=False)
    scores: dict[bool, list[float]] = {False: [], True: []}
    for sample, answer in zip(tested, inspector.inspect_files([each.path for each in tested]), strict=True):
        if not isinstance(answer, ImageError):
            scores[sample.is_defective].append(answer.score)
    if not scores[False] or not scores[True]:
        return None
    return auroc(np.sort(scores[False]), np.array(scores[True]))


def sweep(ledger: Ledger) -> None:
    """Remove what a worker may have left that was killed while it gave a trial up."""
    for each in ledger.study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)):
        shutil.rmtree(run_folder(ledger.bundle(each.number)), ignore_errors=True)


def _text(objective: float | None) -> str:
    return "none" if objective is None else f"{objective:.4f}"
