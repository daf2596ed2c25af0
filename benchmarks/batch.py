"""What a batch judges in a second, by engine and workers, and how much of the cores it uses, as a Markdown table.

    python benchmarks/batch.py [BUNDLE [SOURCE]] [--images 2000] [--engines local,ray] [--out DIR]

Without a bundle, one of the default recipe is trained on rendered parts first. Nothing is gated on these figures.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cobnut.data.layouts import image_files
from cobnut.data.sample_parts import write_sample_parts
from cobnut.machine import cores
from machine import describe_machine, machine_line, markdown_table, write_results


def main() -> None:
    """Run every engine with one worker and with one a core, on the same images, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path)
    parser.add_argument("source", nargs="?", type=Path)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--engines", default="local,ray")
    parser.add_argument("--out", type=Path, help="a folder to write the table and its figures into, too")
    options = parser.parse_args()
    machine = describe_machine(("cobnut", "onnxruntime", "openvino", "pyarrow", "ray"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = options.bundle or train(folder)
        source = repeated(options.source or folder / "parts", options.images, folder / "in")
        workers = sorted({1, cores()})
        rows = [
            run(bundle, source, engine, count, folder) for engine in options.engines.split(",") for count in workers
        ]
        judged = {row["sha256"] for row in rows}
    text = describe(rows, options.images, machine, len(judged) == 1)
    print(text)
    if options.out:
        told = [{name: value for name, value in row.items() if name not in ("bundle", "sources")} for row in rows]
        write_results(options.out, "batch", text, {"machine": machine, "rows": told})  # without places of this machine


def describe(rows: list[dict[str, Any]], images: int, machine: dict[str, Any], is_same: bool) -> str:
    """The table, with the machine that it was measured on."""
    cells = []
    for row in rows:
        alone = next(each for each in rows if (each["engine"], each["workers"]) == (row["engine"], 1))
        speed, busy = row["images_per_second"], row["cores_busy"]
        ratio = f"× {speed / alone['images_per_second']:.2f}"
        share = f"{100 * busy / machine['cores_used']:.0f} %"
        cells.append([row["engine"], str(row["workers"]), f"{speed:.1f}", ratio, f"{busy:.2f}", share])
    heads = ["engine", "workers", "images/s", "against one worker", "cores busy", "of all core time"]
    return (
        f"# A batch of {images} images\n\nMeasured by `benchmarks/batch.py` on {machine_line(machine)}.\n\n"
        + markdown_table(heads, cells)
        + ("\nThe verdicts are the same, byte for byte.\n" if is_same else "\nTHE VERDICTS DIFFER.\n")
    )


def train(folder: Path) -> Path:
    """A bundle of the default recipe for rendered parts."""
    write_sample_parts(folder / "parts", good=60, test_good=20, defective=5)
    cobnut("train", folder / "parts", "--out", folder / "parts.cobnut")
    return folder / "parts.cobnut"


def repeated(source: Path, count: int, folder: Path) -> Path:
    """So many images: those of ``source`` again and again, as links under new names."""
    images = image_files(source)
    folder.mkdir()
    for number in range(count):
        path = images[number % len(images)].absolute()
        (folder / f"{number:07}{path.suffix}").symlink_to(path)
    return folder


def run(bundle: Path, source: Path, engine: str, workers: int, folder: Path) -> dict[str, Any]:
    """The record of a batch."""
    out = folder / f"{engine}-{workers}"
    cobnut("batch", bundle, source, "--out", out, "--engine", engine, "--workers", workers)
    record: dict[str, Any] = json.loads((out / "batch.json").read_text("utf-8"))
    return record


def cobnut(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "cobnut", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
