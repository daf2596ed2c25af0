"""What keeping decoded images, fused Adam and channels-last bring, as ratios in one run on this machine.

    python benchmarks/training.py

Nothing is gated on these figures; machines are noisy, so the two sides of a ratio take turns and medians are compared.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from cobnut.data.images import read_image
from cobnut.data.layouts import read_dataset
from cobnut.data.sample_parts import write_sample_parts
from cobnut.data.split import content_hashes
from cobnut.data.store import kept_images
from cobnut.losses import build_loss
from cobnut.models import build_network
from cobnut.recipe import read_recipe

ROUNDS = 15
RECIPE = read_recipe("cae")


def main() -> None:
    """Print a table of two ratios."""
    plain, fast = training_step(fused=False, layout=torch.contiguous_format), training_step(True, torch.channels_last)
    report("training step of 8 images: plain Adam / fused, channels last", plain, fast)
    with tempfile.TemporaryDirectory() as folder:
        write_sample_parts(Path(folder) / "parts", good=40, test_good=1, defective=1)
        hashes = content_hashes([sample for sample in read_dataset(Path(folder) / "parts") if sample.split == "train"])
        paths = list(hashes)

        def decode() -> None:
            np.stack([read_image(path, RECIPE.image) for path in paths])

        def open_kept() -> None:
            np.array(kept_images(paths, list(hashes.values()), RECIPE.image))

        open_kept()
        report("40 images of 256 × 256 for an epoch: decoded / kept", decode, open_kept)


def training_step(fused: bool, layout: torch.memory_format) -> Callable[[], None]:
    """One optimiser step of the recipe's network, as `training/fit.py` takes it."""
    torch.manual_seed(0)
    network = build_network(RECIPE).to(memory_format=layout)  # type: ignore[call-overload]
    image = torch.rand(8, 3, RECIPE.image.size, RECIPE.image.size).to(memory_format=layout)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=fused)
    loss = build_loss(RECIPE.training.loss)

    def step() -> None:
        optimizer.zero_grad()
        loss(network(image), image).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def report(name: str, before: Callable[[], None], after: Callable[[], None]) -> None:
    """Time the two in turn and print their medians and the ratio."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for side, work in zip(times, (before, after), strict=True):
            started = time.perf_counter()
            work()
            side.append(time.perf_counter() - started)
    slow, quick = (1000 * statistics.median(side) for side in times)
    print(f"{name}: {slow:.1f} ms / {quick:.1f} ms = {slow / quick:.1f}")


if __name__ == "__main__":
    main()
