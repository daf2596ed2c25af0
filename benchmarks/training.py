"""What kept images, fused Adam, channels-last, bfloat16 and kept features bring, as ratios on this machine.

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
from cobnut.models.transfer import HalfFrozen
from cobnut.recipe import read_recipe

ROUNDS = 15
RECIPE = read_recipe("cae")


def main() -> None:
    """Print a line for each ratio."""
    plain, fast = training_step(fused=False, layout=torch.contiguous_format), training_step(True, torch.channels_last)
    report("cae, step of 8 images: plain Adam / fused, channels last", plain, fast)
    for name in ("cae", "upsampling", "selfsup", "ssim-ae"):
        wide, narrow = (training_step(name=name, is_narrow=each) for each in (False, True))
        report(f"{name}, step of 8 images: float32 / bfloat16", wide, narrow)
    frozen = build_network(read_recipe("transfer-resnet", ["network.weights=random"]))
    assert isinstance(frozen, HalfFrozen)
    image = torch.rand(8, 3, 128, 128)
    features = frozen.frozen(image)
    whole, kept = (backward_of(*each) for each in ((frozen, image), (frozen.learning, features)))
    report("transfer-resnet, step of 8 images: encoder run / its features kept", whole, kept)
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


def training_step(
    fused: bool = True, layout: torch.memory_format = torch.channels_last, name: str = "cae", is_narrow: bool = False
) -> Callable[[], None]:
    """One optimiser step of a recipe's network, as `training/fit.py` takes it."""
    torch.manual_seed(0)
    recipe = read_recipe(name)
    network = build_network(recipe).to(memory_format=layout)  # type: ignore[call-overload]
    image = torch.rand(8, 3, *recipe.image.shape).to(memory_format=layout)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=fused)
    loss = build_loss(recipe.training.loss)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_narrow):
            reconstruction = network(image)
        loss(reconstruction.float(), image).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def backward_of(network: torch.nn.Module, seen: torch.Tensor) -> Callable[[], None]:
    """Forward and backward through what learns, its optimiser left out."""
    return lambda: network(seen).mean().backward()


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
