"""Who works at which trial: several workers on one storage, and trials whose worker died, share no trial and lose none.

A worker holds a lock file while it works at a trial. The system frees the lock when the process ends, so a running
trial whose lock is free was left by a worker that is dead, and whoever finds it takes it up. A worker notes its folder,
so workers of other folders find its lock where they can see that; where they cannot, they go by its last sign of life.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState

from cobnut.study.ledger import Ledger, home_of
from cobnut.study.space import Space

SIGN_SECONDS = 30.0
DEAD_AFTER_SECONDS = 900.0
BORN_WITHIN_SECONDS = 60.0  # a worker says where it is as soon as it has a trial
_RANDOM_TRIALS = 8
_HOME, _FOLDER, _SIGN = "home", "folder", "sign_of_life"


@dataclass(slots=True)
class Claim:
    """A trial that this worker alone works at, and the epochs that its training has reported already."""

    trial: optuna.Trial
    reported: set[int]
    signed: float = 0.0

    def sign(self) -> None:
        """Tell workers that share the storage only that this one lives; at most every ``SIGN_SECONDS``."""
        if time.time() - self.signed >= SIGN_SECONDS:
            self.signed = time.time()
            self.trial.set_user_attr(_SIGN, self.signed)


@contextmanager
def claim(ledger: Ledger, space: Space, most: int, seed: int) -> Iterator[Claim | None]:
    """The next trial to work at: one whose worker died, or a new one while there are under ``most``; else ``None``.

    What a new trial tries depends on the ``seed`` and the trials before it alone, so that a single worker that was
    killed goes on as if it had not been.
    """
    lock: FileLock | None = None
    try:
        with ledger.lock():
            trial, lock = _take_up_orphan(ledger) or _begin_new(ledger, space, most, seed)
        if trial is None:
            yield None
            return
        space.suggest(trial)  # its former worker may have died before it had every setting
        known = ledger.study.get_trials(deepcopy=False)[trial.number]
        claimed = Claim(trial, set(known.intermediate_values))
        claimed.sign()
        yield claimed
    finally:
        if lock is not None:
            lock.release()


def counted(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count, by number: all but those that an outsider has marked as failed."""
    return [each for each in study.get_trials(deepcopy=False) if each.state != TrialState.FAIL]


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that came to an end, by number."""
    return [each for each in counted(study) if each.state in (TrialState.COMPLETE, TrialState.PRUNED)]


def _take_up_orphan(ledger: Ledger) -> tuple[optuna.Trial | None, FileLock | None] | None:
    for each in ledger.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        with ExitStack() as theirs, suppress(Timeout):
            if _is_elsewhere(ledger, each):
                if folder := _seen_folder(each):
                    theirs.enter_context(_lock_of(folder, each.number))
                elif not _is_silent(each):
                    continue
            lock = _lock_of(ledger.out, each.number)
            lock.acquire()
            now = ledger.study.get_trials(deepcopy=False)[each.number]
            if now.state == TrialState.RUNNING and now.user_attrs.get(_HOME) == each.user_attrs.get(_HOME):
                # Optuna takes a running trial up again by its id alone, which has no public name.
                return _settle(ledger, optuna.Trial(ledger.study, each._trial_id)), lock
            lock.release()
    return None


def _is_elsewhere(ledger: Ledger, trial: FrozenTrial) -> bool:
    """Whether the trial's worker may be at work in another folder; of one killed at birth no folder is known."""
    return ledger.is_shared and trial.user_attrs.get(_HOME) != ledger.note.home


def _seen_folder(trial: FrozenTrial) -> Path | None:
    """The folder of the trial's worker, where it can be seen and locked from here."""
    home, folder = trial.user_attrs.get(_HOME), Path(str(trial.user_attrs.get(_FOLDER, "")))
    return folder if home and home_of(folder) == home and os.access(folder / "locks", os.W_OK) else None


def _settle(ledger: Ledger, trial: optuna.Trial) -> optuna.Trial:
    """The trial, after its storage was told where it is worked at."""
    trial.set_user_attr(_FOLDER, str(ledger.out))
    trial.set_user_attr(_HOME, ledger.note.home)
    return trial


def _begin_new(ledger: Ledger, space: Space, most: int, seed: int) -> tuple[optuna.Trial | None, FileLock | None]:
    trials = ledger.study.get_trials(deepcopy=False)
    is_waiting = any(each.state == TrialState.WAITING for each in trials)
    if not is_waiting and len(counted(ledger.study)) >= most:
        return None, None
    ledger.study.sampler = _build_sampler(seed, len(trials))
    trial = ledger.study.ask(space.distributions)
    lock = _lock_of(ledger.out, trial.number)
    lock.acquire()
    return _settle(ledger, trial), lock


def _build_sampler(seed: int, trials: int) -> optuna.samplers.BaseSampler:
    own_seed = int(np.random.SeedSequence([seed, trials]).generate_state(1)[0])
    return optuna.samplers.TPESampler(
        seed=own_seed, n_startup_trials=_RANDOM_TRIALS, multivariate=True, constant_liar=True
    )


def _lock_of(out: Path, number: int) -> FileLock:
    (out / "locks").mkdir(exist_ok=True)
    return FileLock(out / "locks" / f"{number:04}.lock", timeout=0)


def _is_silent(trial: FrozenTrial) -> bool:
    began = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    longest = DEAD_AFTER_SECONDS if trial.user_attrs.get(_HOME) else BORN_WITHIN_SECONDS
    return bool(time.time() - trial.user_attrs.get(_SIGN, began) > longest)
