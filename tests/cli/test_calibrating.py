"""`cobnut calibrate`, `replay` and `rollback` as a user meets them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cobnut.data.sample_parts import write_sample_parts
from cobnut.runtime.bundle import read_manifest
from program import Run


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_sample_parts(tmp_path_factory.mktemp("fresh"), good=24, test_good=1, defective=1, side=64, seed=7)
    return folder / "train" / "good"


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy.cobnut"))


def test_calibrate_replay_and_rollback_in_a_row(
    run: Callable[..., Run], copy: Path, fresh: Path, parts: Path, tmp_path: Path
) -> None:
    assert run("inspect", copy, parts / "test", "--out", tmp_path / "rows.csv").code == 0
    done = run("calibrate", copy, fresh, "--alpha", 0.4)
    assert done.code == 0, done.err
    assert "version    2" in done.out
    assert "at most 40" in done.out
    shown = run("replay", f"{copy}@1", copy, tmp_path / "rows.csv", "--maps", tmp_path / "maps")
    assert shown.code == 0, shown.err
    changed = [line for line in shown.out.splitlines() if "→" in line]
    assert f"{len(changed)} of 14 verdicts change" in shown.out
    assert len(list((tmp_path / "maps").glob("*.png")) if changed else []) == len(changed) > 0
    back = run("rollback", copy)
    assert back.code == 0, back.err
    assert read_manifest(copy).version == 1
    listed = run("rollback", copy, "--list")
    assert [line[:5].split() for line in listed.out.splitlines()] == [["→", "1"], ["2"]]
    assert "alpha 0.4, 24 good images" in listed.out


def test_the_percentile_can_be_calibrated_anew_too(run: Callable[..., Run], copy: Path, fresh: Path) -> None:
    q = read_manifest(copy).recipe.calibration.q
    assert run("calibrate", copy, fresh).code == 0
    assert read_manifest(copy).recipe.calibration.q == q
    assert len(read_manifest(copy).calibration_scores) == 24


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--alpha", "0.001"], "needs 999 good calibration images; you have 24"),
        (["--alpha", "0.1", "--confidence", "0.95"], "with confidence 0.95 needs 29 good calibration images"),
        (["--alpha", "2"], "alpha = 2.0: input should be less than 1"),
    ],
)
def test_a_promise_that_cannot_be_kept_is_refused_in_one_line(
    run: Callable[..., Run], copy: Path, fresh: Path, words: list[str], message: str
) -> None:
    done = run("calibrate", copy, fresh, *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert read_manifest(copy).version == 1


def test_training_with_alpha_promises_and_tells_it(run: Callable[..., Run], parts: Path, tmp_path: Path) -> None:
    tiny = ["--recipe", "cae", "--set", "image.size=32", "training.epochs=1"]
    done = run("train", parts, "--out", tmp_path / "a.cobnut", *tiny, "--alpha", 0.25)
    assert done.code == 0, done.err
    assert "promise    On average at most 25" in done.out
    refused = run("train", parts, "--out", tmp_path / "b.cobnut", *tiny, "--alpha", 0.01)
    assert refused.code == 2
    assert "needs 99 good calibration images; you have 3" in refused.err
    assert not (tmp_path / "b.cobnut").exists()


def test_compare_tells_in_words_which_is_better(
    run: Callable[..., Run], copy: Path, fresh: Path, parts: Path, tmp_path: Path
) -> None:
    assert run("calibrate", copy, fresh, "--alpha", 0.4).code == 0
    done = run("compare", f"{copy}@1", copy, parts, "--json", tmp_path / "duel.json")
    assert done.code == 0, done.err
    assert "Ranking: the two cannot be told apart" in done.out
    assert "copy.cobnut@1 passes" in done.out
    figures = json.loads((tmp_path / "duel.json").read_text())
    assert figures["ranking"]["p_value"] == 1
    assert figures["defective"]["only_second"] > 0
