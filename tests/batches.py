"""Images for a batch, a workforce in this process, and the program as a fork, to be killed at any moment."""

import multiprocessing as mp
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cobnut.runtime.batch import Request, run_batch
from cobnut.runtime.shards import Answer, Job, Shard, ShardJudge

COUNT, SHARD = 20, 4


class InThisProcess:
    """Judges shards here, one after the other, and hands them over in another order; stops at ``most``."""

    name, workers = "here", 1

    def __init__(self, most: int | None = None) -> None:
        self.most, self.judged = most, list[int]()

    def judge(self, job: Job, shards: Sequence[Shard]) -> Iterator[Answer]:
        judge = ShardJudge(job, threads=1)
        for shard in list(reversed(shards))[: self.most]:
            self.judged.append(shard.number)
            yield judge.judge(shard)
        if self.most is not None:
            raise KeyboardInterrupt


def stopped_half_way(request: Request, images: Path, folder: Path) -> Request:
    """A batch of copies of images in a folder of their own, that was stopped after its first shard."""
    begun = replace(request, sources=[str(shutil.copytree(images, folder))])
    with pytest.raises(KeyboardInterrupt):
        run_batch(begun, InThisProcess(most=1))
    return begun


def rows_of(out: Path) -> list[dict[str, Any]]:
    return pq.read_table(out / "verdicts.parquet").to_pylist()


def write_images(folder: Path, count: int) -> Path:
    """Images of noise, the fourth damaged and the sixth empty."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(random.integers(0, 255, (32, 32, 3), np.uint8)).save(folder / f"{number:04}.png")
    (folder / "0003.png").write_bytes(b"no image")
    (folder / "0005.png").write_bytes(b"")
    return folder


def kill_at_random(words: list[str], folder: Path, kills: int) -> None:
    """Run the program with ``--out folder/0`` and kill it with signal 9 at a random moment, until so many have died.

    A run that comes to its end before its moment has come is followed by one of another folder. The last is left to
    finish. Workers are forked too, so that death meets work and not the imports of a new interpreter.
    """
    import onnxruntime  # noqa: F401 - not loaded anew by every worker

    from cobnut.runtime import workers

    workers._PROCESSES = mp.get_context("fork")  # type: ignore[assignment]
    random, killed, number = np.random.default_rng(0), 0, 0
    for name in ("first", "whole"):  # the first of all is slower than those that follow
        started = time.monotonic()
        assert _end_of(_begin(words, folder / name)) == 3
    longest = 0.7 * (time.monotonic() - started)
    while killed < kills:
        child = _begin(words, folder / str(number))
        time.sleep(random.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        code = _end_of(child)
        killed += code == -signal.SIGKILL
        number += code == 3
        assert code in (-signal.SIGKILL, 3, 2)  # 2: forked workers of the one before hold the folder a moment longer
    time.sleep(0.5)
    assert _end_of(_begin(words, folder / str(number))) == 3


def _begin(words: list[str], out: Path) -> int:
    from cobnut.cli import main

    child = os.fork()
    if child == 0:
        sys.argv = ["cobnut", *words, "--out", str(out)]
        try:
            main()
        except SystemExit as stop:
            sys.stdout.flush()
            os._exit(int(stop.code or 0))  # a fork lacks the threads that onnxruntime would wait for in the end
    return child


def _end_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    kill_at_random(sys.argv[3:], Path(sys.argv[1]), int(sys.argv[2]))
