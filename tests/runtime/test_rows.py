"""The same rows in three formats, whole or not at all."""

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cobnut.errors import CobnutError
from cobnut.runtime.judge_files import Row
from cobnut.runtime.rows import COLUMNS, open_rows

ROWS = [
    Row("a, b.png", 0.5, 0.4, True, 0.05, 90.0, 3.0),
    Row("ü.png", 0.1, 0.4, False, 0.5, 91.0, 3.5),
    Row("c", error="bad\tü"),
]


def test_the_columns_are_the_contract() -> None:
    assert COLUMNS == ["path", "score", "threshold", "is_defective", "p_value", "brightness", "sharpness", "error"]


def test_csv(tmp_path: Path) -> None:
    with open_rows(tmp_path / "rows.csv") as write:
        for row in ROWS:
            write(row)
    first, _, third = csv.DictReader((tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines())
    judged = {"score": "0.5", "threshold": "0.4", "is_defective": "True", "p_value": "0.05"}
    judged |= {"brightness": "90.0", "sharpness": "3.0"}
    assert first == {"path": "a, b.png", **judged, "error": ""}
    assert third == {"path": "c", **dict.fromkeys(judged, ""), "error": "bad\tü"}


def test_json_lines(tmp_path: Path) -> None:
    with open_rows(tmp_path / "rows.jsonl") as write:
        for row in ROWS:
            write(row)
    lines = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[1]) == {
        "path": "ü.png",
        "score": 0.1,
        "threshold": 0.4,
        "is_defective": False,
        "p_value": 0.5,
        "brightness": 91.0,
        "sharpness": 3.5,
        "error": None,
    }


def test_parquet_in_several_groups(tmp_path: Path) -> None:
    with open_rows(tmp_path / "rows.parquet") as write:
        for _ in range(3000):
            for row in ROWS:
                write(row)
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table.column_names == COLUMNS
    assert table.num_rows == 9000
    assert table.slice(2, 1).to_pylist()[0]["error"] == "bad\tü"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_broken_run_leaves_no_file(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(OSError, match="full"), open_rows(tmp_path / f"rows.{suffix}") as write:
        write(ROWS[0])
        raise OSError("disk full")
    assert list(tmp_path.iterdir()) == []


def test_another_ending_lists_the_valid_ones(tmp_path: Path) -> None:
    with (
        pytest.raises(CobnutError, match=r"cannot write .xlsx; use .csv, .jsonl, .parquet"),
        open_rows(tmp_path / "a.xlsx"),
    ):
        pass
