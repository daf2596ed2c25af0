"""What was watched of a log is kept beside it, and going on from there is the same as watching it all again."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cobnut.errors import DataError
from cobnut.runtime.bundle import Manifest
from cobnut.runtime.drift import Drift, watch_log, watch_on
from cobnut.runtime.kept import kept_path
from cobnut.runtime.logs import append_log, read_log
from cobnut.runtime.watch import LogWatch


def lines(manifest: Manifest, count: int = 160) -> bytes:
    """A log of good and rejected parts, of some that could not be read, and of another version's, darker at the end."""
    random = np.random.default_rng(5)
    kinds = random.choice(["good", "rejected", "unreadable", "other"], size=count, p=[0.7, 0.15, 0.05, 0.1])
    rows: list[dict[str, Any]] = []
    for number, kind in enumerate(kinds):
        score = {"rejected": 9.0, "unreadable": None}.get(kind, float(random.lognormal(sigma=0.3)))
        rows.append(
            {"path": f"Stück {number}.png", "version": manifest.version + (kind == "other"), "score": score,
             "threshold": manifest.threshold, "brightness": 100 - 0.3 * number, "sharpness": float(random.random())}
        )  # fmt: skip
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def outcome(told: Drift) -> tuple[list[str], dict[str, Any]]:
    return list(told.sentences()), told.watch.state()


def anew(manifest: Manifest, log: Path, level: float = 0.01, defect_rate: float = 0.0) -> Any:
    return outcome(watch_log(manifest, read_log(log), level, defect_rate))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_going_on_is_watching_all_again_wherever_the_log_was_cut(
    promised: Manifest, tmp_path: Path, data: st.DataObject
) -> None:
    content, log = lines(promised), tmp_path / "line.jsonl"
    kept_path(log).unlink(missing_ok=True)
    before_newlines = st.sampled_from([n for n, byte in enumerate(content) if byte == ord("\n")])
    anywhere = st.integers(content.index(b"\n"), len(content))
    cuts = sorted(data.draw(st.lists(anywhere | before_newlines, min_size=1, max_size=5)))
    for cut in [*cuts, len(content)]:
        log.write_bytes(content[:cut])
        assert outcome(watch_on(promised, log)) == anew(promised, log)


