"""Our side of `against_anomalib.py`: trains in this environment, inspects in one that holds the base install alone.

    cobnut_worker.py fit EFFORT --data DIR --out BUNDLE
    cobnut_worker.py inspect BUNDLE --images FILE --threads 2

Each prints one line of JSON as its last, with the keys of `anomalib_worker.py`.
"""

import argparse
import json
import os
import resource
import time
from pathlib import Path
from typing import Any, Literal

STARTED = time.perf_counter()
WARM_UP = 3
SMALLER: tuple[Literal["float16", "int8"], ...] = ("float16", "int8")


def main() -> None:
    """Do what is asked and print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=("fit", "inspect"))
    parser.add_argument("what", help="an effort to fit with, a bundle to inspect with")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--images", type=Path, help="a file with a path a line")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.work == "fit":
        found = fit(options.what, options.data, options.out, options.threads)
    else:
        found = inspect(Path(options.what), options.images.read_text().splitlines(), options.threads)
    print(json.dumps(found), flush=True)


def memory_mb() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fit(effort: str, data: Path, out: Path, threads: int) -> dict[str, Any]:
    """Train on data/train/good, with nothing kept of an earlier training; calibration and export are in the seconds."""
    os.environ["COBNUT_CACHE"] = str(out.with_suffix(".cache"))
    import torch

    from cobnut.data.layouts import read_dataset
    from cobnut.recipe import Effort, with_effort
    from cobnut.training.train import train

    torch.set_num_threads(threads)
    began, worked = time.perf_counter(), time.process_time()
    manifest = train(read_dataset(data), with_effort("feature", Effort(effort)), out, loggers=())
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    return {
        "seconds": seconds,
        "processor_seconds": processor,
        "memory_mb": memory_mb(),
        "size": list(manifest.recipe.image.shape),
        "exports": export(out, sorted((data / "train" / "good").iterdir())),
    }


def export(bundle: Path, images: list[Path]) -> dict[str, Any]:
    """The bundle as it was trained and its smaller forms: path and bytes; or why one was refused."""
    from cobnut.errors import CobnutError
    from cobnut.training.conversion import convert

    made: dict[str, Any] = {"bundle": {"path": str(bundle), **bundle_bytes(bundle)}}
    for form in SMALLER:
        target = bundle.with_name(form)
        try:
            convert(bundle, images, form, target)
            made[form] = {"path": str(target), **bundle_bytes(target)}
        except CobnutError as error:
            made[form] = {"failed": str(error)}
    return made


def bundle_bytes(bundle: Path) -> dict[str, int]:
    """What is needed to inspect, and where weights for going on training lie there, the same with them."""
    from cobnut.runtime.bundle import WEIGHTS

    sizes = {path.name: path.stat().st_size for path in bundle.iterdir() if path.is_file()}
    inspecting = {"bytes": sum(size for name, size in sizes.items() if name != WEIGHTS)}
    return {**inspecting, "bytes_with_weights": sum(sizes.values())} if WEIGHTS in sizes else inspecting


def inspect(bundle: Path, images: list[str], threads: int) -> dict[str, Any]:
    """Judge files one by one; times from file to verdict."""
    from cobnut.runtime.inspect import Inspector

    imported = time.perf_counter()
    inspector = Inspector(bundle, threads)
    loaded = time.perf_counter()
    inspector.inspect(images[0])
    first = time.perf_counter()
    for image in images[1:WARM_UP]:
        inspector.inspect(image)
    times, worked, verdicts = [], [], []
    for image in images:
        start, work = time.perf_counter(), time.process_time()
        verdict = inspector.inspect(image)
        times.append(1000 * (time.perf_counter() - start))
        worked.append(1000 * (time.process_time() - work))
        verdicts.append(verdict)
    return {
        "import_seconds": imported - STARTED,
        "load_seconds": loaded - imported,
        "first_verdict_seconds": first - STARTED,
        "memory_mb": memory_mb(),
        "ms": times,
        "processor_ms": worked,
        "scores": [verdict.score for verdict in verdicts],
        "labels": [verdict.is_defective for verdict in verdicts],
    }


if __name__ == "__main__":
    main()
