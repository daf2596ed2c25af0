"""A study that is killed loses nothing and repeats nothing; a training that fails stops no other."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cobnut.errors import CobnutError, DataError
from cobnut.evaluation.outcome import Failure, read_outcome
from cobnut.study import study
from cobnut.study.grid import Grid, read_grid
from cobnut.study.note import hold_study, update_note
from cobnut.study.results import read_results, write_json, write_rows
from cobnut.study.study import StudyListeners, remaining_seconds, run_study, waiting_cells
from cobnut.training.train import Listeners
from program import TINY

pytestmark = pytest.mark.slow
SETTINGS = (*TINY, "training.epochs=4")
UNTIMED = {"train_seconds", "ms_per_image", "history", "bundle"}


@pytest.fixture(scope="session")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("recipes")
    (folder / "flat.toml").write_text('name = "flat"\n[training.loss]\nl1 = 1.0\n')
    return ["cae", str(folder / "flat.toml")]


@pytest.fixture(scope="session")
def finished(parts: Path, recipes: list[str], tmp_path_factory: pytest.TempPathFactory) -> Grid:
    """A small study that nothing disturbed, read only."""
    grid = read_grid([parts], recipes, SETTINGS, 2, tmp_path_factory.mktemp("studies") / "whole")
    update_note(grid, "cobnut study parts")
    assert run_study(grid) == []
    return grid


def plain(grid: Grid) -> list[dict[str, Any]]:
    """The outcomes of a study without what the clock says."""
    outcomes = [read_outcome(cell.outcome) for cell in grid.cells()]
    return [
        {
            **each.model_dump(mode="json", exclude=UNTIMED),
            "losses": [(epoch.train_loss, epoch.val_loss) for epoch in each.history],
        }
        for each in outcomes
    ]


KILLABLE = """
import sys, time
from pathlib import Path
from cobnut.study.grid import read_grid
from cobnut.study.study import StudyListeners, run_study
from cobnut.training import callbacks
from cobnut.training.train import Listeners
callbacks.WayBack.__init__.__defaults__ = (0.0,)
parts, out, recipes, settings = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].split(","), sys.argv[4].split(";")
def tell(epoch, best):
    print("epoch", epoch.epoch, flush=True)
    time.sleep(0.1)
