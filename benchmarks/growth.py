"""Where the time of a training goes, and how it grows with the number of good images, as one table.

    python benchmarks/growth.py [COUNT …] [--data DIR] [--side 256]

Trains the default recipe on so many rendered parts (or on the images of DIR alone, where that is given), each in a
process of its own, and tells seconds by stage and the most memory that was used. Nothing else should run beside it.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STAGES = (
    "reading",
    "synthetic defects and encoder",
    "network",
    "prototypes and usual errors",
    "export and calibration",
)


def main() -> None:
    """Measure each count in a fresh process and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", type=int, nargs="*", default=[50, 500, 5000])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.counts[0], options.data, options.side)))
        return
    print("| good images | " + " | ".join(f"{stage}, s" for stage in STAGES) + " | in all, s | memory, GB |")
    print("|---:|" + "---:|" * (len(STAGES) + 2))
    for count in [0] if options.data else options.counts:
        words = [sys.executable, __file__, str(count), "--one", "--side", str(options.side)]
        words += ["--data", str(options.data)] if options.data else []
        output = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = json.loads(output.splitlines()[-1])
        seconds = [f"{found[stage]:.0f}" for stage in STAGES]
        cells = [
            str(found["images"]),
            *seconds,
            f"{sum(found[stage] for stage in STAGES):.0f}",
            f"{found['memory']:.1f}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def measure(count: int, data: Path | None, side: int) -> dict[str, float]:
    """Train on so many rendered parts, or on ``data``: seconds by stage, gigabytes, images."""
    import os

    with tempfile.TemporaryDirectory() as folder:
        os.environ["COBNUT_CACHE"] = f"{folder}/cache"
        from cobnut.data.layouts import read_dataset
        from cobnut.data.sample_parts import write_sample_parts
        from cobnut.recipe import read_recipe
        from cobnut.training.train import Listeners, train

        parts = data or write_sample_parts(Path(folder) / "parts", good=count, test_good=0, defective=1, side=side)
        marks: dict[str, float] = {}

        def mark(name: str) -> None:
            marks.setdefault(name, time.perf_counter())

        def on_stage(stage: str) -> None:
            mark(stage.split()[0])

        def on_features(done: int, total: int) -> None:
            if done == total:
                mark("seen")

        listeners = Listeners(
            on_split=lambda counts: mark("split"),
            on_stage=on_stage,
            on_features=on_features,
            on_epoch=lambda epoch, best: marks.__setitem__("epoch", time.perf_counter()),
        )
        manifest = train(
            read_dataset(parts), read_recipe("feature"), Path(folder) / "b", listeners=listeners, loggers=()
        )
        end = time.perf_counter()
    times = [marks[name] for name in ("split", "preparing", "seen", "epoch", "exporting")] + [end]
    seconds = {stage: after - before for stage, before, after in zip(STAGES, times, times[1:], strict=False)}
    images = sum(len(contents) for contents in manifest.fingerprint.values())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {**seconds, "images": images, "memory": memory}


if __name__ == "__main__":
    main()
