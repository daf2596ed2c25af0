"""A batch gives one row an image, in order, whatever happens to it on the way."""

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batches import COUNT, SHARD, InThisProcess, rows_of, stopped_half_way
from cobnut.errors import BundleError, CobnutError
from cobnut.runtime.batch import BatchListeners, Request, run_batch
from cobnut.runtime.bundle import read_manifest
from cobnut.runtime.inspect import Inspector
from cobnut.runtime.judge_files import find_images, judge_files
from cobnut.runtime.shards import Answer, Job, Shard, ShardJudge

BAD = ("0003.png", "0005.png")


def test_a_row_an_image_with_the_verdicts_that_inspect_gives(request_: Request, bundle: Path, images: Path) -> None:
    batch = run_batch(request_, InThisProcess())
    rows = rows_of(request_.out)
    alone = judge_files(Inspector(bundle, threads=1), find_images([images]))
    for row, expected in zip(rows, alone, strict=True):
        assert row["path"] == expected.path
        assert row["error"] == expected.error
        assert row["is_defective"] == expected.is_defective
        assert row["score"] == (None if expected.score is None else pytest.approx(expected.score, rel=1e-4))
        assert row["sha256"] == hashlib.sha256(Path(row["path"]).read_bytes()).hexdigest()
        assert row["version"] == 1
        assert row["bundle"] == json.loads((bundle / "manifest.json").read_text())["digest"]
    assert [Path(row["path"]).name for row in rows if row["error"]] == list(BAD)
    assert (batch.record.images, batch.record.judged, batch.record.unreadable) == (COUNT, COUNT - 2, 2)
    assert batch.record.defective == sum(row["is_defective"] is True for row in rows)


def test_what_could_not_be_read_is_listed_apart(request_: Request) -> None:
    run_batch(request_, InThisProcess())
    apart = list(csv.DictReader((request_.out / "unreadable.csv").read_text("utf-8").splitlines()))
    assert [Path(row["path"]).name for row in apart] == list(BAD)
    assert ["no image format" in apart[0]["error"], "is empty" in apart[1]["error"]] == [True, True]


def test_the_record_tells_what_was_judged_by_which_bundle(request_: Request, bundle: Path, images: Path) -> None:
    run_batch(request_, InThisProcess())
    record = json.loads((request_.out / "batch.json").read_text("utf-8"))
    assert record["bundle"] == str(bundle.absolute())
    assert record["threshold"] == read_manifest(bundle).threshold
    assert record["sources"] == [str(images)]
    assert record["images_per_second"] > 0
    verdicts = request_.out / record["verdicts"]
    assert record["sha256"] == hashlib.sha256(verdicts.read_bytes()).hexdigest()
    assert sorted(path.name for path in request_.out.iterdir()) == sorted(
        ["batch.lock", "plan.jsonl", "batch.json", "verdicts.parquet", "unreadable.csv"]
    )


@pytest.mark.parametrize("form", [".csv", ".jsonl"])
def test_the_verdicts_come_in_other_formats_too(request_: Request, form: str) -> None:
    run_batch(replace(request_, form=form), InThisProcess())
    lines = (request_.out / f"verdicts{form}").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines] if form == ".jsonl" else list(csv.DictReader(lines))
    assert len(rows) == COUNT
    assert "sha256" in rows[0]


def test_a_run_that_was_stopped_judges_only_what_is_left(request_: Request, tmp_path: Path) -> None:
    run_batch(replace(request_, out=tmp_path / "unbroken"), InThisProcess())
    first, second = InThisProcess(most=2), InThisProcess()
    with pytest.raises(KeyboardInterrupt):
        run_batch(request_, first)
    told: list[tuple[int, int]] = []
    run_batch(request_, second, BatchListeners(on_plan=lambda images, done: told.append((images, done))))
    assert sorted(first.judged + second.judged) == list(range(5))
    assert told == [(COUNT, 2 * SHARD)]
    assert (request_.out / "verdicts.parquet").read_bytes() == (tmp_path / "unbroken/verdicts.parquet").read_bytes()


def test_a_finished_run_does_nothing_until_its_verdicts_are_taken_away(request_: Request) -> None:
    assert not run_batch(request_, InThisProcess()).was_finished
    again = InThisProcess()
    assert run_batch(request_, again).was_finished
    assert again.judged == []
    (request_.out / "verdicts.parquet").unlink()
    assert not run_batch(request_, again).was_finished
    assert len(again.judged) == 5