def test_only_rows_that_are_new_are_watched(
    promised: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, log, fed = lines(promised), tmp_path / "line.jsonl", []
    log.write_bytes(content)
    watch_on(promised, log)
    feed = LogWatch.feed
    monkeypatch.setattr(LogWatch, "feed", lambda watch, row: (fed.append(row), feed(watch, row))[1])
    log.write_bytes(content + content[: content.index(b"\n") + 1])
    watch_on(promised, log)
    assert len(fed) == 1


def harm(kind: str, log: Path, content: bytes) -> None:
    kept = kept_path(log)
    if kind == "a row was altered":
        log.write_bytes(content.replace(b'"score": 9.0', b'"score": 0.9', 1))
    elif kind == "the log was cut":
        log.write_bytes(content[: content.index(b"\n", 9000) + 1])
    elif kind == "another log took its place":
        log.write_bytes(b"".join(content.splitlines(keepends=True)[::-1]))
    elif kind == "the state was cut":
        kept.write_bytes(kept.read_bytes()[:-100])
    elif kind == "the state was altered":
        kept.write_bytes(kept.read_bytes().replace(b'"parts": 1', b'"parts": 2', 1))
    elif kind == "the state names no place":
        kept.write_text(json.dumps({"kept": {"key": "", "position": "x", "state": {}}, "digest": ""}))
    elif kind == "the state is another file":
        kept.write_bytes(b"\xff[1, 2]")
    else:
        kept.unlink()
        kept.mkdir()


@pytest.mark.parametrize(
    "kind",
    [
        "a row was altered", "the log was cut", "another log took its place", "the state was cut",
        "the state was altered", "the state names no place", "the state is another file", "a folder is in its place",
    ],
)  # fmt: skip
def test_what_does_not_fit_is_watched_again(promised: Manifest, tmp_path: Path, kind: str) -> None:
    content, log = lines(promised), tmp_path / "line.jsonl"
    log.write_bytes(content)
    watch_on(promised, log)
    before = kept_path(log).read_bytes(), log.read_bytes()
    harm(kind, log, content)
    assert kept_path(log).is_dir() or (kept_path(log).read_bytes(), log.read_bytes()) != before
    assert outcome(watch_on(promised, log)) == anew(promised, log)
    assert outcome(watch_on(promised, log)) == anew(promised, log)


def test_another_bundle_level_or_program_starts_from_the_first_row(
    promised: Manifest, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "line.jsonl"
    log.write_bytes(lines(promised))
    watch_on(promised, log)
    second = promised.model_copy(update={"version": 2})
    for other in (second, manifest, promised.model_copy(update={"calibration_scores": [1.0] * 60})):
        assert outcome(watch_on(other, log)) == anew(other, log)
    assert outcome(watch_on(promised, log, 0.1, 0.2)) == anew(promised, log, 0.1, 0.2)
    fed: list[object] = []
    feed = LogWatch.feed
    monkeypatch.setattr("cobnut.__version__", "99")
    monkeypatch.setattr(LogWatch, "feed", lambda watch, row: (fed.append(row), feed(watch, row))[1])
    watch_on(promised, log, 0.1, 0.2)
    assert len(fed) == 160


def test_a_watch_that_is_killed_at_any_moment_goes_on_right(promised: Manifest, tmp_path: Path) -> None:
    log, made = tmp_path / "line.jsonl", tmp_path / "manifest.json"
    made.write_text(promised.model_dump_json())
    (tmp_path / "rows.jsonl").write_bytes(lines(promised))
    code = (
        "import sys\nfrom pathlib import Path\nfrom cobnut.runtime.bundle import Manifest\n"
        "from cobnut.runtime.drift import watch_on\nfolder = Path(sys.argv[1])\n"
        "manifest = Manifest.model_validate_json((folder / 'manifest.json').read_text())\n"
        "while True:\n"
        "    for row in (folder / 'rows.jsonl').read_bytes().splitlines(keepends=True):\n"
        "        with (folder / 'line.jsonl').open('ab') as file:\n            file.write(row)\n"
        "        watch_on(manifest, folder / 'line.jsonl')\n"
    )
    for wait in (0.0, 0.013, 0.031):
        kept_path(log).unlink(missing_ok=True)
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as process:
            until = time.monotonic() + 60
            while not kept_path(log).exists() and time.monotonic() < until:
                time.sleep(0.005)
            time.sleep(wait)
            process.kill()
        assert kept_path(log).exists()
        assert outcome(watch_on(promised, log)) == anew(promised, log)


def test_a_row_that_is_wrong_is_named_by_its_number_in_the_whole_log(promised: Manifest, tmp_path: Path) -> None:
    log = tmp_path / "line.jsonl"
    log.write_bytes(lines(promised))
    watch_on(promised, log)
    log.write_bytes(log.read_bytes() + b'{"path": "a.png", "score": "abc"}\n')
    for _ in range(2):
        with pytest.raises(DataError, match="row 161: score = 'abc'"):
            watch_on(promised, log)
        with pytest.raises(DataError, match="row 161: score = 'abc'"), append_log(log, 1):
            pass


def test_a_letter_cut_in_its_midst_by_a_kill_is_cut_off(promised: Manifest, tmp_path: Path) -> None:
    content, log = lines(promised), tmp_path / "line.jsonl"
    cut = content.rindex("ü".encode()) + 1
    log.write_bytes(content[:cut])
    assert outcome(watch_on(promised, log)) == anew(promised, log)
    with append_log(log, 1):
        pass
    assert log.read_bytes() == content[: content.rindex(b"\n", 0, cut) + 1]
