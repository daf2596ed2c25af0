"""The default recipe against two references on the same features of the same images, as one table.

    python benchmarks/accuracy.py DATA [DATA …] [--seeds 3] [--references 1] [--keep FILE] [--set KEY=VALUE …]

Each data set is trained and judged once a seed, by default options. The references see the very features (encoder,
stages, size, training images) that the recipe's network saw: a memory of 20,000 patches (PatchCore's idea, but chosen
at random instead of by a core-set) and a Gaussian per position (PaDiM's), both with smoothed maps as in the papers.
Their milliseconds leave decoding and encoder out; those of the recipe go from file to verdict. Figures are means over
the seeds, with the lowest and the highest.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from cobnut.data.images import image_shape, read_image, read_mask
from cobnut.data.layouts import read_dataset
from cobnut.data.split import content_hashes
from cobnut.evaluation.evaluate import evaluate
from cobnut.evaluation.metrics import auroc
from cobnut.evaluation.pixels import PixelScores
from cobnut.models import build_network
from cobnut.models.feature import FeatureNetwork
from cobnut.models.scores import smooth
from cobnut.recipe import read_recipe
from cobnut.records import Sample
from cobnut.runtime.bundle import WEIGHTS, Manifest
from cobnut.runtime.inspect import Inspector
from cobnut.training.engine import Engine
from cobnut.training.train import train
from environments import code_digest

PATCHES = 20_000
SHRINKAGE = 0.01
CHANNELS = 100
FIGURES = {
    "image_auroc": "image AUROC",
    "pixel_auroc": "pixel AUROC",
    "pro": "PRO",
    "false_alarm_rate": "false alarms",
    "miss_rate": "misses",
    "seconds": "training, s",
    "milliseconds": "an image, ms",
}


def main() -> None:
    """Measure every data set and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--references", type=int, help="seeds that the references are measured with too; all by default"
    )
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--keep", type=Path, help="a file of JSON lines to keep figures in, and to go on from")
    options = parser.parse_args()
    is_begun = options.keep is not None and options.keep.is_file()
    rows = [json.loads(line) for line in options.keep.read_text().splitlines()] if is_begun else []
    made_by = {"settings": options.settings, "code": code_digest()}
    if any({name: row.get(name) for name in made_by} != made_by for row in rows):
        raise SystemExit(f"{options.keep}: holds figures of other settings or other code; name another file")
    done = {(row["data"], row["seed"]) for row in rows}
    for data, seed in ((data, seed) for data in options.data for seed in range(options.seeds)):
        if (data.name, seed) in done:
            continue
        has_references = options.references is None or seed < options.references
        for detector, figures in measure(read_dataset(data), options.settings, seed, has_references):
            rows.append({"data": data.name, "seed": seed, "detector": detector, **figures, **made_by})
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        if options.keep:
            options.keep.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print_table(rows)


def print_table(rows: list[dict[str, Any]]) -> None:
    """Means over the seeds; in brackets the lowest and the highest where they differ."""
    print("| data | detector | " + " | ".join(FIGURES.values()) + " |\n|---|---|" + "---:|" * len(FIGURES))
    for data, detector in dict.fromkeys((row["data"], row["detector"]) for row in rows):
        seeds = [row for row in rows if (row["data"], row["detector"]) == (data, detector)]
        cells = [_cell([row[name] for row in seeds if row.get(name) is not None], name) for name in FIGURES]
        print(f"| {data} | {detector} | {' | '.join(cells)} |")


