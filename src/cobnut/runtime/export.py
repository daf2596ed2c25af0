"""From a trained detector to ``model.onnx``: the one file of the runtime that uses torch, and only when called."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cobnut.errors import CobnutError
from cobnut.runtime.session import Session

if TYPE_CHECKING:
    from torch import nn

OPSET = 18
OUTPUTS = ("anomaly_map", "score", "reconstruction")
# Largest difference of a score between torch and the exported model, as a share of the score.
TOLERANCE = 1e-3


def export_onnx(detector: "nn.Module", example: NDArray[np.uint8], target: Path) -> None:
    """Write ``detector`` as ONNX with a free batch size, proved on ``example``, a batch uint8 (n, h, w, c).

    Raises :class:`CobnutError` when the exported model does not give the scores that the trained one gives.
    """
    import torch

    detector = detector.eval().cpu()
    with torch.inference_mode():
        outputs = OUTPUTS[: len(detector(torch.from_numpy(np.array(example[:1]))))]
    write_onnx(detector, example, target, outputs)
    _prove(detector, example, target)


def write_onnx(network: "nn.Module", example: NDArray[np.uint8], target: Path, outputs: Sequence[str]) -> None:
    """Write a module that takes images, a batch uint8 (n, h, w, c) with n free, as ONNX."""
    import torch

    images = torch.from_numpy(np.repeat(example[:1], 2, axis=0))  # a batch of one would fix the batch size
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            network,
            (images,),
            target,
            input_names=["images"],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("n")},),
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )


def _prove(detector: "nn.Module", example: NDArray[np.uint8], model: Path) -> None:
    import torch

    with torch.inference_mode():
        trained = detector(torch.from_numpy(np.array(example)))[1].numpy()
    exported = Session(model).run(example)[1]
    difference = float(np.max(np.abs(trained - exported) / np.maximum(np.abs(trained), 1e-12)))
    if not difference < TOLERANCE:
        raise CobnutError(
            f"{model.name}: the exported model's scores differ from the trained one's by {difference:.1e} of their "
            f"value (allowed {TOLERANCE:.0e}); nothing was written, please report the recipe"
        )
