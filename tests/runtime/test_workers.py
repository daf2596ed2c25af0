"""Processes judge shards; whichever dies, and whenever, the rows are those of a run that nothing broke."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from batches import write_images
from cobnut.errors import BundleError, CobnutError
from cobnut.runtime.batch import BatchListeners, Request, run_batch
from cobnut.runtime.shards import Job, Shard, read_digest
from cobnut.runtime.workers import LocalWorkers

COUNT, SHARD, KILLS = 60, 3, 20
VERDICTS = "verdicts.parquet"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("batch") / "in", COUNT)


@pytest.fixture(scope="module")
def words(bundle: Path, images: Path) -> list[str]:
    return ["batch", str(bundle), str(images), "--shard", str(SHARD), "--workers", "2"]


@pytest.fixture(scope="module")
def unbroken(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The verdicts of a run that nothing broke, byte for byte."""
    out = tmp_path_factory.mktemp("unbroken") / "out"
    done = subprocess.run(
        [sys.executable, "-m", "cobnut", *words, "--out", out], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    return (out / VERDICTS).read_bytes()


@pytest.mark.long
def test_killed_twenty_times_it_gives_the_rows_of_an_unbroken_run(words: list[str], tmp_path: Path) -> None:
    program = Path(__file__).parents[1] / "batches.py"
    # CSV, because in a fork the first table of Parquet takes longer than all else.
    start = [sys.executable, program, tmp_path, str(KILLS), *words, "--format", "csv"]
    done = subprocess.run(start, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    unbroken = (tmp_path / "whole" / "verdicts.csv").read_bytes()
    assert unbroken.count(b"\n") == COUNT + 1
    for out in tmp_path.iterdir():
        assert (out / "verdicts.csv").read_bytes() == unbroken
        assert not list(out.rglob(".*.part"))


class Murderer:
    """Kills a worker when it hears of a shard, so many times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, _images: int) -> None:
        if self.times:
            self.times -= 1
            os.kill(children_of(os.getpid())[0], signal.SIGKILL)


def children_of(process: int) -> list[int]:
    """The workers among a process's children."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(each) for each in listed if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]


def test_a_worker_that_dies_is_replaced(bundle: Path, images: Path, tmp_path: Path, unbroken: bytes) -> None:
    request = Request(bundle, None, [str(images)], tmp_path / "out", shard=SHARD)
    murderer = Murderer(times=3)
    run_batch(request, LocalWorkers(2), BatchListeners(on_shard=murderer))
    assert murderer.times == 0
    assert (tmp_path / "out" / VERDICTS).read_bytes() == unbroken
    assert children_of(os.getpid()) == []


def test_a_shard_that_kills_its_workers_is_named(bundle: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A worker that finds no memory for its bundle dies by the system's hand; here by a variable that Python refuses.
    monkeypatch.setenv("PYTHONHASHSEED", "nonsense")
    job = Job(bundle, None, "", "/", (str(images),), has_maps=False)
    told = r"shard 7 \(1 images from .*0000.png on\): 3 workers died at it \(exit code 1\); give fewer --workers"
    with pytest.raises(CobnutError, match=told):
        list(LocalWorkers(1).judge(job, [Shard(7, [str(images / "0000.png")])]))


def test_what_is_no_death_is_told_at_once_as_what_it_is(bundle: Path, images: Path) -> None:
    job = Job(bundle, None, read_digest(bundle, None), "/", (str(images),), has_maps=False)
    with pytest.raises(CobnutError, match="a worker failed: TypeError: 'NoneType' object is not iterable"):
        list(LocalWorkers(1).judge(job, [Shard(0, None)]))  # type: ignore[arg-type]


def test_what_a_worker_cannot_mend_is_told_as_it_told_it(bundle: Path, images: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(bundle, tmp_path / "broken.cobnut"))
    (broken / "model.onnx").write_bytes(b"")
    job = Job(broken, None, "", "/", (str(images),), has_maps=False)
    with pytest.raises(BundleError, match=r"model.onnx: is damaged or was altered"):
        list(LocalWorkers(2).judge(job, [Shard(0, [str(images / "0000.png")])]))
    assert children_of(os.getpid()) == []


@pytest.fixture
def sigint_is_heard() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("sigint_is_heard")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_ended_run_leaves_no_process_and_goes_on(
    how: signal.Signals, words: list[str], unbroken: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    start = [sys.executable, "-m", "cobnut", *words, "--out", str(out)]
    with subprocess.Popen(start, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        wait_for(lambda: any(out.glob("shards/*.jsonl")) or process.poll() is not None)
        workers = children_of(process.pid)
        process.send_signal(how)
        _, told = process.communicate(timeout=60)
    assert process.returncode in ({signal.SIGINT: 130}.get(how, -how), 3)  # 3: it was done before it heard
    if process.returncode == 130:
        assert told.strip() == (
            "error: interrupted; what was written is whole, and the same command goes on with the batch where it was"
        )
    wait_for(lambda: not any(Path(f"/proc/{each}").exists() for each in workers))
    subprocess.run(start, capture_output=True, check=False)
    assert (out / VERDICTS).read_bytes() == unbroken


def wait_for(is_so) -> None:
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_threads_and_workers_change_no_row(bundle: Path, images: Path, tmp_path: Path, unbroken: bytes) -> None:
    request = Request(bundle, None, [str(images)], tmp_path / "out", shard=SHARD)
    run_batch(replace(request, out=tmp_path / "one"), LocalWorkers(1))
    assert (tmp_path / "one" / VERDICTS).read_bytes() == unbroken
