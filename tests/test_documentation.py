"""What the README and the guide tell to type works as written (with a recipe so small that it takes seconds)."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cobnut.recipe import option_rows
from program import TINY, TINY_FEATURE, Run

ROOT = Path(__file__).parents[1]
SMALL_PARTS = ["--good", "24", "--test-good", "6", "--defective", "2", "--side", "64"]
TRAINING = ("train", "study", "tune")
TINY_OPTIONS = [word for setting in TINY for word in ("--set", setting)]
# Pages where any detector will do.
ANY_DETECTOR = {"docs/deploy.md": ["--recipe", "cae", *TINY_OPTIONS]}
TINY_FEATURE_OPTIONS = [word for setting in TINY_FEATURE for word in ("--set", setting)]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)


def commands(page: str) -> list[list[str]]:
    lines = [line for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ cobnut")]
    return [shlex.split(line, comments=True)[2:] for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/guide.md", "docs/promise.md", "docs/deploy.md"])
def test_the_commands_of_a_page_work_one_after_the_other(
    page: str, run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "toml"):
        name = block.splitlines()[0].removeprefix("# ")
        Path(name).write_text(block, encoding="utf-8")
    assert len(commands(page)) >= 5
    for words in commands(page):
        trains_default = words[0] == "train" and "--recipe" not in words
        training = ANY_DETECTOR.get(page, TINY_FEATURE_OPTIONS) if trains_default else TINY_OPTIONS
        extra = {"parts": SMALL_PARTS, "train": training, "study": TINY_OPTIONS, "tune": TINY_OPTIONS}.get(words[0], [])
        done = run(*words, *extra)
        expected = (0, 3) if words[0] == "audit" else (0,)  # 3: something was found
        assert done.code in expected, f"{words}: {done.err}"
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), {})


@pytest.mark.slow
def test_a_loss_of_ones_own_takes_ten_lines_and_works_as_written(parts: Path, tmp_path: Path) -> None:
    page = "docs/your-own.md"
    for language in ("python", "toml"):
        for block in blocks(page, language):
            (tmp_path / block.splitlines()[0].removeprefix("# ")).write_text(block, encoding="utf-8")
    code = (tmp_path / "own_loss.py").read_text().splitlines()
    assert sum(bool(line) and not line.startswith("#") for line in code) <= 10
    (tmp_path / "parts").symlink_to(parts)
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    assert len(lines) == 4
    for line in lines[1:]:
        program, *words = shlex.split(line.removeprefix("$ "))
        start = [sys.executable, words.pop(0)] if program == "python" else [sys.executable, "-m", "cobnut"]
        extra = TINY_OPTIONS if words[0] in TRAINING else []
        done = subprocess.run([*start, *words, *extra], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}"


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/index.md",
        "docs/your-own.md",
        "docs/guide.md",
        "docs/promise.md",
        "docs/deploy.md",
        "docs/architecture.md",
        "CONTRIBUTING.md",
    ],
)
def test_every_link_and_picture_of_a_page_exists(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert ((ROOT / page).parent / target).exists(), target


def test_the_container_copies_only_what_is_there() -> None:
    lines = (ROOT / "examples" / "Containerfile").read_text(encoding="utf-8").splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    assert "pyproject.toml" in copied
    for name in copied:
        assert (ROOT / name).exists(), name


def test_the_first_screen_of_the_readme_names_both_commands() -> None:
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:20]
    assert any("make demo" in line for line in first_screen)
    assert any("make test" in line for line in first_screen)


def test_every_file_of_the_house_stands_in_the_drawing() -> None:
    drawing = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in (ROOT / "src" / "cobnut").rglob("*.py"):
        if path.name not in ("__init__.py", "__main__.py") and path.parent.name != "cli":
            assert path.name in drawing, path


def test_every_option_that_the_pages_set_exists() -> None:
    keys = {key for key, _, _ in option_rows()}
    for page in ("README.md", "docs/guide.md"):
        for key in re.findall(r"--set ([a-z_.]+)=", (ROOT / page).read_text(encoding="utf-8")):
            assert key in keys
