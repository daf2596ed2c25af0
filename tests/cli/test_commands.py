"""Each verb as a user meets it."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cobnut.errors import CobnutError
from cobnut.runtime.bundle import read_manifest
from program import TINY, TINY_FEATURE, Run

TINY_OPTIONS = [word for setting in TINY for word in ("--set", setting)]
TINY_CAE = ["--recipe", "cae", *TINY_OPTIONS]


def test_train_evaluate_and_inspect_in_a_row(run: Callable[..., Run], parts: Path, tmp_path: Path) -> None:
    bundle, figures, report = tmp_path / "a.cobnut", tmp_path / "a.json", tmp_path / "a.html"
    trained = run("train", parts, "--recipe", "cae", "--out", bundle, *TINY_OPTIONS, "--seed", 3)
    assert trained.code == 0, trained.err
    assert "threshold" in trained.out
    assert read_manifest(bundle).recipe.seed == 3
    evaluated = run("evaluate", bundle, parts, "--json", figures, "--report", report)
    assert evaluated.code == 0, evaluated.err
    assert "image AUROC" in evaluated.out
    assert "sizes    No size is found reliably: to prove 90 % takes 29 defects" in evaluated.out
    content = json.loads(figures.read_text())
    assert content["recipe"]["name"] == "cae"
    assert content["n_defective"] == 8
    assert "<html" in report.read_text(encoding="utf-8")
    inspected = run("inspect", bundle, parts / "test", "--out", tmp_path / "rows.csv")
    assert inspected.code == 0, inspected.err
    assert "14 judged" in inspected.out


def test_the_same_command_twice_gives_the_same_figures(run: Callable[..., Run], parts: Path, tmp_path: Path) -> None:
    figures = []
    for name in ("first", "second"):
        bundle = tmp_path / f"{name}.cobnut"
        assert run("train", parts, "--out", bundle, *TINY_CAE).code == 0
        assert run("evaluate", bundle, parts, "--json", tmp_path / f"{name}.json").code == 0
        figures.append(json.loads((tmp_path / f"{name}.json").read_text()))
        for timed in ("seconds", "train_seconds", "ms_per_image"):
            figures[-1].pop(timed)
    assert figures[0] == figures[1]


def test_training_takes_a_pair_of_folders(run: Callable[..., Run], parts: Path, tmp_path: Path) -> None:
    defective = tmp_path / "bad"
    for name in ("hole", "print"):
        shutil.copytree(parts / "test" / name, defective / name)
    pair = ["--good", parts / "train" / "good", "--defective", defective]
    bundle = tmp_path / "a.cobnut"
    assert run("train", *pair, "--out", bundle, *TINY_CAE).code == 0
    done = run("evaluate", bundle, *pair, "--json", tmp_path / "a.json")
    assert done.code == 0, done.err
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["n_good"] == len(read_manifest(bundle).fingerprint["test"]) > 0
    assert content["n_defective"] == 4
    assert content["pro"] is None


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_inspect_writes_a_row_for_every_image_and_exits_3_when_one_is_bad(
    run: Callable[..., Run], bundle: Path, parts: Path, tmp_path: Path, suffix: str
) -> None:
    folder = Path(shutil.copytree(parts / "test" / "hole", tmp_path / "incoming"))
    (folder / "bad.png").write_bytes(b"no image")
    out = tmp_path / f"rows.{suffix}"
    done = run("inspect", bundle, folder, "--out", out)
    assert done.code == 3
    assert "1 could not be read" in done.err
    rows = read_rows(out)
    assert [Path(row["path"]).name for row in rows] == ["000.png", "001.png", "bad.png"]
    assert rows[2]["score"] in (None, "")
    assert "no image format" in rows[2]["error"]
    assert float(rows[0]["score"]) > 0
    threshold = read_manifest(bundle).threshold
    assert float(rows[0]["threshold"]) == threshold
    assert str(rows[0]["is_defective"]) == str(float(rows[0]["score"]) > threshold)


def read_rows(path: Path) -> list[dict[str, str]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines] if path.suffix == ".jsonl" else list(csv.DictReader(lines))


def test_inspect_prints_rows_where_no_file_is_named_and_draws_maps(
    run: Callable[..., Run], bundle: Path, parts: Path, tmp_path: Path
) -> None:
    places = [parts / "test" / "print" / "000.png", parts / "test" / "hole"]
    done = run("inspect", bundle, *places, "--maps", tmp_path)
    assert done.code == 0
    assert done.out.count("000.png") == 2
    drawn = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert drawn == ["hole/000.png.png", "hole/001.png.png", "print/000.png.png"]


def test_a_name_that_is_not_utf_8_is_a_row_like_any_other(
    run: Callable[..., Run], bundle: Path, parts: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(parts / "test" / "hole" / "000.png", tmp_path / "in" / os.fsdecode(b"\xff\xfe.png"))
    for suffix in ("csv", "jsonl", "parquet"):
        done = run("inspect", bundle, tmp_path / "in", "--out", tmp_path / f"rows.{suffix}")
        assert done.code == 0, done.err
        assert len(read_rows(tmp_path / f"rows.{suffix}")) == 1


def test_a_defect_type_is_never_taken_for_markup(run: Callable[..., Run], bundle: Path, parts: Path) -> None:
    manifest = parts.parent / "markup.csv"
    manifest.write_text("path,label,defect_type\nparts/test/hole/000.png,defective,[/x]\n")
    assert "[/x]" in run("evaluate", bundle, manifest).out
    assert "[/x]" in run("data", manifest, "--picture", parts.parent / "markup.png").out


def test_several_settings_may_follow_one_set(run: Callable[..., Run], parts: Path, tmp_path: Path) -> None:
    assert run("train", parts, "--out", tmp_path / "a.cobnut", "--recipe", "cae", "--set", *TINY, "seed=4").code == 0
    assert read_manifest(tmp_path / "a.cobnut").recipe.seed == 4


@pytest.fixture
def sigint_is_heard() -> Iterator[None]:
    """Programs begun here hear SIGINT, even when the tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("sigint_is_heard")
