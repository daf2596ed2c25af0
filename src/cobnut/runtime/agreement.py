"""How closely an exported model agrees with the trained one: in every decision, and in scores by their spread."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from cobnut.errors import CobnutError

# Largest difference of a score, as a share of the standard deviation of good images' scores.
TOLERANCE = 1e-3
# Images that are compared at most: those whose scores lie nearest to the threshold, where a decision would turn first.
MOST_COMPARED = 200
# Scores that hardly differ are held to this share of their mean instead: float32 itself is no finer.
_LEAST_SPREAD = 0.01

Scores = NDArray[np.floating[Any]]
Decisions = NDArray[np.bool_]


class Agreement(BaseModel):
    """How an exported model compared with the trained one, on good images that calibrate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int = Field(description="that both have judged")
    turned: int = Field(0, description="of these, with another decision, their scores being the threshold itself")
    difference: float = Field(description="largest of a score, as a share of the scores' spread")


def nearest(scores: Scores, threshold: float) -> NDArray[np.intp]:
    """The places of the scores to compare, in their order: those nearest to the threshold."""
    return np.sort(np.argsort(np.abs(scores - threshold), kind="stable")[:MOST_COMPARED])


def spread_of(scores: Scores) -> float:
    """The standard deviation of good images' scores, in their unit."""
    return max(float(scores.std()), _LEAST_SPREAD * float(np.abs(scores).mean()), float(np.finfo(np.float32).tiny))


def agree(
    trained: Scores, exported: Scores, spread: float | Scores, decide: Callable[[Scores], Decisions]
) -> Agreement:
    """Compare scores (n, …) of the same images by both models, and what ``decide`` (n,) makes of each.

    A score that lies on the threshold, as that of the image which sets it does, decides nothing: the least difference
    turns it. Raises :class:`CobnutError` when another decision differs, or a score by more than ``TOLERANCE`` of the
    ``spread``.
    """
    slack = TOLERANCE * spread
    is_clear = decide(exported - slack) == decide(exported + slack)
    is_turned = decide(trained) != decide(exported)
    differ = int((is_turned & is_clear).sum())
    if differ:
        raise CobnutError(
            f"model.onnx: the exported model decides otherwise than the trained one on {differ} of {len(trained)} "
            "calibration images; nothing was written, please report the recipe"
        )
    difference = float(np.max(np.abs(trained - exported) / spread))
    if not difference < TOLERANCE:
        raise CobnutError(
            f"model.onnx: the exported model's scores differ from the trained one's by {difference:.1e} of their "
            f"spread (allowed {TOLERANCE:.0e}); nothing was written, please report the recipe"
        )
    return Agreement(images=len(trained), turned=int(is_turned.sum()), difference=difference)
