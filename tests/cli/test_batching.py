"""`cobnut batch` as a user meets it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from program import Run


@pytest.fixture
def place(tmp_path: Path, parts: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a bundle and a folder of six images, of which one is damaged."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(bundle, "ok.cobnut")
    shutil.copytree(parts / "test" / "good", "in")
    Path("in/005.png").write_bytes(b"no image")
    Path("other").mkdir()
    Path("other/thesis.txt").write_text("years of work")
    Path("a-file").touch()
    return tmp_path


@pytest.mark.usefixtures("place")
def test_it_tells_what_came_of_it_and_a_second_time_does_nothing(run: Callable[..., Run]) -> None:
    done = run("batch", "ok.cobnut", "in", "--out", "judged", "--workers", 1, "--maps")
    assert done.code == 3
    judged, speed, *places = done.out.splitlines()
    assert judged.startswith("5 judged: ")
    assert judged.endswith(", 1 unreadable")
    assert "images/s" in speed
    assert places == ["verdicts  judged/verdicts.parquet", "maps      judged/maps", "not read  judged/unreadable.csv"]
    assert len(list(Path("judged/maps").iterdir())) == 5
    again = run("batch", "ok.cobnut", "in", "--out", "judged", "--maps")
    assert again.code == 3
    assert again.err.startswith("finished before (")
    assert again.out == done.out


@pytest.mark.usefixtures("place")
def test_it_judges_patterns_and_lists_each_image_once(run: Callable[..., Run]) -> None:
    Path("list.csv").write_text("path\nin/000.png\nin/001.png\nin/000.png\n")
    done = run("batch", "ok.cobnut", "in/00[0-2].png", "list.csv", "--out", "judged", "--workers", 1)
    assert done.code == 0, done.err
    assert done.err == "3 were named more than once, and are judged once\n"
    assert pq.read_table("judged/verdicts.parquet")["path"].to_pylist() == [f"in/00{n}.png" for n in range(3)]
    assert json.loads(Path("judged/batch.json").read_text())["workers"] == 1


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ok.cobnut", "nowhere", "--out", "new"], "nowhere: no such file or folder"),
        (["nowhere.cobnut", "in", "--out", "new"], "nowhere.cobnut: no such bundle"),
        (["ok.cobnut@9", "in", "--out", "new"], "ok.cobnut: has no version 9"),
        (["ok.cobnut", "in", "--out", "other"], "--out other: exists and is not the folder of a batch"),
        (["ok.cobnut", "in", "--out", "a-file"], "--out a-file: a file stands where a folder is needed"),
        (["ok.cobnut", "in", "--out", "new", "--format", "xlsx"], "--format xlsx: is not one of parquet, csv, jsonl"),
        (["ok.cobnut", "in", "--out", "new", "--engine", "spark"], "--engine spark: is not one of local, ray"),
        (["ok.cobnut", "in", "--out", "new", "--address", "a:1"], "--address a:1: goes with --engine ray"),
        (["ok.cobnut", "in", "--out", "in/judged", "--maps"], "--out in/judged: lies among the images"),
        (["ok.cobnut", "in/**/*.png", "--out", "in/judged", "--maps"], "--out in/judged: lies among the images"),
        (["ok.cobnut", "*/ma*/*.png", "--out", "new", "--maps"], "--out new: lies among the images"),
        (
            ["ok.cobnut", "in", "--out", "new", "--workers", "0"],
            "Invalid value for '--workers': Input should be greater than",
        ),
        (["ok.cobnut", "in", "--out", "new", "--engine", "ray", "--address", "localhost:1"], "no Ray cluster answers"),
        (["ok.cobnut", "strange://in", "--out", "new"], "strange:// is no protocol that fsspec knows"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(run: Callable[..., Run], words: list[str], told: str) -> None:
    done = run("batch", *words)
    assert done.code == 2
    assert told in done.err
    assert done.err.count("\n") == 1


@pytest.mark.usefixtures("place")
def test_a_batch_of_something_else_is_refused_until_it_begins_anew(run: Callable[..., Run]) -> None:
    run("batch", "ok.cobnut", "in", "--out", "judged", "--workers", 1)
    refused = run("batch", "ok.cobnut", "in", "--out", "judged", "--format", "csv")
    assert refused.code == 2
    assert "judged: was begun with another --format (.parquet, not .csv)" in refused.err
    assert run("batch", "ok.cobnut", "in", "--out", "judged", "--format", "csv", "--fresh", "--workers", 1).code == 3
    assert sorted(path.name for path in Path("judged").glob("verdicts*")) == ["verdicts.csv"]


@pytest.mark.usefixtures("place")
def test_the_base_install_writes_csv_and_says_why() -> None:
    code = (
        "import sys\n"
        "for name in ('pyarrow', 'fsspec', 'ray', 'torch', 'pandas'):\n    sys.modules[name] = None\n"
        "from importlib.machinery import PathFinder\n"
        "found = PathFinder.find_spec\n"
        "PathFinder.find_spec = lambda name, *rest: None if name in ('pyarrow', 'fsspec') else found(name, *rest)\n"
        "for name in ('pyarrow', 'fsspec'):\n    del sys.modules[name]\n"
        "from cobnut.cli import main\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    Path("base.py").write_text(code)
    start = [sys.executable, "base.py", "batch", "ok.cobnut", "in", "--out", "judged", "--workers", "1"]
    done = subprocess.run(start, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "verdicts become CSV: pyarrow, which writes Parquet, is not installed (pip install 'cobnut[parquet]')" in (
        done.stderr
    )
    assert len(Path("judged/verdicts.csv").read_text().splitlines()) == 7
    url = subprocess.run([*start[:4], "s3://bucket", "--out", "new"], capture_output=True, text=True, check=False)
    assert url.returncode == 2
    assert "s3://bucket needs the package fsspec, which is not installed: pip install 'cobnut[remote]'" in url.stderr
