"""Where the time goes from the start of a process to its first verdict.

    python benchmarks/cold_start.py BUNDLE IMAGE [--runs 5]

Runs fresh processes of this very Python, one after the other, and prints the median of each stage: wall time, and
processor time, which other work on the machine disturbs less.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

_STAGES = """
import json, sys, time

def now():
    return 1000 * time.perf_counter(), 1000 * time.process_time()

stages = [("", now())]

def mark(name):
    stages.append((name, now()))

import numpy
mark("import NumPy")
import PIL.Image
mark("import Pillow")
import cobnut.recipe
mark("import pydantic and the records")
from cobnut.runtime.inspect import Inspector
mark("import the rest of Cobnut")
import onnxruntime
mark("import onnxruntime")
from cobnut.runtime.bundle import read_manifest
from pathlib import Path
read_manifest(Path(sys.argv[1]))
mark("read the bundle, check its hashes")
inspector = Inspector(sys.argv[1])
mark("the same again, and load the model")
inspector.inspect(sys.argv[2])
mark("first verdict")
told = [(name, *(b - a for a, b in zip(before, after))) for (_, before), (name, after) in zip(stages, stages[1:])]
print(json.dumps(told))
"""


def main() -> None:
    """Time the stages and print them as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    command = [sys.executable, "-c", _STAGES, str(given.bundle), str(given.image)]
    runs = [
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(given.runs + 1)
    ][1:]  # the first one fills the disk's cache
    print("| stage | wall ms | processor ms |\n|---|---|---|")
    reading = (0.0, 0.0)
    total = [0.0, 0.0]
    for number, (name, *_) in enumerate(runs[0]):
        wall, processor = (statistics.median(run[number][each] for run in runs) for each in (1, 2))
        if name.startswith("read the bundle"):
            reading = (wall, processor)
        if name.startswith("the same again"):
            name, wall, processor = "load the model", wall - reading[0], processor - reading[1]
        total = [total[0] + wall, total[1] + processor]
        print(f"| {name} | {wall:.0f} | {processor:.0f} |")
    print(f"| **in all** | {total[0]:.0f} | {total[1]:.0f} |")


if __name__ == "__main__":
    main()
