"""The program as tests run it, a recipe that trains in a second, and whether two trainings came to the same."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from cobnut.runtime.bundle import read_manifest

TINY = (
    "image.size=32",
    "network.widths=[4, 8, 8]",
    "network.hidden=16",
    "network.latent=8",
    "training.epochs=3",
    "training.batch_size=8",
)
# The same for the default recipe, which rebuilds features.
TINY_FEATURE = ("image.size=64", "training.most_steps=8", "network.prototypes=8")

# What differs between two trainings that came to the same.
UNTIMED = {"created", "seconds", "history", "digest", "files"}


@dataclass(frozen=True)
class Run:
    """What a command left behind."""

    code: int
    out: str
    err: str


def same_detector(first: Path, second: Path) -> bool:
    """Whether two bundles hold the same weights, losses and decisions, to the last bit."""
    one, two = read_manifest(first), read_manifest(second)
    weights = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert [(e.train_loss, e.val_loss) for e in one.history] == [(e.train_loss, e.val_loss) for e in two.history]
    return one.model_dump(exclude=UNTIMED) == two.model_dump(exclude=UNTIMED)
