"""A search repeats nothing, loses nothing, shares its trials, and never looks at the test before its end."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cobnut.calibration.threshold import Choice
from cobnut.data.layouts import read_dataset
from cobnut.errors import CobnutError, RecipeError
from cobnut.evaluation.trials import TrialRow
from cobnut.recipe import Recipe, read_recipe
from cobnut.records import Sample
from cobnut.runtime.bundle import read_manifest
from cobnut.study.ending import is_over, look_at_truth, sum_up, sweep, write_best
from cobnut.study.rows import read_rows, write_rows
from cobnut.study.space import read_space
from cobnut.study.tune import Task, TuneListeners, build_task, tune
from cobnut.training.choose import Proof
from cobnut.training.run import run_folder
from cobnut.training.train import Listeners, train
from searching import open_search, small_task, worker_command

pytestmark = pytest.mark.slow
TRIALS = 3


def search(out: Path, task: Task, trials: int = TRIALS, listeners: TuneListeners | None = None) -> list[TrialRow]:
    with open_search(out, task) as ledger:
        tune(task, ledger, trials, listeners)
        return read_rows(ledger, task.space)


def timeless(rows: list[TrialRow]) -> list[TrialRow]:
    return [replace(row, seconds=None) for row in rows]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Workers beside each other are quickest with a core each, and so small a network is with one at all times."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def task(samples: list[Sample], tiny_recipe: Recipe) -> Task:
    return small_task(samples, tiny_recipe)


@pytest.fixture(scope="module")
def whole(task: Task, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[TrialRow]]:
    """A search that nothing disturbed, read only, and its trials."""
    out = tmp_path_factory.mktemp("tuned") / "whole"
    return out, search(out, task)


def test_the_first_trial_is_the_recipe_as_it_is(whole: tuple[Path, list[TrialRow]], bundle: Path) -> None:
    out, rows = whole
    assert [row.number for row in rows] == list(range(TRIALS))
    assert rows[0].settings == {"training.learning_rate": 4e-3, "score.smoothing": "auto"}
    made, plain = read_manifest(out / "trials" / "0000.cobnut"), read_manifest(bundle)
    assert made.fingerprint == plain.fingerprint
    assert made.threshold == pytest.approx(plain.threshold, rel=0.01)
    assert made.choice is not None
    assert rows[0].synthetic_found == pytest.approx(made.choice["synthetic_found"], abs=0.02)
    assert [epoch for epoch, _ in rows[0].reports] == [1, 2, 3]
    halves = (rows[0].auroc or 0) + (1 - (rows[0].false_alarm_rate or 0) + (rows[0].synthetic_found or 0)) / 2
    assert rows[0].objective == pytest.approx(halves / 2)


def test_a_choice_that_cannot_be_built_is_refused_before_the_first_trial(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path
) -> None:
    file = tmp_path / "space.toml"
    file.write_text('"score.error" = ["squared", "cubed"]', "utf-8")
    with pytest.raises(RecipeError, match="'cubed'") as fault:
        build_task(samples, tiny_recipe, read_space(tiny_recipe, file))
    assert "\n" not in str(fault.value)


def test_the_best_recipe_trains_and_the_truth_comes_last(
    whole: tuple[Path, list[TrialRow]], task: Task, samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path
) -> None:
    out = shutil.copytree(whole[0], tmp_path / "copy")
    with open_search(out, task) as ledger:
        assert is_over(ledger, TRIALS)
        assert not is_over(ledger, TRIALS + 1)
        tuning = sum_up(ledger, task.space, "parts", tiny_recipe)
        assert all(row.truth is None for row in tuning.rows)
        write_best(tuning, tiny_recipe, tmp_path / "best.toml")
        judged: list[int] = []
        look_at_truth(ledger, tuning.finished, samples, lambda row: judged.append(row.number))
        tuning = sum_up(ledger, task.space, "parts", tiny_recipe)
    assert judged == [row.number for row in tuning.finished]
    assert all(0 <= (row.truth or -1) <= 1 for row in tuning.finished)
    assert (tuning.best.objective or 0) >= (tuning.start.objective or 1)
    text = (tmp_path / "best.toml").read_text(encoding="utf-8")
    assert text.startswith(f"# From `cobnut tune`: trial {tuning.best.number} of {TRIALS} on «parts»")
    best = read_recipe(str(tmp_path / "best.toml"))
    assert best.split == tiny_recipe.split
    assert best.training.learning_rate == tuning.best.settings["training.learning_rate"]
    made = train(samples, best, tmp_path / "best.cobnut")
    assert made.threshold == read_manifest(ledger.bundle(tuning.best.number)).threshold
    write_rows(tuning.rows, tmp_path / "trials.csv")
    head, *lines = (tmp_path / "trials.csv").read_text(encoding="utf-8").splitlines()
    assert head.startswith("trial,outcome,objective")
    assert len(lines) == TRIALS


def test_the_test_images_decide_nothing(
    whole: tuple[Path, list[TrialRow]], parts: Path, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    spoilt = shutil.copytree(parts, tmp_path / "parts")
    for path in (spoilt / "test").rglob("*.png"):
        path.write_bytes(b"not looked at")
    rows = search(tmp_path / "out", small_task(read_dataset(spoilt), tiny_recipe), trials=2)
    assert timeless(rows) == timeless(whole[1][:2])


def hear(heard: list[tuple[int, int]]) -> TuneListeners:
    """Note every epoch of every trial."""

    def begin(number: int, recipe: Recipe) -> Listeners:  # noqa: ARG001
        return Listeners(on_epoch=lambda epoch, best: heard.append((number, epoch.epoch)))

    return TuneListeners(on_begin=begin)


def test_a_killed_search_goes_on_and_repeats_nothing(
    whole: tuple[Path, list[TrialRow]], task: Task, parts: Path, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    with subprocess.Popen(worker_command(parts, tiny_recipe, out, TRIALS), stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            if line == "1 2\n":
                os.kill(worker.pid, signal.SIGKILL)
                break
    with open_search(out, task) as ledger:
        left = read_rows(ledger, task.space)
    assert [row.outcome for row in left] == ["finished", "running"]
    made = {path: path.stat().st_mtime_ns for path in (out / "trials").glob("0000.cobnut/*")}
    heard: list[tuple[int, int]] = []
    rows = search(out, task, listeners=hear(heard))
    assert heard[0] in ((1, 2), (1, 3)), "the broken training goes on where it was"
    assert heard[-3:] == [(2, 1), (2, 2), (2, 3)]
    assert made == {path: path.stat().st_mtime_ns for path in made}
    assert timeless(rows) == timeless(whole[1]), "as if it had never been killed"


def test_two_workers_share_the_trials(task: Task, parts: Path, tiny_recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "shared"
    command = worker_command(parts, tiny_recipe, out, TRIALS)
    heard: list[tuple[int, int]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = [other.stdout.readline()]  # both are at work from here on
        search(out, task, listeners=hear(heard))
        theirs += other.stdout.readlines()
    assert other.returncode == 0
    begun = [number for number, epoch in heard if epoch == 1]
    begun_there = [int(line.split()[0]) for line in theirs if line.endswith(" 1\n")]
    assert begun
    assert begun_there
    assert sorted(begun + begun_there) == list(range(TRIALS)), "every trial is trained once"
    with open_search(out, task) as ledger:
        assert [row.outcome for row in read_rows(ledger, task.space)] == ["finished"] * TRIALS


def scripted(monkeypatch: pytest.MonkeyPatch, objective: Callable[[Recipe], float]) -> None:
    """Let trials be judged by their settings, so that what the search makes of it can be foretold."""

    def prove(recipe: Recipe, good: object, spoilt: object) -> Proof:  # noqa: ARG001
        value = objective(recipe)
        return Proof(Choice(99.0, 0.0, 1 - value, value, 0.0), value)

    monkeypatch.setattr("cobnut.study.tune.prove", prove)


def test_a_training_that_lags_behind_is_pruned_and_leaves_nothing(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cobnut.study.tune.NEVER_PRUNED", 1)
    scripted(monkeypatch, lambda recipe: 0.9 - 10 * abs(recipe.training.learning_rate - 1e-3))
    training = tiny_recipe.training.model_copy(update={"epochs": 8})
    task = small_task(samples, tiny_recipe.model_copy(update={"training": training}))
    rows = search(tmp_path / "out", task, trials=4)
    pruned = [row for row in rows if row.outcome == "pruned"]
    assert pruned
    assert all(row.epochs is not None and row.epochs < 8 for row in pruned)
    for row in pruned:
        assert not list((tmp_path / "out" / "trials").glob(f"{row.number:04}*"))


def test_a_training_at_its_last_epoch_is_not_pruned_though_the_recipe_allows_more(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optuna.Trial.should_prune", lambda self: True)
    training = tiny_recipe.training.model_copy(update={"epochs": 8, "most_steps": 1})
    task = small_task(samples, tiny_recipe.model_copy(update={"training": training}))
    rows = search(tmp_path / "out", task, trials=2)
    assert [(row.outcome, row.epochs) for row in rows] == [("finished", 1), ("finished", 1)]


def test_a_damaged_database_is_told_in_one_line(whole: tuple[Path, list[TrialRow]], task: Task, tmp_path: Path) -> None:
    out = shutil.copytree(whole[0], tmp_path / "copy")
    (out / "tuning.db").write_bytes(b"no database" * 1000)
    with pytest.raises(CobnutError, match=r"tuning\.db: cannot be opened .*choose another --out") as fault:
        search(out, task)
    assert "\n" not in str(fault.value)


def test_a_training_that_diverges_ends_a_trial_and_not_the_search(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "space.toml").write_text("training.learning_rate = [1e-3, 1e30]\n")
    task = small_task(samples, tiny_recipe, read_space(tiny_recipe, tmp_path / "space.toml"))
    with open_search(tmp_path / "out", task) as ledger:
        ledger.study.enqueue_trial({"training.learning_rate": "1e+30"})
        tune(task, ledger, 2)
        rows = read_rows(ledger, task.space)
        assert [row.outcome for row in rows[:2]] == ["finished", "failed"]
        assert "training diverged" in rows[1].reason
        run_folder(ledger.bundle(1)).mkdir()
        sweep(ledger)
        assert not run_folder(ledger.bundle(1)).exists()


def test_a_search_goes_on_only_as_it_was_begun(
    whole: tuple[Path, list[TrialRow]], task: Task, samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "space.toml").write_text('score.smoothing = ["auto", 5]\n')
    others = {
        "another recipe or other --set": small_task(samples, tiny_recipe.model_copy(update={"seed": 7})),
        "another space": small_task(samples, tiny_recipe, read_space(tiny_recipe, tmp_path / "space.toml")),
        "other images": small_task(samples[1:], tiny_recipe),
    }
    for message, other in others.items():
        with pytest.raises(CobnutError, match=message), open_search(whole[0], other):
            pass
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CobnutError, match="is not the folder of a tuning"), open_search(tmp_path, task):
        pass
    nowhere = open_search(tmp_path / "new", task, "nosql://user:secret@host")
    with pytest.raises(CobnutError, match="--storage nosql:…: cannot be opened"), nowhere:
        pass
