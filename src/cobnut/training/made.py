"""What comes of a training, before it is a bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cobnut.calibration.threshold import Choice
from cobnut.data.images import in_chunks
from cobnut.data.region import Region
from cobnut.models.detector import Detector
from cobnut.recipe import Recipe
from cobnut.records import Split
from cobnut.runtime.agreement import Agreement
from cobnut.runtime.bundle import Epoch
from cobnut.runtime.session import EngineName, Session

Images = NDArray[np.uint8]
MapsAndScores = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Exported:
    """Maps (n, h, w) and scores (n,) that the written model gave the images which calibrate, and how it is held against
    the trained one: ``check`` takes the threshold, and raises :class:`CobnutError` where they disagree."""

    maps: NDArray[np.float32]
    scores: NDArray[np.float32]
    check: Callable[[float], Agreement]


@dataclass(frozen=True, slots=True)
class One:
    """A detector, its recipe with the automatic options chosen, how they were chosen, and how its training went."""

    detector: Detector
    recipe: Recipe
    choice: Choice | None
    history: list[Epoch]
    best_epoch: int
    weights: dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Made:
    """All that a bundle is written from.

    ``export`` writes the model, and tells what it makes of the images that calibrate. ``seen`` are the hashes of the
    pixels of each image by its part in the making. ``finest`` is the width of a defect that covers a feature,
    ``region`` what is inspected, both of the photographs' pixels.
    """

    recipe: Recipe
    choice: Choice | None
    history: list[Epoch]
    best_epoch: int
    weights: dict[str, torch.Tensor]
    parameters: int
    seen: dict[Split, list[str]]
    export: Callable[[Path], Exported]
    finest: float | None = None
    region: Region | None = None


# By recipe, training images, validation images and the folder in which it runs.
MakeOne = Callable[[Recipe, Images, Images, Path], One]


def weights_of(network: nn.Module, detector: Detector) -> dict[str, torch.Tensor]:
    """The numbers that another training can go on from: the network's, and the typical error where there is one."""
    typical = {} if detector.typical is None else {"typical": detector.typical}
    return {**network.state_dict(), **typical}


def count_parameters(network: nn.Module) -> int:
    """Numbers that the network learns."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def judge(model: Path, images: Images, engine: EngineName = "onnxruntime") -> MapsAndScores:
    """Maps and scores from the very model that is deployed."""
    session = Session(model, engine=engine)
    answers = [session.run(np.array(batch)) for batch in in_chunks(images)]
    return np.concatenate([maps for maps, _, _ in answers]), np.concatenate([scores for _, scores, _ in answers])
