"""A batch: many images judged by many workers into one file, shard by shard; whatever was killed goes on exactly.

The folder of a batch holds its plan, a file for each shard that is done, and at the end the verdicts and a record. Each
of these is whole or absent, and only the process that holds the folder's lock writes there: what is there is true.
"""

import csv
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from cobnut.errors import CobnutError
from cobnut.files import hash_file, keep_through_a_power_cut, make_folder, write_whole
from cobnut.runtime.batch_record import RECORD, Record, read_record, write_record
from cobnut.runtime.bundle import read_manifest
from cobnut.runtime.plan import PLAN, Plan, ask, build_plan, check_same, read_plan, write_plan
from cobnut.runtime.rows import open_rows
from cobnut.runtime.shards import Answer, BatchRow, Job, Shard, Workforce, read_digest
from cobnut.runtime.sources import Listing, place_of, read_sources, whole_name

LOCK, SHARDS, MAPS = "batch.lock", "shards", "maps"
VERDICTS, UNREADABLE = "verdicts", "unreadable.csv"
FORMS = (".parquet", ".csv", ".jsonl")


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be judged by which bundle into which folder; ``form`` is one of ``FORMS``, ``shard`` its images.

    ``digest`` is that of the bundle's manifest, where it was checked that somebody vouches for it.
    """

    bundle: Path
    version: int | None
    sources: Sequence[str]
    out: Path
    maps: bool = False
    form: str = ".parquet"
    shard: int | None = None
    is_fresh: bool = False
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class BatchListeners:
    """Who wants to hear how a batch goes on: of the plan, its images and how many are done, and of each shard's."""

    on_plan: Callable[[int, int], None] = field(default=lambda images, done: None)
    on_shard: Callable[[int], None] = field(default=lambda images: None)


@dataclass(frozen=True, slots=True)
class Batch:
    """A finished batch; whether it was finished before, and the images that its sources hold by now beside it."""

    record: Record
    was_finished: bool
    newcomers: int


def run_batch(request: Request, engine: Workforce, listeners: BatchListeners | None = None) -> Batch:
    """Judge every image that is not judged yet, then write the verdicts in the order of the sources.

    Raises :class:`CobnutError` when the folder holds another batch, or another process is at work there.
    """
    listeners, out = listeners or BatchListeners(), request.out
    read_manifest(request.bundle, request.version)  # refuses a bundle that is not whole
    with _hold(out):
        listing = None
        if request.is_fresh:
            listing = read_sources(request.sources)  # nothing is taken away for a source that is not there
            _refuse_own(listing, out)
            _sweep(out)
        plan, newcomers = _settle(request, listing)
        if (former := read_record(out)) is not None:
            shutil.rmtree(out / SHARDS, ignore_errors=True)  # a run that was killed at its very end left them
            return Batch(former, was_finished=True, newcomers=newcomers)
        shards = plan.shards()
        waiting = [shard for shard in shards if not _is_done(out, shard)]
        now = sum(len(shard.images) for shard in waiting)
        listeners.on_plan(len(plan.images), len(plan.images) - now)
        ran = _judge(engine, _job(request, plan), waiting, out, listeners) if waiting else _Ran()
        record = _conclude(request, plan, shards, engine, ran)
        told = (record.verdicts, RECORD, *((UNREADABLE,) if record.unreadable else ()))
        keep_through_a_power_cut(*(out / name for name in told))
        shutil.rmtree(out / SHARDS, ignore_errors=True)
        return Batch(record, was_finished=False, newcomers=newcomers)


@dataclass(frozen=True, slots=True)
class _Ran:
    """What one run of the command has judged, and the time it took."""

    images: int = 0
    seconds: float = 0.0
    core_seconds: float = 0.0


def _judge(engine: Workforce, job: Job, waiting: Sequence[Shard], out: Path, listeners: BatchListeners) -> _Ran:
    """Judge the shards that wait, and keep each as soon as it is done."""
    images, core_seconds, started = 0, 0.0, time.perf_counter()
    for answer in engine.judge(job, waiting):
        _keep(answer, out)
        images += len(answer.rows)
        core_seconds += answer.core_seconds
        listeners.on_shard(len(answer.rows))
    return _Ran(images, time.perf_counter() - started, core_seconds)


@contextmanager
def _hold(out: Path) -> Iterator[None]:
    """Keep the folder for oneself; the system frees it however the process ends."""
    if out.exists() and not out.is_dir():
        raise CobnutError(f"--out {out}: a file stands where a folder is needed; choose another --out")
    is_ours = (out / PLAN).is_file()
    if not is_ours and out.is_dir() and any(each.name != LOCK and not _is_part(each) for each in out.iterdir()):
        raise CobnutError(f"--out {out}: exists and is not the folder of a batch; choose another --out")
    with (make_folder(out) / LOCK).open("a") as file:
        try:
            import fcntl
        except ImportError:  # a system without such locks: trust that there is only one
            yield
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CobnutError(
                f"--out {out}: another `cobnut batch` is at work there; wait until it has ended, or choose another"
            ) from None
        yield


