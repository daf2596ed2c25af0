"""A study's cells, or a search's workers, on the machines of a Ray cluster that all see the same folders.

Tasks rather than Ray Tune: what is to be done, and how far it has come, stands in the folder already. So a task that
dies with its node is begun again elsewhere, where it goes on from its last checkpoint.
"""

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from cobnut.errors import CobnutError
from cobnut.evaluation.outcome import Failure, Outcome
from cobnut.runtime.cluster import check_node, connect, software
from cobnut.study.claims import finished
from cobnut.study.grid import Cell, Grid
from cobnut.study.ledger import Ledger, fingerprint, open_ledger
from cobnut.study.rows import read_rows
from cobnut.study.study import StudyListeners, run_or_record, waiting_cells
from cobnut.study.tune import Task, TuneListeners, tune

_RETRIES = 3
_SECONDS_BETWEEN_LOOKS = 2.0
# What nodes are told of the environment: places, but not what opens keys.
_SHARED = ("COBNUT_CACHE", "COBNUT_CACHE_GB", "COBNUT_WEIGHTS")


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster at ``address``, by default one of its own on this machine, and how many work there at once: by
    default one on each node."""

    address: str | None = None
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class _Home:
    """Where the driver stands, so that relative paths mean the same everywhere, what its environment says to Cobnut,
    and by which software."""

    folder: Path
    environment: dict[str, str]
    software: str

    def enter(self) -> None:
        """Stand there on this node; raises :class:`CobnutError` where that cannot be."""
        check_node(self.software)
        if not self.folder.is_dir():
            raise CobnutError(
                f"node {socket.gethostname()} does not see {self.folder}; begin in a folder that all nodes share"
            )
        os.chdir(self.folder)
        os.environ.update(self.environment)  # Ray's own way needs an agent that its small install lacks


def run_study_on_cluster(
    grid: Grid, cluster: Cluster, listeners: StudyListeners, loggers: Sequence[str] = ("tensorboard",)
) -> list[Failure]:
    """Run every cell that is not done, several at once; of ``listeners`` only ``on_end`` hears anything.

    As :func:`~cobnut.study.study.run_study` does, to the same figures. Raises :class:`CobnutError` where the cluster
    cannot be used.
    """
    failures = []
    with connect(cluster.address, cluster.workers) as ray:
        work, _ = _remote(ray, _work_at_cell, cluster.workers)
        asked = {work.remote(_home(), cell, list(loggers)): cell for cell in waiting_cells(grid)}
        while asked:
            [done], _ = ray.wait(list(asked), num_returns=1)
            cell, (end, seconds) = asked.pop(done), _answer(ray, done)
            if isinstance(end, Failure):
                failures.append(end)
            listeners.on_end(cell, end, seconds)
    return failures


def tune_on_cluster(
    task: Task,
    ledger: Ledger,
    trials: int,
    storage: str | None,
    cluster: Cluster,
    listeners: TuneListeners,
    loggers: Sequence[str] = ("tensorboard",),
) -> None:
    """Work at trials until there are ``trials`` in all, several at once; of ``listeners`` only ``on_end`` hears.

    Workers share ``storage``, or the SQLite file in the folder, which is safe on one machine only. Raises
    :class:`CobnutError` where the cluster cannot be used.
    """
    told = {trial.number for trial in finished(ledger.study)}
    with connect(cluster.address, cluster.workers) as ray:
        work, count = _remote(ray, _work_at_trials, cluster.workers)
        asked = [work.remote(_home(), task, ledger.out, storage, trials, list(loggers)) for _ in range(count)]
        while asked:
            done, asked = ray.wait(asked, num_returns=1, timeout=_SECONDS_BETWEEN_LOOKS)
            for trial in finished(ledger.study):
                if trial.number not in told:
                    told.add(trial.number)
                    listeners.on_end(trial.number, read_rows(ledger, task.space))
            for each in done:
                _answer(ray, each)


def _home() -> _Home:
    ours = {name: os.environ[name] for name in _SHARED if name in os.environ}
    return _Home(Path.cwd(), ours, software())


def _work_at_cell(home: _Home, cell: Cell, loggers: list[str]) -> tuple[Outcome | Failure, float]:
    home.enter()
    started = perf_counter()
    return run_or_record(cell, StudyListeners(), loggers), perf_counter() - started


def _work_at_trials(home: _Home, task: Task, out: Path, storage: str | None, trials: int, loggers: list[str]) -> None:
    home.enter()
    images = fingerprint(task.samples, task.hashes)
    with open_ledger(out, task.recipe, task.space, images, storage) as ledger:
        tune(task, ledger, trials, None, loggers)


def _remote(ray: Any, work: Callable[..., Any], workers: int | None) -> tuple[Any, int]:
    """``work`` as a task of the cluster, and how many of them there are room for: each has its share of the cores."""
    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    nodes = [cores for cores in nodes if cores] or [1]
    count = workers or len(nodes)
    share = max(1, min(max(nodes), sum(nodes) // count))
    return ray.remote(num_cpus=share, max_retries=_RETRIES)(work), count


def _answer(ray: Any, asked: Any) -> Any:
    """What a task came to; raises :class:`CobnutError` in one line for what stopped it."""
    try:
        return ray.get(asked)
    except ray.exceptions.RayTaskError as error:
        with suppress(AttributeError):
            if isinstance(error.cause, CobnutError):
                raise CobnutError(str(error.cause)) from None
        raise CobnutError(f"Ray: {' '.join(str(error).split())[-300:]}") from None
    except ray.exceptions.RayError as error:
        raise CobnutError(
            f"Ray: a worker died again and again ({type(error).__name__}); look at `ray status`; the same command goes "
            "on"
        ) from None
