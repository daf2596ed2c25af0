"""A log is watched part by part, goes on after a restart, and says what changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cobnut.data.sample_parts import write_sample_parts
from cobnut.errors import CobnutError, DataError
from cobnut.runtime.bundle import Manifest, read_manifest
from cobnut.runtime.drift import watch_log
from cobnut.runtime.judge_files import Row
from cobnut.runtime.logs import append_log, read_log
from cobnut.runtime.versions import calibrate
from program import Run


def rows(manifest: Manifest, count: int, factor: float = 1.0, light: float = 100.0) -> list[dict[str, object]]:
    random = np.random.default_rng(1)
    return [
        {"score": factor * float(s), "threshold": manifest.threshold, "version": manifest.version,
         "is_defective": False, "brightness": light + random.normal(), "sharpness": 3 + 0.1 * random.normal()}
        for s in random.lognormal(sigma=0.3, size=count)
    ]  # fmt: skip


def test_a_log_of_parts_as_they_were_proves_nothing(manifest: Manifest) -> None:
    told = watch_log(manifest, rows(manifest, 200))
    assert told.alarm is None
    assert "No drift is proved" in " ".join(told.sentences())
    assert told.changes == []


def test_a_drift_is_told_with_its_direction_and_the_photographs(manifest: Manifest) -> None:
    told = watch_log(manifest, [*rows(manifest, 100), *rows(manifest, 100, 0.5, light=80.0)])
    assert told.alarm is not None
    assert 100 < told.alarm < 130
    text = " ".join(told.sentences())
    assert "scores are lower than they were" in text
    assert "The last 50 photographs are 20 % darker than the first 50." in text
    assert "sharp" not in text


def test_rejected_parts_and_other_versions_are_not_watched(manifest: Manifest) -> None:
    own = rows(manifest, 60)
    defective = {**own[0], "score": 99.0, "is_defective": True}
    other = [{**row, "version": 7} for row in rows(manifest, 60, 0.2)]
    told = watch_log(manifest, [*own, defective, *other])
    assert (told.watch.judged, told.watch.rejected, len(told.capitals)) == (61, 1, 60)
    with pytest.raises(DataError, match="no part that version 1"):
        watch_log(manifest, other)


def test_rejections_beyond_the_promise_are_told_apart_from_drift(promised: Manifest) -> None:
    calm = rows(promised, 400)
    # every other part of the later half is defective, and scored high above all good ones
    log = [{**row, "score": 99.0} if n >= 200 and n % 2 == 0 else row for n, row in enumerate(calm)]
    told = watch_log(promised, log)
    assert told.alarm is None
    assert told.rejection_alarm is not None
    assert 200 < told.rejection_alarm < 300
    assert len(told.rejection_capitals) == 400
    text = " ".join(told.sentences())
    assert "No drift is proved" in text
    # SciPy: beta.ppf(0.995, 3, 58) = 0.1455
    until_then = (told.rejection_alarm - 200 + 1) // 2
    assert f"PROMISED: {until_then} of the 50 up to part {told.rejection_alarm}, and 25 % of all" in text
    assert "of good parts it may be 15 % at most" in text
    assert "some are defective" in text
    assert watch_log(promised, calm).rejection_alarm is None


def test_defects_that_are_expected_may_be_allowed_for(promised: Manifest) -> None:
    log = [{**row, "score": 99.0} if n % 3 == 0 else row for n, row in enumerate(rows(promised, 300))]
    assert watch_log(promised, log).rejection_alarm is not None
    assert watch_log(promised, log, defect_rate=0.3).rejection_alarm is None
    many = [{**row, "score": 99.0} if n % 3 else row for n, row in enumerate(rows(promised, 300))]
    text = " ".join(watch_log(promised, many, defect_rate=0.3).sentences())
    assert "of good parts and 30 % of defects it may be 41 % at most" in text
    assert "more are defective" in text


def test_nothing_is_said_of_rejections_where_nothing_was_promised(manifest: Manifest) -> None:
    told = watch_log(manifest, [{**row, "score": 99.0} for row in rows(manifest, 100)])
    assert (told.rejection_alarm, told.rejection_capitals) == (None, [])


def test_a_log_goes_on_after_a_kill(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "line.jsonl"
    with append_log(log, 1) as write:
        write(Row("a.png", 1.0, 2.0, False, 0.5, 90.0, 3.0))
    with log.open("a") as file:
        file.write('{"path": "cut o')
    with append_log(log, 2) as write:
        write(Row("b.png", error="no image"))
    first, second = read_log(log)
    assert (Path(first["path"]).name, first["version"], first["score"]) == ("a.png", 1, 1.0)
    assert Path(first["path"]).is_absolute()
    assert (Path(second["path"]).name, second["version"], second["error"]) == ("b.png", 2, "no image")
    with pytest.raises(CobnutError, match=r"name a \.jsonl file"), append_log(tmp_path / "a.csv", 1):
        pass


def test_a_file_that_is_no_log_is_never_cut(tmp_path: Path) -> None:
    letter = tmp_path / "letter.jsonl"
    letter.write_text("Dear customer")
    with pytest.raises(DataError, match="will not be overwritten"), append_log(letter, 1):
        pass
    assert letter.read_text() == "Dear customer"


def test_a_whole_last_row_without_its_newline_is_kept_and_odd_names_too(tmp_path: Path) -> None:
    log = tmp_path / "line.jsonl"
    log.write_text(json.dumps({"path": "a\u2028b.png", "score": 1.0}, ensure_ascii=False), encoding="utf-8")
    with append_log(log, 1) as write:
        write(Row("c.png", 2.0))
    assert [row["score"] for row in read_log(log)] == [1.0, 2.0]


def test_only_one_inspection_writes_to_a_log(tmp_path: Path) -> None:
    with (
        append_log(tmp_path / "a.jsonl", 1),
        pytest.raises(DataError, match="another inspection"),
        append_log(tmp_path / "a.jsonl", 1),
    ):
        pass


@pytest.mark.parametrize(
    "row",
    [
        {"path": "a.png"},
        {"path": "a.png", "score": "abc"},
        {"path": None, "score": 1.0},
        {"path": "a", "score": float("inf")},
    ],
)
def test_a_row_of_another_kind_is_named_by_its_number(tmp_path: Path, row: dict[str, object]) -> None:
    log = tmp_path / "a.jsonl"
    log.write_text('{"path": "a.png", "score": 1.0}\n' + json.dumps(row) + "\n")
    with pytest.raises(DataError, match="row 2"):
        read_log(log)


def test_where_all_parts_are_rejected_nothing_is_said_of_drift(manifest: Manifest) -> None:
    told = " ".join(watch_log(manifest, [{**row, "score": 9.0} for row in rows(manifest, 100)]).sentences())
    assert "nothing can be said of drift" in told
    assert "No drift is proved" not in told


def test_the_direction_is_that_of_the_alarm_and_a_later_calm_is_told(manifest: Manifest) -> None:
    told = watch_log(manifest, [*rows(manifest, 100, 0.5), *rows(manifest, 600, 0.9), *rows(manifest, 300, 1.2)])
    assert told.alarm is not None
    assert "lower" in " ".join(told.sentences())


def test_inspect_logs_and_drift_draws_it(run: Callable[..., Run], bundle: Path, parts: Path, tmp_path: Path) -> None:
    log, report = tmp_path / "line.jsonl", tmp_path / "drift.html"
    for _ in range(2):  # the second inspection goes on in the same log
        assert run("inspect", bundle, parts / "test" / "good", "--log", log).code == 0
    assert len(read_log(log)) == 12
    assert read_log(log)[0]["brightness"] > 0
    done = run("drift", bundle, log, "--report", report)
    assert done.code == 0, done.err
    assert "12 parts were judged by version 1" in done.out
    assert report.read_text(encoding="utf-8").count("<svg") == 4
    assert "mathdefault" not in report.read_text(encoding="utf-8")
    same = run("inspect", bundle, parts / "test" / "good", "--log", log, "--out", log)
    assert same.code == 2
    assert "--out and --log both name" in same.err
    assert len(read_log(log)) == 12


@pytest.fixture
def promising(bundle: Path, tmp_path: Path) -> Path:
    """A bundle that promises that 10 % of good parts are rejected at most."""
    fresh = write_sample_parts(tmp_path / "fresh", good=24, test_good=1, defective=1, side=64, seed=7)
    copy = Path(shutil.copytree(bundle, tmp_path / "promising.cobnut"))
    calibrate(copy, sorted((fresh / "train" / "good").iterdir()), {"method": "conformal", "alpha": 0.1})
    return copy


def test_too_many_rejections_are_told_and_drawn_and_have_an_exit_code_of_their_own(
    run: Callable[..., Run], promising: Path, parts: Path, tmp_path: Path
) -> None:
    manifest, log, report = read_manifest(promising), tmp_path / "line.jsonl", tmp_path / "drift.html"
    row = {"path": "x", "version": 2, "threshold": manifest.threshold, "is_defective": False}
    usual, random = manifest.calibration_scores, np.random.default_rng(0)
    good = [{**row, "score": float(min(random.choice(usual), manifest.threshold))} for _ in range(100)]
    bad = [{**row, "score": 2 * manifest.threshold}] * 60
    log.write_text("".join(json.dumps(each) + "\n" for each in [*good, *bad]))
    done = run("drift", promising, log, "--report", report)
    assert done.code == 5, done.err
    assert "MORE PARTS ARE REJECTED THAN PROMISED" in done.out
    page = report.read_text(encoding="utf-8")
    assert "evidence of too many rejections" in page
    assert page.count("<svg") == 3
    assert run("drift", promising, log, "--defect-rate", "0.9").code == 0
    told = run("inspect", promising, parts / "test" / "good" / "000.png", "--log", log)
    assert told.code == 0
    assert "MORE PARTS ARE REJECTED THAN PROMISED" in told.err
    quiet = run("inspect", promising, parts / "test" / "good" / "000.png", "--log", log, "--defect-rate", "0.9")
    assert "PROMISED" not in quiet.err


def test_an_inspection_that_completes_a_drift_says_so(
    run: Callable[..., Run], bundle: Path, parts: Path, tmp_path: Path
) -> None:
    grey = tmp_path / "grey" / "a.png"
    grey.parent.mkdir()
    Image.open(next((parts / "train" / "good").iterdir())).convert("L").save(grey)
    copy, log = Path(shutil.copytree(bundle, tmp_path / "copy.cobnut")), tmp_path / "line.jsonl"
    manifest = read_manifest(copy)
    row = {"path": "x", "version": 1, "threshold": manifest.threshold, "is_defective": False, "p_value": 1.0}
    lines = [json.dumps({**row, "score": 1e-4 * manifest.threshold * (1 + n / 1000)}) for n in range(60)]
    log.write_text("\n".join(lines) + "\n")
    done = run("inspect", copy, grey, "--log", log)
    assert done.code == 0, done.err
    assert "DRIFT: after" in done.err
    assert run("drift", copy, log).code == 4
