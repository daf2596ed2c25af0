"""The default recipe against two references on the same features of the same images, as one table.

    python benchmarks/accuracy.py DATA [DATA …] [--seeds 3] [--set KEY=VALUE …]

Each data set is trained and judged once a seed. The references see the very features (encoder, stages, size, training
images) that the recipe's network saw: a memory of patches (PatchCore's idea, with a random choice in place of the
core-set) and a Gaussian per position (PaDiM's). Figures are means over the seeds, with the lowest and the highest.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from cobnut.data.images import read_image
from cobnut.data.layouts import read_dataset
from cobnut.data.split import content_hashes
from cobnut.evaluation.metrics import auroc
from cobnut.models import build_network
from cobnut.models.feature import FeatureNetwork
from cobnut.models.scores import smooth
from cobnut.recipe import read_recipe
from cobnut.records import Sample, Verdict
from cobnut.runtime.bundle import WEIGHTS, Manifest
from cobnut.runtime.inspect import Inspector
from cobnut.training.engine import Engine
from cobnut.training.train import train

PATCHES = 20_000
SHRINKAGE = 0.01
CHANNELS = 100


def main() -> None:
    """Measure every data set and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    options = parser.parse_args()
    print("| data | detector | image AUROC (lowest–highest) | train s |\n|---|---|---|---:|")
    for data in options.data:
        found: defaultdict[str, list[float]] = defaultdict(list)
        for seed in range(options.seeds):
            for name, value in measure(read_dataset(data), options.settings, seed).items():
                found[name].append(value)
        seconds = found.pop("seconds")
        for name, values in found.items():
            took = f"{np.mean(seconds):.0f}" if name == "feature" else ""
            print(f"| {data.name} | {name} | {np.mean(values):.3f} ({min(values):.3f}–{max(values):.3f}) | {took} |")


def measure(samples: list[Sample], settings: list[str], seed: int) -> dict[str, float]:
    """Image AUROC of the recipe and of both references, and the seconds that training took."""
    with tempfile.TemporaryDirectory() as folder:
        bundle, started = Path(folder) / "bundle", time.perf_counter()
        manifest = train(samples, read_recipe("feature", settings, seed), bundle, loggers=())
        seconds = time.perf_counter() - started
        hashes = content_hashes(samples)
        seen = {each for split in ("train", "validation", "calibration") for each in manifest.fingerprint[split]}
        test = [s for s in samples if (s.split == "test" or s.is_defective) and hashes[s.path] not in seen]
        held_out = set(manifest.fingerprint["test"])
        test += [s for s in samples if s not in test and hashes[s.path] in held_out]
        verdicts = [v for v in Inspector(bundle).inspect_files([s.path for s in test]) if isinstance(v, Verdict)]
        truth = np.array([s.is_defective for s in test])
        figures = {"seconds": seconds, "feature": _auroc(np.array([v.score for v in verdicts]), truth)}
        good = [path for path, each in hashes.items() if each in set(manifest.fingerprint["train"])]
        of_good, of_test = features_of(bundle, manifest, good), features_of(bundle, manifest, [s.path for s in test])
    for name, reference in (("memory of patches", memory), ("Gaussian per position", gaussians)):
        figures[name] = _auroc(reference(of_good, of_test, seed), truth)
    return figures


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
    """Score by the distance of the strangest place to its nearest remembered patch."""
    rows = good.movedim(1, -1).flatten(0, 2)
    kept = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:PATCHES]].float()
    maps = []
    for image in test:
        points = image.flatten(1).T.float()
        nearest = torch.cat([torch.cdist(part, kept).amin(1) for part in points.split(1024)])
        maps.append(nearest.view(image.shape[1:]))
    return smooth(torch.stack(maps), 3).flatten(1).amax(1).numpy()


def gaussians(good: Tensor, test: Tensor, seed: int) -> NDArray[np.float32]:
    """Score by the largest Mahalanobis distance to the mean at its position, over some channels of chance."""
    chosen = torch.randperm(good.shape[1], generator=torch.Generator().manual_seed(seed))[:CHANNELS]
    maps = torch.empty(len(test), *test.shape[2:])
    for row in range(good.shape[2]):
        here, there = (part[:, chosen, row].movedim(-1, 0).float() for part in (good, test))  # (w, n, d)
        mean = here.mean(1, keepdim=True)
        covariance = (here - mean).mT @ (here - mean) / len(good) + SHRINKAGE * torch.eye(len(chosen))
        whitened = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), (there - mean).mT, upper=False)
        maps[:, row] = whitened.square().sum(1).sqrt().T
    return smooth(maps, 3).flatten(1).amax(1).numpy()


def _auroc(scores: NDArray[np.floating], is_defective: NDArray[np.bool_]) -> float:
    return auroc(np.sort(scores[~is_defective]), scores[is_defective])


if __name__ == "__main__":
    main()
