"""A cluster judges shards: the rows are those of this machine's processes, even when a node dies half-way."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from batches import write_images
from cobnut.runtime.bundle import WEIGHTS

pytestmark = pytest.mark.long
COUNT = 400


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("batch") / "in", COUNT)


def begin(*words: object) -> subprocess.Popen[str]:
    """The program in a process of its own, where every warning is an error."""
    start = [sys.executable, "-W", "error", "-m", "cobnut", "batch", *map(str, words)]
    return subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_node_that_dies_half_way_changes_no_row(cluster: Any, bundle: Path, images: Path, tmp_path: Path) -> None:
    local = begin(bundle, images, "--out", tmp_path / "local", "--shard", 4)
    out = tmp_path / "ray"
    words = (bundle, images, "--out", out, "--shard", 4, "--engine", "ray", "--address", cluster.address)
    with begin(*words) as process:
        until = time.monotonic() + 120
        while len(list(out.glob("shards/*.jsonl"))) < 20 and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()[1]
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        assert not (out / "batch.json").exists()  # there was work left
        told, errors = process.communicate(timeout=120)
    assert process.returncode == 3, errors
    assert errors == f"name {out / 'unreadable.csv'} as SOURCE of another batch to try those again\n"
    assert f"{COUNT - 2} judged" in told
    assert local.communicate(timeout=120)[1] == errors.replace(str(out), str(tmp_path / "local"))
    assert pq.read_table(out / "verdicts.parquet").num_rows == COUNT
    assert (out / "verdicts.parquet").read_bytes() == (tmp_path / "local" / "verdicts.parquet").read_bytes()


def test_what_goes_on_may_change_its_engine(cluster: Any, bundle: Path, images: Path, tmp_path: Path) -> None:
    """The bundle is one that left its weights at home."""
    deployed, out = Path(shutil.copytree(bundle, tmp_path / "deployed.cobnut")), tmp_path / "out"
    (deployed / WEIGHTS).unlink()
    words = (deployed, images, "--out", out, "--shard", 4)
    with begin(*words) as process:
        while not list(out.glob("shards/*.jsonl")) and process.poll() is None:
            time.sleep(0.02)
        process.kill()
    with begin(*words, "--engine", "ray", "--address", cluster.address, "--workers", 1) as process:
        assert f"of {COUNT} images are judged already\n" in process.communicate(timeout=120)[1]
        assert process.returncode == 3
    assert pq.read_table(out / "verdicts.parquet").num_rows == COUNT
