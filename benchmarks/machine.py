"""The machine that a benchmark ran on, and how its results are written: figures without their machine say little."""

import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cobnut.files import write_whole


def describe_machine(
    packages: Sequence[str] = ("numpy", "onnxruntime", "openvino", "pillow", "torch"),
) -> dict[str, Any]:
    """Processor with the vectors that torch uses, cores, memory, system, versions and the date.

    ``load`` is how many processes wanted to run before.
    """
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": f"{_processor()} ({torch.backends.cpu.get_cpu_capability()})",
        "cores": os.cpu_count(),
        "cores_used": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version for name in packages if (version := _version(name))},
        "load": round(os.getloadavg()[0], 2),
    }


def machine_line(machine: dict[str, Any]) -> str:
    """The same as one line of Markdown."""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"{machine['date']}; {machine['processor']}, {machine['cores_used']} of {machine['cores']} cores used, "
        f"{machine['memory_gb']} GB, {machine['system']}; Python {machine['python']}, {packages}; "
        f"load before it began: {machine['load']}"
    )


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """A Markdown table; the first ``words`` columns hold words, the others figures, which are set right."""
    rule = "|" + "---|" * words + "---:|" * (len(heads) - words)
    return "\n".join([f"| {' | '.join(heads)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def write_results(folder: Path, name: str, markdown: str, figures: dict[str, Any]) -> None:
    """Write ``name.md`` and ``name.json`` into the folder, each whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for ending, text in (("md", markdown), ("json", json.dumps(figures, indent=1, ensure_ascii=False) + "\n")):
        with write_whole(folder / f"{name}.{ending}") as partial:
            partial.write_text(text, encoding="utf-8")


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.is_file():
        for line in described.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
