"""A batch gives one row an image, in order, whatever happens to it on the way."""

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from batches import write_images
from cobnut.errors import BundleError, CobnutError
from cobnut.runtime.batch import BatchListeners, Request, run_batch
from cobnut.runtime.bundle import read_manifest
from cobnut.runtime.inspect import Inspector
from cobnut.runtime.judge_files import find_images, judge_files
from cobnut.runtime.shards import Answer, Job, Shard, ShardJudge

COUNT, SHARD = 20, 4
BAD = ("0003.png", "0005.png")


class InThisProcess:
    """Judges shards here, one after the other, and hands them over in another order; stops at ``most``."""

    name, workers = "here", 1

    def __init__(self, most: int | None = None) -> None:
        self.most, self.judged = most, list[int]()

    def judge(self, job: Job, shards: Sequence[Shard]) -> Iterator[Answer]:
        judge = ShardJudge(job, threads=1)
        for shard in list(reversed(shards))[: self.most]:
            self.judged.append(shard.number)
            yield judge.judge(shard)
        if self.most is not None:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of noise, of which one is damaged and one empty; read only."""
    return write_images(tmp_path_factory.mktemp("batch") / "in", COUNT)


@pytest.fixture
def request_(bundle: Path, images: Path, tmp_path: Path) -> Request:
    return Request(bundle, None, [str(images)], tmp_path / "out", shard=SHARD)


def rows_of(out: Path) -> list[dict[str, Any]]:
    return pq.read_table(out / "verdicts.parquet").to_pylist()


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
    folder = Path(shutil.copytree(images, tmp_path / "in"))
    moving = replace(request_, sources=[str(folder)])
    with pytest.raises(KeyboardInterrupt):
        run_batch(moving, InThisProcess(most=1))
    (folder / "0001.png").unlink()
    shutil.copy(folder / "0002.png", folder / "0000-new.png")
    batch = run_batch(moving, InThisProcess())
    assert batch.newcomers == 1
    rows = rows_of(request_.out)
    assert [Path(row["path"]).name for row in rows] == [f"{number:04}.png" for number in range(COUNT)]
    assert rows[1]["error"] == f"{folder / '0001.png'}: no such image"
    assert rows[1]["sha256"] is None


def test_a_folder_that_is_gone_stops_the_run_rather_than_fill_it_with_errors(
    request_: Request, images: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(images, tmp_path / "in"))
    moving = replace(request_, sources=[str(folder)])
    with pytest.raises(KeyboardInterrupt):
        run_batch(moving, InThisProcess(most=1))
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(CobnutError, match="no such image, and .*/in is gone or empty; mend the way to them"):
        run_batch(moving, InThisProcess())
    (tmp_path / "elsewhere").rename(folder)
    assert run_batch(moving, InThisProcess()).record.judged == COUNT - 2


def test_a_mount_point_that_is_emptied_within_a_shard_stops_the_run(
    request_: Request, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(images, tmp_path / "in"))
    whole, reads = Path.read_bytes, 0

    def read_bytes(path: Path) -> bytes:
        nonlocal reads
        if path.parent == folder:
            reads += 1
            if reads == 4:
                for each in folder.iterdir():
                    each.unlink()
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(CobnutError, match="no such image, and .*/in is gone or empty"):
        run_batch(replace(request_, sources=[str(folder)], shard=8), InThisProcess())
    shutil.copytree(images, folder, dirs_exist_ok=True)
    assert run_batch(replace(request_, sources=[str(folder)], shard=8), InThisProcess()).record.judged == COUNT - 2


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
    job = Job(bundle, None, "0" * 64, "/", "/", has_maps=False)
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


def test_images_in_a_bucket_are_judged_as_files_are(request_: Request, images: Path, tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    system.put(str(images), "/line-7", recursive=True)
    run_batch(replace(request_, out=tmp_path / "files"), InThisProcess())
    run_batch(replace(request_, sources=["memory://line-7"], maps=True), InThisProcess())
    for remote, local in zip(rows_of(request_.out), rows_of(tmp_path / "files"), strict=True):
        assert remote["path"] == f"memory:///line-7/{Path(local['path']).name}"
        same = ("score", "p_value", "is_defective", "brightness", "sharpness", "sha256")
        assert [remote[name] for name in same] == [local[name] for name in same]
        assert (remote["error"] is None) == (local["error"] is None)
    assert len(list((request_.out / "maps").rglob("*.png"))) == COUNT - 2
    system.rm("/line-7", recursive=True)


@pytest.mark.parametrize("protocol", ["local", "file"])
def test_pictures_of_images_behind_an_alias_of_a_protocol_find_their_place(
    request_: Request, images: Path, protocol: str
) -> None:
    run_batch(replace(request_, sources=[f"{protocol}://{images}"], maps=True), InThisProcess())
    assert len(list((request_.out / "maps").glob("*.png"))) == COUNT - 2
    assert rows_of(request_.out)[0]["path"].startswith(f"{protocol}://")


def test_a_connection_that_fails_for_all_stops_the_run(
    request_: Request, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = fsspec.filesystem("memory")
    system.put(str(images), "/line-8", recursive=True)
    monkeypatch.setattr("cobnut.runtime.shards._WAITS", (0.0, 0.0))
    remote = replace(request_, sources=["memory://line-8"], shard=10)
    broken = 3

    def cat_file(self: Any, path: str, **options: Any) -> bytes:
        nonlocal broken
        if broken or path.endswith("0007.png"):
            broken = max(0, broken - 1)
            raise ConnectionError("reset by peer")
        return whole(self, path, **options)

    whole = type(system).cat_file
    monkeypatch.setattr(type(system), "cat_file", cat_file)
    batch = run_batch(remote, InThisProcess())
    rows = rows_of(request_.out)
    assert "0007.png: cannot be read (reset by peer)" in rows[7]["error"]
    assert batch.record.unreadable in (3, 4)  # three failures in a row may all have hit one image
    broken = 10**6
    with pytest.raises(CobnutError, match="reset by peer.*mend the way to them, and the same command goes on"):
        run_batch(replace(remote, is_fresh=True), InThisProcess())
    system.rm("/line-8", recursive=True)


def test_what_is_finished_is_kept_when_a_fresh_source_is_not_there(request_: Request) -> None:
    run_batch(request_, InThisProcess())
    before = (request_.out / "verdicts.parquet").read_bytes()
    with pytest.raises(CobnutError, match="no such file or folder"):
        run_batch(replace(request_, sources=["mistyped"], is_fresh=True), InThisProcess())
    assert (request_.out / "verdicts.parquet").read_bytes() == before


def test_a_bundle_that_is_not_the_one_somebody_vouched_for_judges_nothing(request_: Request) -> None:
    with pytest.raises(CobnutError, match="was changed after its signature was checked"):
        run_batch(replace(request_, digest="0" * 64), InThisProcess())
    assert not (request_.out / "batch.json").exists()


def test_an_empty_record_is_gathered_again(request_: Request) -> None:
    run_batch(request_, InThisProcess())
    (request_.out / "batch.json").write_bytes(b"")
    assert not run_batch(request_, InThisProcess()).was_finished
