"""`cobnut calibrate`, `replay` and `rollback` as a user meets them."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy.stats import binomtest

from cobnut.data.sample_parts import write_sample_parts
from cobnut.runtime.bundle import read_manifest
from cobnut.runtime.inspect import Inspector
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


@pytest.fixture(scope="module")
def faulty(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(parts / "test", tmp_path_factory.mktemp("faulty") / "test"))
    shutil.rmtree(folder / "good")
    return folder


def test_labelled_defects_report_and_change_nothing(
    run: Callable[..., Run], copy: Path, fresh: Path, faulty: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(copy, tmp_path / "other.cobnut"))
    done = run("calibrate", copy, fresh, "--alpha", 0.25, "--defective", faulty)
    assert done.code == 0, done.err
    assert run("calibrate", other, fresh, "--alpha", 0.25).code == 0
    made = read_manifest(copy)
    assert made.model_copy(update={"calibrated": ""}) == read_manifest(other).model_copy(update={"calibrated": ""})
    inspector = Inspector(copy)
    missed = sum(not inspector.inspect(path).is_defective for path in faulty.rglob("*.png"))
    low, high = binomtest(missed, 8).proportion_ci(0.95, method="exact")
    told = re.search(r"misses     (\d+) of 8 labelled defects pass \((.*)%, 95 % interval (.*)–(.*)%\)\n", done.out)
    assert told is not None, done.out
    assert int(told[1]) == missed
    assert float(told[3].strip().replace("<", "")) == pytest.approx(100 * low, abs=0.6)
    assert float(told[4].strip().replace(">", "")) == pytest.approx(100 * high, abs=0.6)
    assert "chosen" not in done.out


def test_costs_choose_alpha_and_tell_why(run: Callable[..., Run], copy: Path, fresh: Path, faulty: Path) -> None:
    costs = ["--cost-miss", 50, "--cost-false-alarm", 1, "--defect-rate", 0.05]
    done = run("calibrate", copy, fresh, "--defective", faulty, *costs)
    assert done.code == 0, done.err
    alpha = read_manifest(copy).recipe.calibration.alpha
    assert read_manifest(copy).asked["alpha"] == read_manifest(copy, 1).asked["alpha"]  # costs chose, nobody asked
    assert f"chosen     alpha {alpha:g}: a part is expected to cost" in done.out
    assert "(2.50 if nobody inspects). 12 good images and 8 labelled defects chose it, 12 others set" in done.out
    assert f"On average at most {100 * alpha:g}" in done.out
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in done.out.splitlines()
        if "at most" in line and "│" in line
    ]
    chosen = [row for row in rows if row[0] == "→"]
    assert [float(row[1]) for row in chosen] == [alpha]
    assert float(chosen[0][4]) == min(float(row[4]) for row in rows)
    assert [float(row[1]) for row in rows] == [0.077, 0.1, 0.15, 0.2, 0.3, 0.5]
    assert "they helped to choose alpha" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cost-miss", "1"], "go together; --cost-false-alarm and --defect-rate are missing"),
        (["--cost-miss", "1", "--cost-false-alarm", "1"], "go together; --defect-rate is missing"),
        (["COSTS"], "costs need labelled defects to count what is missed: name their folder by --defective DIR"),
        (["COSTS", "--defective", "FAULTY", "--alpha", "0.1"], "--alpha 0.1: costs choose alpha themselves"),
        (["COSTS", "--defective", "FAULTY", "--defect-rate", "1"], "--defect-rate 1: is no share of parts"),
        (["COSTS", "--defective", "FAULTY", "--cost-miss", "-2"], "--cost-miss -2: is no cost"),
        (["--defective", "FRESH"], "stands among the good images as well (24 such)"),
        (["--defective", "TRAINED"], "the bundle was made with this image as a good one"),
        (["--defective", "NOWHERE"], "no such file or folder"),
        (["COSTS", "--defective", "FAULTY", "--confidence", "0.99999"], "takes 34 good images at the least"),
    ],
)
def test_costs_and_defects_that_make_no_sense_are_refused_in_one_line(
    run: Callable[..., Run], copy: Path, fresh: Path, faulty: Path, parts: Path, words: list[str], message: str
) -> None:
    places = {"FAULTY": faulty, "FRESH": fresh, "TRAINED": parts / "train" / "good", "NOWHERE": parts / "nowhere"}
    costs = ["--cost-miss", "1", "--cost-false-alarm", "1", "--defect-rate", "0.1"]
    typed = [each for word in words for each in (costs if word == "COSTS" else [str(places.get(word, word))])]
    done = run("calibrate", copy, fresh, *typed)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert read_manifest(copy).version == 1
