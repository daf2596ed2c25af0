"""`cobnut audit` as a user meets it."""

import shutil
from collections.abc import Callable
from pathlib import Path

from program import Run


def test_an_audit_finds_a_leak_and_shows_it(run: Callable[..., Run], parts: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(parts, tmp_path / "parts"))
    shutil.copy(data / "train" / "good" / "003.png", data / "test" / "good" / "leak.png")
    done = run("audit", data, "--no-looks", "--report", tmp_path / "audit.html", "--alpha", 0.5)
    assert done.code == 3
    assert "1 pair of images: one part, it seems, stands in two splits" in done.out
    assert "leak.png" in done.out
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert page.count("<img") == 2
    assert "test, good" in page


def test_an_audit_that_finds_nothing_says_so(run: Callable[..., Run], parts: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(parts, tmp_path / "parts"))
    for folder in ("test", "ground_truth"):
        shutil.rmtree(data / folder / "cut")  # at 64 pixels some cuts are too fine for a first look
    done = run("audit", data, "--alpha", 0.5)
    assert (done.code, done.err) == (0, "")
    assert "nothing was found" in done.out


def test_an_audit_tells_how_many_images_a_promise_needs(run: Callable[..., Run], parts: Path) -> None:
    done = run("audit", parts, "--no-looks", "--alpha", 0.01)
    assert done.code == 3
    assert "3 good images would calibrate; to promise alpha 0.01 takes 99." in done.out
    assert "or promise alpha 0.25" in done.out
