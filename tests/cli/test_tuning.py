"""`cobnut tune` from the command line: it searches, ends with a recipe and a page, and goes on where it was."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from cobnut.recipe import read_recipe
from program import TINY, TINY_FEATURE, Run

pytestmark = pytest.mark.slow
OPTIONS = ["--recipe", "cae", *(word for setting in TINY for word in ("--set", setting))]


def test_a_tuning_ends_with_a_recipe_a_page_and_rows_and_is_not_done_twice(
    run: Callable[..., Run], parts: Path, tmp_path: Path
) -> None:
    words = ["tune", parts, "--trials", "2", "--out", tmp_path / "tuning", *OPTIONS]
    first = run(*words)
    assert first.code == 0, first.err
    assert "1 of 2  trial 0: objective 0." in first.err
    assert "searching training.learning_rate: 0.0003 to 0.02, logarithmic" in first.err
    assert "searching network.hidden" not in first.err, "what is set is fixed"
    assert "The truth is known of 2 trials only" in first.out
    assert read_recipe(str(tmp_path / "tuning" / "best.toml")).name == "cae-tuned"
    assert (tmp_path / "tuning" / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert len((tmp_path / "tuning" / "trials.csv").read_text(encoding="utf-8").splitlines()) == 3
    again = run(*words)
    assert "2 of 2 trials are done already" in again.err
    assert "trial 0" not in again.err
    assert again.out == first.out
    other = run(*words, "--seed", "5")
    assert other.code == 2
    assert "was begun with another recipe or other --set" in other.err


def test_the_default_recipe_is_searched_and_no_training_is_judged_before_its_prototypes_are_there(
    run: Callable[..., Run], parts: Path, tmp_path: Path
) -> None:
    smaller = [word for setting in TINY_FEATURE for word in ("--set", setting)]
    done = run("tune", parts, "--trials", "2", "--out", tmp_path / "tuning", *smaller)
    assert done.code == 0, done.err
    assert "searching network.code: 16, 32, 64" in done.err
    assert "2 of 2  trial 1: objective 0." in done.err
    best = read_recipe(str(tmp_path / "tuning" / "best.toml"))
    assert (best.name, best.network.name) == ("feature-tuned", "feature")
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'tuning' / 'tuning.db'}")
    (study,) = optuna.get_all_study_summaries(storage)
    trials = optuna.load_study(study_name=study.study_name, storage=storage).trials
    storage.engine.dispose()
    assert [each.intermediate_values for each in trials] == [{}, {}]


def test_a_tuning_may_leave_the_test_alone(run: Callable[..., Run], parts: Path, tmp_path: Path) -> None:
    done = run("tune", parts, "--trials", "1", "--no-truth", "--out", tmp_path / "tuning", *OPTIONS)
    assert done.code == 0, done.err
    assert "The truth was not looked at" in done.out
    assert "No trial was better than the recipe as it was" in done.out


def test_ctrl_c_says_how_to_go_on(
    run: Callable[..., Run], parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cobnut.study.tune.train", lambda *_, **__: interrupt())
        stopped = run("tune", parts, "--trials", "1", "--out", tmp_path / "tuning", *OPTIONS)
    assert stopped.code == 130
    assert "the same command goes on with the tuning where it was" in stopped.err
