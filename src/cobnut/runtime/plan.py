"""The plan of a batch: every image in its order and all that decides the rows, written before any image is judged."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cobnut
from cobnut.errors import CobnutError, DataError
from cobnut.files import write_whole
from cobnut.runtime.inspect import BATCH
from cobnut.runtime.shards import Shard
from cobnut.runtime.sources import Listing, whole_name

PLAN = "plan.jsonl"
_FORMAT = 2
_HEAD = ("folder", "roots", "size", "repeated")
# Whole batches of the inspector; few enough that the last ones end about together and little is lost with a worker.
_FEWEST_A_SHARD, _MOST_A_SHARD, _MOST_DRAWN, _SHARDS = 32, 256, 32, 128


@dataclass(frozen=True, slots=True)
class Asked:
    """All that decides the rows of a batch but the images themselves; who judges them, and where, does not."""

    sources: list[str]
    lists: dict[str, str]
    bundle: str
    version: int | None
    maps: bool
    form: str
    shard: int | None
    cobnut: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is judged: what :class:`Listing` tells, ``size`` images a shard, relative ones below ``folder``."""

    asked: Asked
    folder: str
    roots: list[str]
    size: int
    repeated: int
    images: list[str]

    def shards(self) -> list[Shard]:
        """All images in their order, cut into shards of one size; the last may be smaller."""
        starts = range(0, len(self.images), self.size)
        return [Shard(number, self.images[start : start + self.size]) for number, start in enumerate(starts)]


def build_plan(asked: Asked, listing: Listing) -> Plan:
    """The plan for what the sources hold now, seen from the working directory."""
    asked = replace(asked, lists=listing.lists)
    size = _size_of_shards(asked, len(listing.images))
    return Plan(asked, str(Path.cwd()), listing.roots, size, listing.repeated, listing.images)


def ask(sources: Sequence[str], digest: str, version: int | None, maps: bool, form: str, shard: int | None) -> Asked:
    """What a command asks for, its lists not read yet."""
    names = [whole_name(source) for source in sources]
    return Asked(names, {}, digest, version, maps, form, shard, cobnut.__version__)


def write_plan(plan: Plan, path: Path) -> None:
    """Write a line with all that is asked, then a line an image."""
    head = {"format": _FORMAT, "count": len(plan.images), **{name: getattr(plan, name) for name in _HEAD}}
    with write_whole(path) as partial, partial.open("w", encoding="ascii") as file:
        print(json.dumps({**head, "asked": asdict(plan.asked)}), file=file)
        file.writelines(f"{json.dumps(image)}\n" for image in plan.images)


def read_plan(path: Path) -> Plan:
    """Read a plan again; raises :class:`DataError` when it is damaged or of another format."""
    try:
        with path.open(encoding="ascii") as file:
            head: dict[str, Any] = json.loads(file.readline())
            images = [str(json.loads(line)) for line in file]
        if head["format"] != _FORMAT or head["count"] != len(images):
            raise ValueError("it is of another format, or cut off")
        return Plan(Asked(**head["asked"]), images=images, **{name: head[name] for name in _HEAD})
    except (ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise DataError(f"{path}: cannot be read ({reason}); begin anew with --fresh") from None


def check_same(plan: Plan, asked: Asked, out: Path) -> None:
    """Raise :class:`CobnutError` when the batch in ``out`` was begun for something else."""
    before, now = asdict(plan.asked), asdict(asked)
    different = [name for name in _TOLD if before[name] != now[name]]
    if different:
        raise CobnutError(
            f"{out}: was begun with {_TOLD[different[0]]} ({_short(before[different[0]])}, not "
            f"{_short(now[different[0]])}); choose another --out, or begin anew with --fresh"
        )


_TOLD = {
    "bundle": "another bundle",
    "sources": "other sources",
    "lists": "other images in a list",
    "maps": "another --maps",
    "form": "another --format",
    "shard": "another --shard",
    "cobnut": "another Cobnut",
}


def _short(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value[:3])) + (" …" if len(value) > 3 else "")
    if isinstance(value, dict):
        return ", ".join(f"{name} {digest[:8]}" for name, digest in list(value.items())[:3])
    return value[:12] if isinstance(value, str) and len(value) == 64 else str(value)


def _size_of_shards(asked: Asked, images: int) -> int:
    if asked.shard is not None:
        return asked.shard
    size = min(max(images // _SHARDS, _FEWEST_A_SHARD), _MOST_DRAWN if asked.maps else _MOST_A_SHARD)
    return size - size % BATCH
