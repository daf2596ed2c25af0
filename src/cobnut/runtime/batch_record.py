"""What a finished batch came to: the last file of its folder to be written, and what proves that it is finished."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cobnut.errors import CobnutError
from cobnut.files import hash_file, write_whole

RECORD = "batch.json"


@dataclass(frozen=True, slots=True)
class Record:
    """What a finished batch came to; ``seconds``, ``cores_busy`` and the rate tell of the last run of the command.

    ``cores_busy`` is the core time of all workers a second.
    """

    cobnut: str
    bundle: str
    digest: str
    version: int
    recipe: str
    threshold: float
    sources: list[str]
    lists: dict[str, str]
    images: int
    judged: int
    defective: int
    unreadable: int
    repeated: int
    shards: int
    engine: str
    workers: int | None
    judged_now: int
    seconds: float
    images_per_second: float | None
    cores_busy: float | None
    verdicts: str
    sha256: str
    finished: str


def write_record(record: Record, out: Path) -> None:
    """Write the record into the batch's folder."""
    with write_whole(out / RECORD) as partial:
        partial.write_text(json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_record(out: Path) -> Record | None:
    """What a batch that is finished came to; ``None`` while there is none, or its verdicts were taken away.

    Raises :class:`CobnutError` when they are others than were written.
    """
    path = out / RECORD
    if not path.is_file():
        return None
    try:
        record = Record(**json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError):  # a power cut may leave an empty file: what is judged is gathered again
        return None
    verdicts = out / record.verdicts
    if not verdicts.is_file():
        return None
    if hash_file(verdicts) != record.sha256:
        raise CobnutError(
            f"{verdicts}: was cut short or changed since the batch wrote it; put it back, or take it away to judge anew"
        )
    return record