run_study(read_grid([parts], recipes, settings, 1, out), StudyListeners(
    on_begin=lambda cell: print("begin", cell.name, flush=True),
    training=lambda cell: Listeners(on_epoch=tell),
))
"""


def test_a_killed_study_goes_on_to_the_same_results_and_touches_nothing_finished(
    finished: Grid, parts: Path, recipes: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "broken"
    command = [sys.executable, "-c", KILLABLE, str(parts), str(out), ",".join(recipes), ";".join(SETTINGS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        begun = 0
        for line in process.stdout:
            begun += line.startswith("begin")
            if begun == 2 and line == "epoch 3\n":
                os.kill(process.pid, signal.SIGKILL)
                break
    grid = read_grid([parts], recipes, SETTINGS, 1, out)
    done, interrupted = grid.cells()
    assert waiting_cells(grid) == [interrupted]
    before = {path: path.stat().st_mtime_ns for path in done.folder.rglob("*")}
    epochs: list[int] = []
    heard = StudyListeners(training=lambda cell: Listeners(on_epoch=lambda epoch, _: epochs.append(epoch.epoch)))
    assert run_study(grid, heard) == []
    assert {path: path.stat().st_mtime_ns for path in done.folder.rglob("*")} == before
    assert epochs[0] in (3, 4), "epochs that were done are not done again"
    assert epochs[-1] == 4
    assert plain(grid) == plain(finished)[:2]
    assert waiting_cells(grid) == []


def test_the_seconds_of_an_interrupted_training_are_those_of_all_its_parts(finished: Grid) -> None:
    for cell in finished.cells():
        outcome = read_outcome(cell.outcome)
        assert outcome.train_seconds >= sum(epoch.seconds for epoch in outcome.history)


def test_all_cells_judge_the_same_images(finished: Grid) -> None:
    contents = [[image.content for image in read_outcome(cell.outcome).images] for cell in finished.cells()]
    assert all(each == contents[0] for each in contents)
    assert contents[0] == sorted(contents[0])


def test_results_stand_as_rows_and_as_json(finished: Grid, tmp_path: Path) -> None:
    results = read_results(finished.out)
    write_rows(results, tmp_path / "results.csv")
    write_json(results, tmp_path / "results.json")
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text(encoding="utf-8").splitlines()))
    assert sorted((row["recipe"], row["seed"]) for row in rows) == [
        ("cae", "0"), ("cae", "1"), ("flat", "0"), ("flat", "1")
    ]  # fmt: skip
    content = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    category = content["categories"]["parts"]
    mean = sum(float(row["accuracy"]) for row in rows if row["recipe"] == "cae") / 2
    assert category["recipes"]["cae"]["means"]["accuracy"] == pytest.approx(mean)
    assert set(category["recipes"]["cae"]["lowest_and_highest_seed"]) == {"pixel_auroc", "pixel_ap", "pro"}
    assert "accuracy" in category["recipes"]["cae"]["intervals"]
    (pair,) = category["comparisons"]
    assert {pair["first"], pair["second"]} == {"cae", "flat"}
    assert set(pair["auroc"]) == {"value", "interval", "p_value", "adjusted", "is_significant"}
    assert content["command"] == "cobnut study parts"


def test_a_training_that_fails_is_recorded_and_tried_again(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wild.toml").write_text('name = "wild"\n')
    recipes = [str(tmp_path / "wild.toml"), "cae"]
    grid = read_grid([parts], recipes, (*TINY, "training.epochs=1"), 1, tmp_path / "out")
    update_note(grid, "cobnut study parts")

    train = study.train

    def fail_once(samples: Any, recipe: Any, *rest: Any) -> Any:
        if recipe.name == "wild":
            raise CobnutError("training diverged:\nlower the rate")
        return train(samples, recipe, *rest)

    ends: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr(study, "train", fail_once)
        failures = run_study(grid, StudyListeners(on_end=lambda cell, end, seconds: ends.append(end)))
    assert [each.reason for each in failures] == ["training diverged: lower the rate"]
    assert len(ends) == 2, "the study went on"
    assert read_results(grid.out).failures == failures
    with monkeypatch.context() as patch:
        patch.setattr(study, "train", lambda *_: (_ for _ in ()).throw(MemoryError("too large")))
        assert [each.reason for each in run_study(grid)] == ["MemoryError: too large"]
    with monkeypatch.context() as patch:
        patch.setattr(study, "_run_cell", lambda *_: None)
        patch.setattr(study, "write_outcome", lambda *_: (_ for _ in ()).throw(ValueError("nan is no JSON")))
        assert [each.reason for each in run_study(grid)] == ["ValueError: nan is no JSON"]
    assert [cell.asked.name for cell in waiting_cells(grid)] == ["wild"]
    assert run_study(grid) == []
    assert read_results(grid.out).failures == []
    assert not next(grid.cells()).failure.exists()


def test_what_no_training_can_go_on_from_begins_anew(finished: Grid, tmp_path: Path) -> None:
    cell = next(read_grid([finished.categories[0].data], ["cae"], TINY, 1, tmp_path / "out").cells())
    asked = cell.asked
    other = asked.model_copy(update={"name": "as it would be with other weights"})
    assert not study._has_begun(cell, asked)
    folder = cell.folder / "cae.cobnut.run"
    for left, text in ((".run.json.abc.part", ""), ("run.json", json.dumps({"recipe": other.model_dump(mode="json")}))):
        folder.mkdir(parents=True)
        (folder / left).write_text(text)
        assert not study._has_begun(cell, asked)
        assert not folder.exists()


def test_a_training_with_real_weights_is_not_thrown_away_when_they_are_missing(parts: Path, tmp_path: Path) -> None:
    cell = next(read_grid([parts], ["cae"], TINY, 1, tmp_path / "out").cells())
    stand_in = cell.asked.model_copy(update={"name": "as it would be with random weights"})
    note = cell.folder / "cae.cobnut.run" / "run.json"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"recipe": cell.asked.model_dump(mode="json")}))
    assert study._has_begun(cell, cell.asked)
    with pytest.raises(CobnutError, match="was begun with the encoder's own weights, .* --weights as before"):
        study._has_begun(cell, stand_in)
    assert note.exists()


def test_two_studies_do_not_work_in_one_folder(parts: Path, tmp_path: Path) -> None:
    grid = read_grid([parts], ["cae"], SETTINGS, 1, tmp_path / "out")
    for _ in range(2):
        with hold_study(grid, "first"), pytest.raises(CobnutError, match="out: another `cobnut study` is at work"):
            hold_study(grid, "second").__enter__()
    (tmp_path / "mine.txt").write_text("not a study")
    foreign = read_grid([parts], ["cae"], SETTINGS, 1, tmp_path)
    with pytest.raises(CobnutError, match="is not the folder of a study"):
        hold_study(foreign, "third").__enter__()
    assert not (tmp_path / "study.lock").exists()


def test_a_damaged_record_of_a_failure_is_told_in_one_line(parts: Path, tmp_path: Path) -> None:
    grid = read_grid([parts], ["cae"], SETTINGS, 1, tmp_path / "out")
    update_note(grid, "cobnut study parts")
    cell = next(grid.cells())
    cell.folder.mkdir(parents=True)
    cell.failure.write_text('{"category": "parts"')
    with pytest.raises(DataError, match=r"failure.json: is damaged .*; remove the file"):
        read_results(tmp_path / "out")


def test_figures_of_another_recipe_or_other_images_are_never_taken_for_ours(
    finished: Grid, parts: Path, recipes: list[str]
) -> None:
    other = read_grid([parts], recipes, (*TINY, "training.epochs=5"), 1, finished.out)
    with pytest.raises(DataError, match="was made with another recipe or other images; choose another --out"):
        waiting_cells(other)


def test_what_remains_is_judged_by_alike_cells(finished: Grid) -> None:
    a, b, c, d = finished.cells()
    assert remaining_seconds([], [a]) == 0
    assert remaining_seconds([(a, 10.0)], [b, c, d]) == 30
    assert remaining_seconds([(a, 10.0), (b, 20.0)], [c, d]) == 30


def test_a_failure_reads_as_it_was_written() -> None:
    failure = Failure(category="a", recipe="b", seed=0, reason="«c»")
    assert Failure.model_validate_json(failure.model_dump_json()) == failure
