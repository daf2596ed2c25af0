"""The trials of a tuning, read from its storage as plain records and written as CSV."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from cobnut.evaluation.trials import TrialRow
from cobnut.files import write_whole
from cobnut.study.claims import counted
from cobnut.study.ledger import Ledger, quiet
from cobnut.study.space import Space

TRUTH = "truth"
FEWEST_FOR_IMPORTANCE = 8
# The importance of an option is its part in reaching the best quarter; a tenth would be a trial or two.
_BEST_SHARE = 0.25
_FIGURES = ("objective", "auroc", "false_alarm_rate", "synthetic_found", "truth", "epochs", "seconds", "reason")


def read_rows(ledger: Ledger, space: Space) -> list[TrialRow]:
    """Every trial that has begun, by number."""
    truths = ledger.study.user_attrs.get(TRUTH, {}).get("aurocs", {})
    begun = [each for each in counted(ledger.study) if each.state != TrialState.WAITING]
    return [_row(each, space, truths.get(str(each.number))) for each in begun]


def read_importance(ledger: Ledger) -> dict[str, float]:
    """The part of each option in what made good trials good (PED-ANOVA, Watanabe et al. 2023), adding up to 1.

    Empty with fewer than ``FEWEST_FOR_IMPORTANCE`` finished trials, or where there is no difference to explain.
    """
    done = ledger.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(done) < FEWEST_FOR_IMPORTANCE or len({each.value for each in done}) == 1:
        return {}
    with quiet():
        shares = get_param_importances(ledger.study, evaluator=PedAnovaImportanceEvaluator(target_quantile=_BEST_SHARE))
    return {key: float(share) for key, share in shares.items()} if sum(shares.values()) > 0 else {}


def write_rows(rows: Sequence[TrialRow], path: Path) -> None:
    """Write a line per trial, its figures and then its settings; values other than numbers and words are JSON."""
    keys = list(dict.fromkeys(key for row in rows for key in row.settings))
    with write_whole(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "outcome", *_FIGURES, *keys])
        for row in rows:
            figures = ["" if (value := getattr(row, name)) is None else value for name in _FIGURES]
            writer.writerow([row.number, row.outcome, *figures, *(_cell(row.settings.get(key)) for key in keys)])


def _row(trial: FrozenTrial, space: Space, truth: float | None) -> TrialRow:
    attrs = trial.user_attrs
    is_finished = trial.state == TrialState.COMPLETE
    return TrialRow(
        number=trial.number,
        outcome=_outcome(trial),
        settings=space.values(trial.params),
        objective=trial.value if is_finished else None,
        auroc=attrs.get("auroc"),
        false_alarm_rate=attrs.get("false_alarm_rate"),
        synthetic_found=attrs.get("synthetic_found"),
        truth=truth,
        epochs=attrs.get("epochs"),
        seconds=attrs.get("seconds"),
        reports=tuple(sorted(trial.intermediate_values.items())),
        reason=attrs.get("reason", ""),
    )


def _outcome(trial: FrozenTrial) -> Literal["finished", "pruned", "failed", "running"]:
    if trial.state == TrialState.COMPLETE:
        return "finished"
    if trial.state == TrialState.RUNNING:
        return "running"
    return "failed" if "reason" in trial.user_attrs else "pruned"


def _cell(value: object) -> object:
    return value if isinstance(value, int | float | str) else json.dumps(value)
