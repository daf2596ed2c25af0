"""Who works at which trial: several workers on one storage, and trials whose worker died, share no trial and lose none.

A worker holds a lock file while it works at a trial. The system frees the lock when the process ends, so a running
trial whose lock is free was left by a worker that is dead, and whoever finds it takes it up. Workers that share the
storage but not the folder cannot see each other's locks: they go by the last sign of life in the storage.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState

from cobnut.study.ledger import Ledger
from cobnut.study.space import Space

SIGN_SECONDS = 30.0
DEAD_AFTER_SECONDS = 900.0
_RANDOM_TRIALS = 8
_HOME, _SIGN = "home", "sign_of_life"


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
        if each.user_attrs.get(_HOME) != ledger.note.home and not _is_silent(each):
            continue
        lock = _lock_of(ledger, each.number)
        with suppress(Timeout):
            lock.acquire()
            if ledger.study.get_trials(deepcopy=False)[each.number].state == TrialState.RUNNING:
                # Optuna takes a running trial up again by its id alone, which has no public name.
                trial = optuna.Trial(ledger.study, each._trial_id)
                trial.set_user_attr(_HOME, ledger.note.home)
                return trial, lock
            lock.release()
    return None


def _begin_new(ledger: Ledger, space: Space, most: int, seed: int) -> tuple[optuna.Trial | None, FileLock | None]:
    trials = ledger.study.get_trials(deepcopy=False)
    is_waiting = any(each.state == TrialState.WAITING for each in trials)
    if not is_waiting and len(counted(ledger.study)) >= most:
        return None, None
    ledger.study.sampler = _build_sampler(seed, len(trials))
    trial = ledger.study.ask(space.distributions)
    lock = _lock_of(ledger, trial.number)
    lock.acquire()
    trial.set_user_attr(_HOME, ledger.note.home)
    return trial, lock


def _build_sampler(seed: int, trials: int) -> optuna.samplers.BaseSampler:
    own_seed = int(np.random.SeedSequence([seed, trials]).generate_state(1)[0])
    return optuna.samplers.TPESampler(
        seed=own_seed, n_startup_trials=_RANDOM_TRIALS, multivariate=True, constant_liar=True
    )


def _lock_of(ledger: Ledger, number: int) -> FileLock:
    (ledger.out / "locks").mkdir(exist_ok=True)
    return ledger.lock(f"locks/{number:04}.lock", seconds=0)


def _is_silent(trial: FrozenTrial) -> bool:
    began = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    return bool(time.time() - trial.user_attrs.get(_SIGN, began) > DEAD_AFTER_SECONDS)
