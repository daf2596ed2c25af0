"""The default recipe without one of its parts at a time, as one table.

    python benchmarks/ablations.py DATA [DATA …] [--seed 0] [--keep FILE]

Each row is a training of its own with one setting changed. Figures are image AUROC / PRO on the test images, which
decided nothing here; what they decided before, docs/ablations.md says.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from cobnut.data.layouts import read_dataset
from cobnut.evaluation.evaluate import evaluate
from cobnut.recipe import read_recipe
from cobnut.runtime.inspect import Inspector
from cobnut.training.train import train
from environments import code_digest

VARIANTS = {
    "as it is": (),
    "residual alone": ("score.error=residual",),
    "relative alone": ("score.error=relative",),
    "position alone": ("score.error=position",),
    "smoothed": ("score.smoothing=3",),
    "highest pixel as score": ("score.least_area=0",),
    "told by place": ("score.normalise=place",),
    "no noise": ("network.noise=0",),
    "no pasted blocks": ("network.pasted=0",),
    "no mirrors": ("network.flips=false",),
    "no context": ("network.context=0",),
    "without stride 4": ("network.taps=[8, 16]",),
    "without stride 16": ("network.taps=[4, 8]",),
    "512 prototypes": ("network.prototypes=512",),
    "half the image size": ("image.size={half}",),
}


def main() -> None:
    """Measure what is not yet in the kept file, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a file of JSON lines to keep figures in, and to go on from")
    options = parser.parse_args()
    is_begun = options.keep is not None and options.keep.is_file()
    code = code_digest()
    kept = [json.loads(line) for line in options.keep.read_text().splitlines()] if is_begun else []
    if any((row["seed"], row.get("code")) != (options.seed, code) for row in kept):
        raise SystemExit(f"{options.keep}: holds figures of another seed or other code; name another file")
    rows = {(row["data"], row["variant"]): row for row in kept}
    for variant in VARIANTS:
        for data in options.data:
            if (data.name, variant) not in rows:
                half = rows[data.name, "as it is"]["size"] // 2 if variant != "as it is" else 0
                settings = [each.format(half=half) for each in VARIANTS[variant]]
                rows[data.name, variant] = {
                    "data": data.name,
                    "variant": variant,
                    "seed": options.seed,
                    "code": code,
                    **measure(data, settings, options.seed),
                }
                print(json.dumps(rows[data.name, variant]), file=sys.stderr, flush=True)
                if options.keep:
                    options.keep.write_text("".join(json.dumps(row) + "\n" for row in rows.values()))
    print_table(rows, [data.name for data in options.data])


def measure(data: Path, settings: list[str], seed: int) -> dict[str, float | None]:
    """Train with the settings and judge the test images."""
    samples = read_dataset(data)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COBNUT_CACHE"] = f"{folder}/cache"  # no features that an earlier training kept
        bundle = Path(folder) / "bundle"
        manifest = train(samples, read_recipe("feature", settings, seed), bundle, loggers=())
        figures = evaluate(Inspector(bundle), samples, "").figures
    return {
        "image_auroc": figures["image_auroc"],
        "pro": figures.get("pro"),
        "seconds": manifest.seconds,
        "size": manifest.recipe.image.size,
    }


def print_table(rows: dict[tuple[str, str], dict[str, float | None]], names: list[str]) -> None:
    """Image AUROC / PRO, a row each variant, a column each data set."""
    print("| | " + " | ".join(names) + " |\n|---|" + "---:|" * len(names))
    for variant in VARIANTS:
        shown = ([rows[name, variant][figure] for figure in ("image_auroc", "pro")] for name in names)
        cells = [" / ".join("—" if value is None else f"{value:.3f}" for value in pair) for pair in shown]
        print(f"| {variant} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
