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


@dataclass(frozen=True)
class Run:
    """What a command left behind."""

    code: int
    out: str
    err: str