def _refuse_own(listing: Listing, out: Path) -> None:
    """Raise :class:`CobnutError` where what is to be judged lies in the folder whose contents would be taken away."""
    folder = f"{place_of(str(out))}/"
    own = next((each for each in (*listing.lists, *listing.images) if place_of(each).startswith(folder)), None)
    if own is not None:
        raise CobnutError(f"--out {out}: holds {own}, which --fresh would take away; choose another --out")


def _sweep(out: Path) -> None:
    """Take away all that a batch has written; the plan last, so that the folder stays known as a batch's."""
    for name in (SHARDS, MAPS):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in (RECORD, UNREADABLE, *(VERDICTS + form for form in FORMS), PLAN):
        (out / name).unlink(missing_ok=True)


def _settle(request: Request, listing: Listing | None) -> tuple[Plan, int]:
    """The plan of the folder, made now where there is none, and how many images it lacks that the sources hold.

    ``listing`` is what the sources hold where they were read already.
    """
    digest, path = read_digest(request.bundle, request.version), request.out / PLAN
    if request.digest not in (None, digest):
        raise CobnutError(f"{request.bundle}: was changed after its signature was checked; put back the one that holds")
    asked = ask(request.sources, digest, request.version, request.maps, request.form, request.shard)
    former = read_plan(path) if path.is_file() else None
    if former is None:
        plan = build_plan(asked, listing or read_sources(request.sources))
        write_plan(plan, path)
        return plan, 0
    check_same(former, replace(asked, lists=former.asked.lists), request.out)
    _clear_parts(request.out)
    try:
        listing = read_sources(request.sources)
    except CobnutError:  # what vanished since is told in its row
        return former, 0
    check_same(former, replace(asked, lists=listing.lists), request.out)
    known = {place_of(image, former.folder) for image in former.images}
    return former, sum(place_of(image) not in known for image in listing.images)


def _job(request: Request, plan: Plan) -> Job:
    bundle, digest = request.bundle.absolute(), plan.asked.bundle
    return Job(bundle, request.version, digest, plan.folder, tuple(plan.roots), has_maps=request.maps)


def _shard_path(out: Path, shard: Shard) -> Path:
    return out / SHARDS / f"{shard.number:06}.jsonl"


def _is_done(out: Path, shard: Shard) -> bool:
    """Whether all rows of a shard are there; a file that lost some, as a power cut may leave it, does not count."""
    path = _shard_path(out, shard)
    return path.is_file() and path.read_bytes().count(b"\n") == len(shard.images)


def _keep(answer: Answer, out: Path) -> None:
    """Write the pictures of a shard, then its rows: where these are, all of it is."""
    for place, content in answer.pictures:
        with write_whole(out / MAPS / place) as partial:
            partial.write_bytes(content)
    with write_whole(_shard_path(out, answer.shard)) as partial:
        partial.write_text("".join(json.dumps(asdict(row)) + "\n" for row in answer.rows), "ascii")


def _conclude(request: Request, plan: Plan, shards: Sequence[Shard], engine: Workforce, ran: _Ran) -> Record:
    """Write the verdicts and a list of what could not be read, and last the record of what they came to."""
    asked, images, verdicts = plan.asked, len(plan.images), request.out / f"{VERDICTS}{plan.asked.form}"
    manifest = read_manifest(request.bundle, request.version)
    defective, unreadable = _gather(shards, request.out, verdicts, plan.folder)
    record = Record(
        cobnut=asked.cobnut,
        bundle=str(request.bundle.absolute()),
        digest=asked.bundle,
        version=manifest.version,
        recipe=manifest.recipe.name,
        threshold=manifest.threshold,
        sources=asked.sources,
        lists=asked.lists,
        images=images,
        judged=images - unreadable,
        defective=defective,
        unreadable=unreadable,
        repeated=plan.repeated,
        shards=len(shards),
        engine=engine.name,
        workers=engine.workers,
        judged_now=ran.images,
        seconds=round(ran.seconds, 3),
        images_per_second=ran.images / ran.seconds if ran.images else None,
        cores_busy=ran.core_seconds / ran.seconds if ran.images else None,
        verdicts=verdicts.name,
        sha256=hash_file(verdicts),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_record(record, request.out)
    return record


def _gather(shards: Sequence[Shard], out: Path, verdicts: Path, folder: str) -> tuple[int, int]:
    """Write all rows in their order, and those of unreadable images apart; how many are defective and unreadable.

    The latter is a list that another batch takes: its relative paths, which count from ``folder``, are made whole.
    """
    defective, unreadable = 0, [("path", "error")]
    with open_rows(verdicts, BatchRow) as write:
        for shard in shards:
            for line in _shard_path(out, shard).read_text("ascii").splitlines():
                row = BatchRow(**json.loads(line))
                write(row)
                defective += row.is_defective is True
                if row.error is not None:
                    unreadable.append((whole_name(row.path, folder), row.error))
    if len(unreadable) > 1:
        with write_whole(out / UNREADABLE) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(unreadable)
    return defective, len(unreadable) - 1


def _clear_parts(out: Path) -> None:
    """Take away what a killed run left half written."""
    for folder in (out, *(out / name for name in (SHARDS, MAPS))):
        for path in folder.glob(".*.part") if folder == out else folder.rglob(".*.part"):
            path.unlink(missing_ok=True)


def _is_part(path: Path) -> bool:
    return path.name.startswith(".") and path.suffix == ".part"
