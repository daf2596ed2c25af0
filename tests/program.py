"""The program as tests run it, and a recipe so small that it trains in a second."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Run:
    """What a command left behind."""

    code: int
    out: str
    err: str
