"""A study's finished cells gathered from disk, and written as rows for a spreadsheet, for machines and for notes."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

import cobnut
from cobnut.evaluation.comparison import Comparison
from cobnut.evaluation.outcome import Outcome, read_failure, read_outcome
from cobnut.evaluation.published import STUDY_FIGURES, is_of_the_study
from cobnut.evaluation.standing import RANGED, Contest, Results, Standing, build_contests
from cobnut.files import write_whole
from cobnut.study.grid import FAILURE, OUTCOME
from cobnut.study.note import read_note

FIGURES = (
    "image_auroc", "accuracy", "f1", "precision", "recall", "false_alarm_rate", "miss_rate",
    "image_ap", "f1_max", "pixel_auroc", "pixel_ap", "pro",
)  # fmt: skip
COLUMNS = (
    "category", "recipe", "seed", *FIGURES, "threshold", "train_seconds", "epochs", "best_epoch",
    "train_loss", "train_mse", "val_loss", "val_mse", "parameters", "ms_per_image", "remark", "error",
)  # fmt: skip


def read_results(out: Path) -> Results:
    """Everything that stands in a study's folder; raises :class:`DataError` when a file of it is damaged."""
    note = read_note(out)
    outcomes = [read_outcome(path) for path in sorted(out.glob(f"*/*/seed-*/{OUTCOME}"))]
    failures = [
        read_failure(path) for path in sorted(out.glob(f"*/*/seed-*/{FAILURE}")) if not path.with_name(OUTCOME).exists()
    ]
    return Results(build_contests(outcomes), failures, note.command if note else "")


def write_rows(results: Results, path: Path) -> None:
    """Write one row a cell as CSV, the failed ones with their reason."""
    with write_whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for contest in results.contests:
            for standing in contest.standings:
                writer.writerows(_row(each) for each in standing.outcomes)
        for failure in results.failures:
            writer.writerow(
                {"category": failure.category, "recipe": failure.recipe, "seed": failure.seed, "error": failure.reason}
            )


def write_json(results: Results, path: Path) -> None:
    """Write rows, means, intervals and comparisons for machines; a figure without its truth is ``null``."""
    content = {
        "command": results.command,
        "versions": {"cobnut": cobnut.__version__},
        "categories": {contest.category: _contest(contest) for contest in results.contests},
        "failures": [each.model_dump() for each in results.failures],
    }
    with write_whole(path) as partial:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        partial.write_text(text + "\n", "utf-8")


def _row(outcome: Outcome) -> dict[str, Any]:
    best = outcome.best
    return {
        "category": outcome.category,
        "recipe": outcome.name,
        "seed": outcome.recipe.seed,
        **{name: outcome.figures.get(name) for name in FIGURES},
        "threshold": outcome.threshold,
        "train_seconds": outcome.train_seconds,
        "epochs": len(outcome.history),
        "best_epoch": outcome.best_epoch,
        **{name: getattr(best, name, None) for name in ("train_loss", "train_mse", "val_loss", "val_mse")},
        "parameters": outcome.parameters,
        "ms_per_image": outcome.ms_per_image,
        "remark": outcome.remark,
        "error": "",
    }


def _contest(contest: Contest) -> dict[str, Any]:
    return {
        "images": {"good": contest.good, "defective": contest.defective, "left_out": contest.left_out},
        "recipes": {each.recipe: _standing(each) for each in contest.standings},
        "comparisons": [_comparison(each) for each in contest.comparisons],
        "study": STUDY_FIGURES if is_of_the_study(contest.category) else None,
    }


def _comparison(each: Comparison) -> dict[str, Any]:
    significant = {name: {"is_significant": getattr(each, name).is_significant} for name in ("auroc", "accuracy")}
    content = asdict(each)
    return content | {name: content[name] | extra for name, extra in significant.items()}


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "remark": standing.remark,
        "seeds": [each.recipe.seed for each in standing.outcomes],
        "means": standing.figures,
        "intervals": {name: each for name, each in standing.intervals.items() if name not in RANGED},
        "lowest_and_highest_seed": {name: standing.intervals.get(name) for name in RANGED},
        "train_seconds": _mean_of(standing.outcomes, "train_seconds"),
        "ms_per_image": _mean_of(standing.outcomes, "ms_per_image"),
        "parameters": standing.first.parameters,
        "versions": standing.first.versions,
        "recipe": standing.first.recipe.model_dump(mode="json"),
        "rows": [_row(each) for each in standing.outcomes],
    }


def _mean_of(outcomes: Sequence[Outcome], name: str) -> float:
    return float(mean(getattr(each, name) for each in outcomes))
