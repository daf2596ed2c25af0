"""A small search on rendered parts, and a worker as a process of its own, to be killed."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cobnut.recipe import Recipe
from cobnut.records import Sample
from cobnut.study.ledger import Ledger, fingerprint, open_ledger
from cobnut.study.space import Space, read_space
from cobnut.study.tune import Task, build_task

SPACE = Path(__file__).parent / "study" / "space.toml"

_WORKER = """
import sys, time
from pathlib import Path
import torch
from cobnut.data.layouts import read_dataset
from cobnut.recipe import Recipe
from cobnut.study.tune import TuneListeners, tune
from cobnut.training import callbacks
from cobnut.training.train import Listeners
from searching import open_search, small_task
torch.set_num_threads(1)
callbacks.WayBack.__init__.__defaults__ = (0.0,)
task = small_task(read_dataset(Path(sys.argv[1])), Recipe.model_validate_json(sys.argv[2]))
def begin(number, recipe):
    def tell(epoch, best):
        print(number, epoch.epoch, flush=True)
        time.sleep(0.05)
    return Listeners(on_epoch=tell)
with open_search(Path(sys.argv[3]), task) as ledger:
    tune(task, ledger, int(sys.argv[4]), TuneListeners(on_begin=begin))
"""


def small_task(samples: Sequence[Sample], recipe: Recipe, space: Space | None = None) -> Task:
    """Learning rate and smoothing of the recipe, or another space."""
    return build_task(samples, recipe, space or read_space(recipe, SPACE))


@contextmanager
def open_search(out: Path, task: Task, storage: str | None = None) -> Iterator[Ledger]:
    with open_ledger(out, task.recipe, task.space, fingerprint(task.samples, task.hashes), storage) as ledger:
        yield ledger


def worker_command(data: Path, recipe: Recipe, out: Path, trials: int) -> list[str]:
    """A process that works at trials and prints «trial epoch» after every epoch."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n{_WORKER}"
    return [sys.executable, "-c", code, str(data), recipe.model_dump_json(), str(out), str(trials)]