def measure(
    samples: list[Sample], settings: list[str], seed: int, has_references: bool
) -> Iterator[tuple[str, dict[str, float | None]]]:
    """The figures of the recipe, and where they are wanted of both references, by name."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COBNUT_CACHE"] = f"{folder}/cache"  # no features that an earlier training kept
        bundle, started = Path(folder) / "bundle", time.perf_counter()
        manifest = train(samples, read_recipe("feature", settings, seed), bundle, loggers=())
        seconds = time.perf_counter() - started
        evaluation = evaluate(Inspector(bundle), samples, "")
        figures = {name: evaluation.figures[name] for name in FIGURES if name in evaluation.figures}
        yield "feature", {**figures, "seconds": seconds, "milliseconds": evaluation.ms_per_image}
        if not has_references:
            return
        test = [each.sample for each in evaluation.judged]
        hashes = content_hashes(samples)
        good = [path for path, each in hashes.items() if each in set(manifest.fingerprint["train"])]
        of_good, of_test = features_of(bundle, manifest, good), features_of(bundle, manifest, [s.path for s in test])
    for name, reference in (("memory of patches", memory), ("Gaussian per position", gaussians)):
        started = time.perf_counter()
        maps = reference(of_good, of_test, seed)
        each_ms = 1000 * (time.perf_counter() - started) / len(test)
        yield name, {**judge(maps, test), "milliseconds": each_ms}


def judge(maps: NDArray[np.float32], test: list[Sample]) -> dict[str, float | None]:
    """Image AUROC of the maps' highest values, and the pixel figures of the maps."""
    scores, truth = maps.reshape(len(maps), -1).max(axis=1), np.array([sample.is_defective for sample in test])
    pixels = PixelScores()
    for values, sample in zip(maps, test, strict=True):
        if sample.mask_path is not None:
            pixels.add(values, read_mask(sample.mask_path), sample.defect_type)
        elif not sample.is_defective:
            pixels.add(values, np.zeros(image_shape(sample.path), bool), "good")
    return {"image_auroc": auroc(np.sort(scores[~truth]), scores[truth]), **pixels.figures()}


def features_of(bundle: Path, manifest: Manifest, paths: list[Path]) -> Tensor:
    """The features that the bundle's network sees, each the mean of its neighbourhood: float16 (n, d, h, w)."""
    network = build_network(manifest.recipe)
    assert isinstance(network, FeatureNetwork)
    state = load_file(bundle / WEIGHTS)
    network.load_state_dict({name: value for name, value in state.items() if name != "typical"})
    engine, made = Engine(network.frozen), []
    for start in range(0, len(paths), 16):
        images = np.stack([read_image(path, manifest.recipe.image) for path in paths[start : start + 16]])
        features = torch.from_numpy(engine(images)) * network.frozen.spread[None, :, None, None]
        made.append(torch.nn.functional.avg_pool2d(features, 3, 1, 1, count_include_pad=False).half())
    return torch.cat(made)


def memory(good: Tensor, test: Tensor, seed: int) -> NDArray[np.float32]:
    """Maps (n, h, w) of the distance to the nearest remembered patch."""
    rows = good.movedim(1, -1).flatten(0, 2)
    kept = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:PATCHES]].float()
    maps = []
    for image in test:
        points = image.flatten(1).T.float()
        nearest = torch.cat([torch.cdist(part, kept).amin(1) for part in points.split(1024)])
        maps.append(nearest.view(image.shape[1:]))
    return smooth(torch.stack(maps), 3).numpy()


def gaussians(good: Tensor, test: Tensor, seed: int) -> NDArray[np.float32]:
    """Maps (n, h, w) of the Mahalanobis distance to the mean at each position, over some channels of chance."""
    chosen = torch.randperm(good.shape[1], generator=torch.Generator().manual_seed(seed))[:CHANNELS]
    maps = torch.empty(len(test), *test.shape[2:])
    for row in range(good.shape[2]):
        here, there = (part[:, chosen, row].movedim(-1, 0).float() for part in (good, test))  # (w, n, d)
        mean = here.mean(1, keepdim=True)
        covariance = (here - mean).mT @ (here - mean) / len(good) + SHRINKAGE * torch.eye(len(chosen))
        whitened = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), (there - mean).mT, upper=False)
        maps[:, row] = whitened.square().sum(1).sqrt().T
    return smooth(maps, 3).numpy()


def _cell(values: list[float], name: str) -> str:
    if not values:
        return "—"
    digits = 0 if name in ("seconds", "milliseconds") else 3
    low, mean, high = (f"{value:.{digits}f}" for value in (min(values), float(np.mean(values)), max(values)))
    return mean if low == high else f"{mean} ({low}–{high})"


if __name__ == "__main__":
    main()