def test_begun_anew_it_keeps_nothing(request_: Request, images: Path, tmp_path: Path) -> None:
    run_batch(replace(request_, maps=True), InThisProcess())
    other = Path(shutil.copy(images / "0000.png", tmp_path))
    fresh = replace(request_, sources=[str(other)], is_fresh=True)
    run_batch(fresh, InThisProcess())
    assert [row["path"] for row in rows_of(request_.out)] == [str(other)]
    assert not (request_.out / "maps").exists()
    assert not (request_.out / "unreadable.csv").exists()


def test_images_that_vanish_become_rows_with_an_error_and_newcomers_are_counted(
    request_: Request, images: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    moving = stopped_half_way(request_, images, folder)
    (folder / "0001.png").unlink()
    shutil.copy(folder / "0002.png", folder / "0000-new.png")
    batch = run_batch(moving, InThisProcess())
    assert batch.newcomers == 1
    rows = rows_of(request_.out)
    assert [Path(row["path"]).name for row in rows] == [f"{number:04}.png" for number in range(COUNT)]
    assert rows[1]["error"] == f"{folder / '0001.png'}: no such image"
    assert rows[1]["sha256"] is None


def test_verdicts_that_were_cut_short_are_not_taken_for_those_of_the_batch(request_: Request) -> None:
    run_batch(request_, InThisProcess())
    verdicts = request_.out / "verdicts.parquet"
    verdicts.write_bytes(verdicts.read_bytes()[:-1])
    with pytest.raises(CobnutError, match="was cut short or changed since the batch wrote it; put it back, or take it"):
        run_batch(request_, InThisProcess())
    verdicts.unlink()
    assert run_batch(request_, InThisProcess()).record.judged == COUNT - 2


def test_shards_that_a_run_killed_at_its_very_end_has_left_are_swept_away(request_: Request) -> None:
    run_batch(request_, InThisProcess())
    (request_.out / "shards").mkdir()
    (request_.out / "shards" / "000000.jsonl").touch()
    assert run_batch(request_, InThisProcess()).was_finished
    assert not (request_.out / "shards").exists()


def test_what_could_not_be_read_is_a_list_for_another_batch(
    request_: Request, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images.parent)
    run_batch(replace(request_, sources=[images.name]), InThisProcess())
    again = replace(request_, sources=[str(request_.out / "unreadable.csv")], out=tmp_path / "again")
    assert run_batch(again, InThisProcess()).record.images == 2


def test_a_list_that_was_changed_is_refused(request_: Request, images: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{images / '0000.png'}\n{images / '0001.png'}\n")
    listed = replace(request_, sources=[str(tmp_path / "list.txt")])
    assert run_batch(listed, InThisProcess()).record.images == 2
    (tmp_path / "list.txt").write_text(f"{images / '0000.png'}\n")
    with pytest.raises(CobnutError, match="other images in a list"):
        run_batch(listed, InThisProcess())


def test_another_bundle_or_other_sources_are_refused(request_: Request, bundle: Path, tmp_path: Path) -> None:
    run_batch(request_, InThisProcess())
    with pytest.raises(CobnutError, match="other sources"):
        run_batch(replace(request_, sources=[*request_.sources, "more"]), InThisProcess())
    copied = Path(shutil.copytree(bundle, tmp_path / "other.cobnut"))
    manifest = read_manifest(copied)
    from cobnut.runtime.bundle import write_manifest

    write_manifest(copied, manifest.model_copy(update={"threshold": manifest.threshold * 2}))
    with pytest.raises(CobnutError, match="another bundle"):
        run_batch(replace(request_, bundle=copied), InThisProcess())


def test_a_bundle_that_is_changed_while_the_batch_runs_judges_nothing_more(request_: Request, bundle: Path) -> None:
    job = Job(bundle, None, "0" * 64, "/", ("/",), has_maps=False)
    with pytest.raises(BundleError, match="was changed while the batch ran"):
        ShardJudge(job, threads=1)
    assert not request_.out.exists()


def test_a_folder_of_something_else_and_a_file_are_left_alone(request_: Request) -> None:
    request_.out.mkdir()
    (request_.out / "thesis.txt").write_text("years of work")
    for is_fresh in (False, True):
        with pytest.raises(CobnutError, match="exists and is not the folder of a batch"):
            run_batch(replace(request_, is_fresh=is_fresh), InThisProcess())
    with pytest.raises(CobnutError, match="a file stands where a folder is needed"):
        run_batch(replace(request_, out=request_.out / "thesis.txt"), InThisProcess())
    assert [path.name for path in request_.out.iterdir()] == ["thesis.txt"]


def test_a_second_run_at_once_is_refused(request_: Request) -> None:
    class Beside(InThisProcess):
        def judge(self, job: Job, shards: Sequence[Shard]) -> Iterator[Answer]:
            with pytest.raises(CobnutError, match="another `cobnut batch` is at work there"):
                run_batch(request_, InThisProcess())
            yield from super().judge(job, shards)

    assert run_batch(request_, Beside()).record.images == COUNT


def test_a_shard_that_lost_rows_to_a_power_cut_is_judged_again(request_: Request) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_batch(request_, InThisProcess(most=2))
    (request_.out / "shards" / "000004.jsonl").write_bytes(b"")
    (request_.out / "shards" / ".000001.jsonl.abc.part").write_bytes(b"half")
    again = InThisProcess()
    run_batch(request_, again)
    assert again.judged == [4, 2, 1, 0]


def test_maps_stand_where_inspect_puts_them(request_: Request, bundle: Path, parts: Path, tmp_path: Path) -> None:
    places = [parts / "test" / "hole", parts / "test" / "print"]
    inspector = Inspector(bundle, threads=1)
    for _ in judge_files(inspector, find_images(places), tmp_path / "expected"):
        pass
    run_batch(replace(request_, sources=[*map(str, places)], maps=True), InThisProcess())
    maps = {path.relative_to(request_.out / "maps"): path for path in (request_.out / "maps").rglob("*.png")}
    expected = {path.relative_to(tmp_path / "expected"): path for path in (tmp_path / "expected").rglob("*.png")}
    assert maps.keys() == expected.keys()
    for place, path in expected.items():
        assert np.array_equal(np.asarray(Image.open(path)), np.asarray(Image.open(maps[place])))


def test_what_is_finished_is_kept_when_a_fresh_source_is_not_there(request_: Request) -> None:
    run_batch(request_, InThisProcess())
    before = (request_.out / "verdicts.parquet").read_bytes()
    with pytest.raises(CobnutError, match="no such file or folder"):
        run_batch(replace(request_, sources=["mistyped"], is_fresh=True), InThisProcess())
    assert (request_.out / "verdicts.parquet").read_bytes() == before


@pytest.mark.parametrize("source", ["unreadable.csv", "maps"])
def test_begun_anew_it_never_takes_away_what_is_to_be_judged(request_: Request, source: str) -> None:
    run_batch(replace(request_, maps=True), InThisProcess())
    before = (request_.out / "verdicts.parquet").read_bytes()
    with pytest.raises(CobnutError, match=f"holds .*{source}.*, which --fresh would take away; choose another --out"):
        run_batch(replace(request_, sources=[str(request_.out / source)], is_fresh=True), InThisProcess())
    assert (request_.out / "verdicts.parquet").read_bytes() == before


def test_verdicts_and_record_are_on_the_disk_before_the_shards_are_swept(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []

    def fsync(handle: int) -> None:
        name = Path(f"/proc/self/fd/{handle}").readlink().name
        synced.append((name, (request_.out / "shards").is_dir()))

    monkeypatch.setattr("cobnut.files.os.fsync", fsync)
    run_batch(request_, InThisProcess())
    assert not (request_.out / "shards").exists()
    told = {"verdicts.parquet", "batch.json", "unreadable.csv", request_.out.name}
    assert {(name, True) for name in told} == set(synced)


def test_a_version_that_is_the_very_same_bundle_goes_on(request_: Request) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_batch(request_, InThisProcess(most=1))
    assert run_batch(replace(request_, version=1), InThisProcess()).record.images == COUNT


def test_a_bundle_that_is_not_the_one_somebody_vouched_for_judges_nothing(request_: Request) -> None:
    with pytest.raises(CobnutError, match="was changed after its signature was checked"):
        run_batch(replace(request_, digest="0" * 64), InThisProcess())
    assert not (request_.out / "batch.json").exists()


def test_an_empty_record_is_gathered_again(request_: Request) -> None:
    run_batch(request_, InThisProcess())
    (request_.out / "batch.json").write_bytes(b"")
    assert not run_batch(request_, InThisProcess()).was_finished
