"""Whether memory stays flat while a bundle judges very many images, as one table.

    python benchmarks/memory.py BUNDLE IMAGE [IMAGE …] [--count 100000]

Judges the images again and again from their files, decoding ahead, as `cobnut inspect` does, and tells the resident
memory of the process after each tenth.
"""

import argparse
import itertools
import time
from pathlib import Path

from cobnut import ImageError, Inspector


def main() -> None:
    """Judge, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=100_000)
    options = parser.parse_args()
    inspector = Inspector(options.bundle)
    files = itertools.islice(itertools.cycle(options.images), options.count)
    print("| images | resident, MB | images/s |\n|---:|---:|---:|", flush=True)
    started = time.perf_counter()
    for number, answer in enumerate(inspector.inspect_files(files), start=1):
        if isinstance(answer, ImageError):
            raise SystemExit(str(answer))
        if number % (options.count // 10) == 0:
            speed = number / (time.perf_counter() - started)
            print(f"| {number:,} | {resident_megabytes():.1f} | {speed:.0f} |", flush=True)


def resident_megabytes() -> float:
    """What the process holds in memory now, by /proc."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main()