def test_ctrl_c_says_that_nothing_is_lost(parts: Path, tmp_path: Path) -> None:
    words = ["train", str(parts), "--out", str(tmp_path / "a.cobnut"), *TINY_CAE, "--set", "training.epochs=100000"]
    with subprocess.Popen([sys.executable, "-m", "cobnut", *words], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 10/"):
                process.send_signal(signal.SIGINT)
                break
        told = process.stderr.read()
        assert process.wait(60) == 130
    assert told.strip().splitlines()[-1].startswith("error: interrupted; what was written is whole")
    assert "Traceback" not in told


def test_a_study_compares_recipes_and_a_second_time_trains_nothing(
    run: Callable[..., Run], parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flat.toml").write_text('name = "flat"\n[training.loss]\nl1 = 1.0\n')
    words = ["study", parts, "--recipes", f"cae,{tmp_path / 'flat.toml'}", "--seeds", 1, "--out", tmp_path / "night"]
    done = run(*words, *TINY_OPTIONS)
    assert done.code == 0, done.err
    assert "2 of 2  parts, flat, seed 0: accuracy" in done.err
    assert "By AUROC" in done.out
    assert "parts: 10 good images, 8 defective images" in done.out
    for name in ("report.html", "results.csv", "results.json", "results.md"):
        assert (tmp_path / "night" / name).stat().st_size > 200
    assert "2 of 2 trainings are done already" in run(*words, *TINY_OPTIONS).err
    monkeypatch.setattr("cobnut.study.study.train", lambda *_: (_ for _ in ()).throw(CobnutError("diverged")))
    extended = run(*words, "--seeds", 2, *TINY_OPTIONS)
    assert extended.code == 3
    assert "failed: parts, flat, seed 1: diverged" in extended.err
    assert "diverged" in (tmp_path / "night" / "report.html").read_text(encoding="utf-8")
    monkeypatch.setattr("cobnut.study.study.train", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    interrupted = run(*words, "--seeds", 2, *TINY_OPTIONS)
    assert interrupted.code == 130
    assert interrupted.err.strip().splitlines()[-1].endswith("the same command goes on with the study where it was")


def test_data_tells_counts_and_draws_a_picture(run: Callable[..., Run], parts: Path, tmp_path: Path) -> None:
    done = run("data", parts, "--picture", tmp_path / "sheet.png")
    assert done.code == 0, done.err
    assert "missing masks  0" in done.out
    assert "64 × 64 (38)" in done.out
    assert np.asarray(Image.open(tmp_path / "sheet.png")).std() > 10


def test_data_names_damaged_files_and_exits_2(run: Callable[..., Run], parts: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(parts, tmp_path / "parts"))
    (root / "train" / "good" / "003.png").write_bytes(b"broken")
    done = run("data", root, "--picture", tmp_path / "sheet.png")
    assert done.code == 2
    assert "003.png: not a whole image" in done.out


def test_parts_renders_what_was_asked_for(run: Callable[..., Run], tmp_path: Path) -> None:
    sizes = ["--good", 3, "--test-good", 2, "--defective", 1, "--side", 32]
    assert run("parts", "--out", tmp_path / "parts", *sizes).code == 0
    assert len(list((tmp_path / "parts" / "train").rglob("*.png"))) == 3
    assert len(list((tmp_path / "parts" / "test").rglob("*.png"))) == 6


def test_recipes_lists_names_and_every_option(run: Callable[..., Run]) -> None:
    assert run("recipes").out.startswith("cae ")
    shown = run("recipes", "cae").out
    assert "training.epochs = " in shown
    assert "# most passes over the training images" in shown


def test_the_help_of_every_verb_gives_an_example_or_a_hint(run: Callable[..., Run]) -> None:
    for verb in ("train", "evaluate", "inspect", "study", "data", "parts", "download"):
        assert f"Example: cobnut {verb} " in run(verb, "--help").out


def test_the_version_is_told(run: Callable[..., Run]) -> None:
    assert run("--version").out.startswith("cobnut 0.")


def test_it_also_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "cobnut", "recipes"], capture_output=True, text=True, check=True)
    assert "cae" in done.stdout


def test_training_begins_by_telling_its_size_and_which_defect_covers_a_feature(
    run: Callable[..., Run], parts: Path, tmp_path: Path
) -> None:
    settings = [word for setting in TINY_FEATURE for word in ("--set", setting)]
    told = run("train", parts, "--out", tmp_path / "a.cobnut", "--smallest-defect", 2, *settings)
    assert told.code == 0
    assert "works at 64 × 64 pixels, where a defect 8 pixels wide in the photographs covers one feature" in told.err
    assert "--set image.size=256 (slower) or crop the photographs to 25\u202f% of their sides" in told.err
    assert told.err.index("works at") < told.err.index("epoch 1")
    assert "works      at 64 × 64 pixels, where a defect 8 pixels wide" in told.out
