"""What was made of a log, kept beside it, with the proof that the log up to there is still the very same."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import cobnut
from cobnut.errors import CobnutError
from cobnut.files import write_whole

# Raise when the same rows come to make another state.
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """A state after the first ``position`` bytes of a log, whole rows; ``key`` names all else that it depends on."""

    key: str
    position: int
    state: dict[str, Any]


def kept_path(log: Path) -> Path:
    """Where the state of a log is kept."""
    return log.with_name(f"{log.name}.watch")


def read_kept(log: Path, content: bytes) -> Kept | None:
    """What is kept beside a log that holds ``content``; ``None`` where it is damaged, or of another log or program."""
    try:
        record = json.loads(kept_path(log).read_bytes())
        digest = record.pop("digest")
        kept = Kept(**record.pop("kept"))
        return kept if digest == _digest(kept, content) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_kept(log: Path, content: bytes, kept: Kept) -> None:
    """Keep a state beside a log that holds ``content``; where it cannot be written, the log alone must do."""
    record = {"kept": asdict(kept), "digest": _digest(kept, content)}
    try:
        with write_whole(kept_path(log)) as partial:
            partial.write_text(json.dumps(record), encoding="utf-8")
    except (OSError, CobnutError):
        return


def _digest(kept: Kept, content: bytes) -> str:
    """SHA-256 of the program, of the state and of the rows that it was made of."""
    made = hashlib.sha256(json.dumps([FORMAT, cobnut.__version__, asdict(kept)], sort_keys=True).encode())
    made.update(memoryview(content)[: kept.position])
    return made.hexdigest()
