"""Accuracy × speed × size against anomalib, on the same encoder and images, side by side in one run.

    python benchmarks/against_anomalib.py [DATA …] [--detectors NAME …] [--rounds 2] [--threads 2] [--keep DIR]

DATA are folders in MVTec AD's layout; without one, rendered parts are made. anomalib runs in an environment of its own
and ours inspects in one with the base install alone; both are made below `.bench/` when they are not there. Every
training and every round of inspections is a fresh process, the detectors take turns, and each judges one file after
the other. What is finished is kept in `rows.jsonl`, so that a killed run of the same code on the same processor goes
on; one that came to its end begins anew.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from cobnut.data.layouts import read_dataset
from cobnut.data.sample_parts import write_sample_parts
from cobnut.files import write_whole
from environments import ROOT, anomalib_python, base_python, code_digest, installed_bytes, versions
from machine import describe_machine, write_results
from side_by_side import describe

# By name: whose it is, and what its worker is asked for.
DETECTORS = {
    "Cobnut, fast": ("cobnut", "fast"),
    "Cobnut": ("cobnut", "default"),
    "PatchCore, 1 %": ("anomalib", "patchcore:0.01"),
    "PatchCore, 10 %": ("anomalib", "patchcore:0.1"),  # its default, which fits for an hour on two hundred images
    "PaDiM": ("anomalib", "padim"),
}
USUAL = [name for name in DETECTORS if name != "PatchCore, 10 %"]
Row = dict[str, Any]


class Kept:
    """The finished rows, each written down at once; those of other ``code`` or another processor are left out."""

    def __init__(self, folder: Path, code: str, processor: str) -> None:
        self.folder, self.file = folder, folder / "rows.jsonl"
        self.mark = {"code": code, "processor": processor}
        folder.mkdir(parents=True, exist_ok=True)
        lines = self.file.read_text().splitlines() if self.file.is_file() else []
        self.rows: list[Row] = [json.loads(line) for line in lines]
        self.rows = self.find(**self.mark)

    def find(self, **key: object) -> list[Row]:
        """The finished rows with this key."""
        return [row for row in self.rows if all(row.get(name) == value for name, value in key.items())]

    def add(self, row: Row) -> None:
        """Keep one more row."""
        self.rows.append({**row, **self.mark})
        with write_whole(self.file) as partial:
            partial.write_text("".join(json.dumps(each) + "\n" for each in self.rows), encoding="utf-8")


def main() -> None:
    """Measure what is not kept yet, and write the tables."""
    options = _options()
    machine = describe_machine()
    kept = Kept(options.keep, code_digest(), machine["processor"])
    pythons = {
        "anomalib": anomalib_python(ROOT / ".bench"),
        "cobnut": Path(sys.executable),
        "cobnut base": base_python(ROOT / ".bench"),
    }
    folders = options.data or [_parts(options.keep)]
    if len({data.resolve().name for data in folders}) < len(folders):
        raise SystemExit("two DATA folders are called alike, and their rows would be mixed; run one after the other")
    for data in folders:
        bench(data, options, kept, pythons)
    figures: Row = {
        "machine": machine,
        "threads": options.threads,
        "versions": {
            "anomalib": versions(pythons["anomalib"], ("anomalib", "torch", "timm", "openvino")),
            "cobnut base": versions(pythons["cobnut base"], ("cobnut", "onnxruntime", "numpy", "pillow")),
        },
        "installed_bytes": {name: installed_bytes(pythons[name]) for name in ("anomalib", "cobnut base")},
        "rows": [_without_places(row) for row in kept.rows if row["threads"] == options.threads],
    }
    text = describe(figures)
    write_results(options.out, options.name, text, figures)
    kept.file.replace(kept.folder / "rows-of-the-last-run.jsonl")
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="*")
    parser.add_argument("--detectors", nargs="+", choices=DETECTORS, default=USUAL)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--images", type=int, default=30, help="test images that a round times")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--threads", type=int, default=cores)
    parser.add_argument("--keep", type=Path, default=ROOT / ".bench" / "kept")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--name", default="against_anomalib", help="what the files of the results are called")
    return parser.parse_args()


def _parts(folder: Path) -> Path:
    """Rendered parts, made once: 80 good ones to learn from, 20 good and 20 defective to judge."""
    parts = folder / "parts"
    return parts if parts.is_dir() else write_sample_parts(parts, good=80, test_good=20, defective=5)


def bench(data: Path, options: argparse.Namespace, kept: Kept, pythons: dict[str, Path]) -> None:
    """Fit, judge all test images, and time some of them in turns."""
    data, threads = data.resolve(), options.threads
    test = [sample for sample in read_dataset(data) if sample.split == "test"]
    paths, truth = [str(sample.path) for sample in test], [sample.is_defective for sample in test]
    key = {"data": data.name, "threads": threads}
    models: dict[tuple[str, str], tuple[str, str, Path]] = {}
    for name in options.detectors:
        whose, what = DETECTORS[name]
        out = (options.keep / f"{data.name}-{what.replace(':', '-')}-{threads}").resolve()
        if not kept.find(**key, detector=name, phase="fit"):
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            words = ["fit", what, "--data", str(data), "--out", str(out / "model")]
            found = run(pythons[whose], whose, words, out, threads)
            kept.add({**key, "detector": name, "phase": "fit", **_by_order(found, paths)})
        exports = kept.find(**key, detector=name, phase="fit")[0]["exports"]
        models |= {(name, way): (whose, made["path"], out) for way, made in exports.items() if "path" in made}
    for number in range(options.rounds + 1):
        # Round 0 judges every test image; the others are for the clock, each in the opposite order of the last.
        images = paths[:: max(1, len(paths) // options.images)][: options.images] if number else paths
        for name, way in list(models) if number % 2 else list(models)[::-1]:
            place = {**key, "detector": name, "way": way, "round": number}
            if kept.find(**place):
                continue
            whose, model, out = models[name, way]
            listed = out / "images.txt"
            listed.write_text("\n".join(images))
            python = pythons["cobnut base" if whose == "cobnut" else whose]
            found = run(python, whose, ["inspect", model, "--images", str(listed)], out, threads)
            kept.add({**place, "phase": "inspect", **found, **({} if number else {"truth": truth})})


def _without_places(row: Row) -> Row:
    """A row without the paths of this machine."""
    exports = row.get("exports", {})
    bare = {way: {name: told for name, told in made.items() if name != "path"} for way, made in exports.items()}
    return {**row, "exports": bare} if exports else row


def _by_order(found: Row, paths: list[str]) -> Row:
    """The fitted row with the scores that came by path in the order of the test images."""
    if "scores" in found:
        found["scores"] = [found["scores"][path] for path in paths]
    return found


def run(python: Path, whose: str, words: list[str], folder: Path, threads: int) -> Row:
    """What a worker, a fresh process in ``folder``, says in its last line."""
    print(f"{whose}: {' '.join(words[:2])}", file=sys.stderr, flush=True)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    if python != Path(sys.executable):
        environment.pop("PYTHONPATH", None)
    worker = ROOT / "benchmarks" / f"{whose}_worker.py"
    with (folder / "log.txt").open("a") as log:
        output = subprocess.run(
            [str(python), str(worker), *words, "--threads", str(threads)],
            check=True,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ).stdout
    answer: Row = json.loads(output.splitlines()[-1])
    return answer


if __name__ == "__main__":
    main()
