"""The house: imports go down only, and the floor that runs bundles never loads torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "cobnut"

# From the top floor to the ground; a module may import from its own floor and from those below.
FLOORS = (
    ("cli",),
    ("study",),
    ("training",),
    ("evaluation", "report"),
    ("models",),
    ("losses",),
    ("runtime",),
    ("calibration",),
    ("data",),
    ("recipe", "recipes", "options", "records", "pictures", "files", "machine", "errors"),
)
USES_TORCH = ("study", "training", "models", "losses", "data.dataset", "runtime.export", "runtime.folding")
MODULES = sorted(
    path.relative_to(SOURCE).with_suffix("").as_posix().replace("/", ".")
    for path in SOURCE.rglob("*.py")
    if path.name not in ("__init__.py", "__main__.py") or path.parent != SOURCE
)


def floor_of(module: str) -> int:
    top = module.split(".")[0]
    return next(number for number, rooms in enumerate(FLOORS) if top in rooms)


def imports_of(module: str, top_level_only: bool = False) -> set[str]:
    tree = ast.parse((SOURCE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_only(module: str) -> None:
    for name in imports_of(module):
        if name.startswith("cobnut."):
            assert floor_of(name.removeprefix("cobnut.")) >= floor_of(module), f"{module} reaches up to {name}"


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith(USES_TORCH)])
def test_the_torch_free_floor_names_no_torch(module: str) -> None:
    torch_names = [name for name in imports_of(module) if name.split(".")[0] in ("torch", "lightning", "safetensors")]
    assert not torch_names


def test_only_one_folder_draws_with_matplotlib() -> None:
    users = [name for name in MODULES if any(each.split(".")[0] == "matplotlib" for each in imports_of(name))]
    assert users
    assert all(name.startswith("report.plots.") for name in users)


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["recipes"], ["inspect", "BUNDLE", "PARTS"]])
def test_the_light_commands_load_neither_torch_nor_plotting(words: list[str], bundle: Path, parts: Path) -> None:
    words = [{"BUNDLE": str(bundle), "PARTS": str(parts / "test")}.get(word, word) for word in words]
    code = (
        "import sys\nfrom cobnut.cli import main\n"
        f"sys.argv = ['cobnut', *{words!r}]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "heavy = {'torch', 'lightning', 'matplotlib', 'scipy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_file_and_function_stays_short() -> None:
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 60, f"{path}: {node.name}"
                assert node.args.kwarg is None, f"{path}: {node.name} would swallow a misspelt option"
