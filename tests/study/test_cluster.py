"""A study and a search on a cluster come to what they come to on one machine, even when a node dies."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cobnut.evaluation.outcome import read_outcome
from cobnut.study import cluster
from cobnut.study.grid import read_grid
from cobnut.study.study import run_study
from program import TINY, Run

pytestmark = pytest.mark.slow
SETTINGS = (*TINY, "training.epochs=4")
OPTIONS = [word for setting in SETTINGS for word in ("--set", setting)]
SPACE = Path(__file__).parent / "space.toml"


def begin(*words: object, folder: Path) -> subprocess.Popen[str]:
    """The program in a process of its own, where every warning is an error."""
    start = [sys.executable, "-W", "error", "-m", "cobnut", *map(str, words)]
    return subprocess.Popen(start, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_study_on_a_cluster_that_loses_a_node_has_the_figures_of_one_machine(
    cluster: Any, parts: Path, tmp_path: Path
) -> None:
    grid = read_grid([parts], ["cae"], SETTINGS, 3, tmp_path / "here")
    assert run_study(grid, loggers=()) == []
    (tmp_path / "parts").symlink_to(parts)
    words = ("study", "parts", "--recipes", "cae", "--seeds", 3, *OPTIONS, "--logger", "none", "--out", "there")
    with begin(*words, "--engine", "ray", "--address", cluster.address, folder=tmp_path) as process:
        until = time.monotonic() + 400
        while not list((tmp_path / "there").rglob("figures.json")) and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.05)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    assert "3 of 3" in errors
    for cell in grid.cells():
        [there] = (tmp_path / "there").rglob(f"{cell.folder.relative_to(tmp_path / 'here')}/figures.json")
        assert read_outcome(there).figures == read_outcome(cell.outcome).figures
    assert (tmp_path / "there" / "report.html").is_file()
    cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_workers_of_a_cluster_share_the_trials_of_a_search(cluster: Any, parts: Path, tmp_path: Path) -> None:
    words = ("tune", parts, "--recipe", "cae", "--space", SPACE, "--trials", 3, *OPTIONS, "--logger", "none")
    engine = ("--engine", "ray", "--address", cluster.address, "--workers", 2)
    with begin(*words, "--out", "tuning", *engine, folder=tmp_path) as process:
        _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    assert errors.count("trial ") >= 3
    assert (tmp_path / "tuning" / "best.toml").is_file()
    assert len((tmp_path / "tuning" / "trials.csv").read_text().splitlines()) == 4


def test_what_belongs_to_a_cluster_is_refused_without_one(run: Callable[..., Run], parts: Path, tmp_path: Path) -> None:
    for words, told in (
        (("--address", "127.0.0.1:6379"), "--address 127.0.0.1:6379: goes with --engine ray"),
        (("--workers", "2"), "--workers 2: goes with --engine ray"),
        (("--engine", "spark"), "--engine spark: is not one of local, ray"),
    ):
        for verb in ("study", "tune"):
            done = run(verb, parts, "--out", tmp_path / "out", *words)
            assert (done.code, done.err) == (2, f"error: {told}\n")
    assert not (tmp_path / "out").exists()


def test_nodes_are_told_where_weights_lie_and_nothing_that_opens_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBNUT_WEIGHTS", "/shared/weights")
    monkeypatch.setenv("COBNUT_KEY_PASSPHRASE", "sesame")
    told = cluster._home().environment
    assert told["COBNUT_WEIGHTS"] == "/shared/weights"
    assert "sesame" not in told.values()
