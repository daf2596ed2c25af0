"""From a trained detector to ``model.onnx``: it uses torch, and only when called."""

import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cobnut.errors import CobnutError
from cobnut.files import write_whole

if TYPE_CHECKING:
    from torch import nn

OPSET = 18
OUTPUTS = ("anomaly_map", "score", "reconstruction")


def export_onnx(detector: "nn.Module", example: NDArray[np.uint8], target: Path) -> None:
    """Write ``detector`` as ONNX with a free batch size; ``example`` is a batch uint8 (n, h, w, c)."""
    import torch

    detector = detector.eval().cpu()
    with torch.inference_mode():
        outputs = OUTPUTS[: len(detector(torch.from_numpy(np.array(example[:1]))))]
    write_onnx(detector, example, target, outputs)


def run_trained(detector: "nn.Module", batches: Iterable[NDArray[np.uint8]], output: int = 1) -> NDArray[np.float32]:
    """An output (n, …) of the trained detector itself, by default its scores (n,), for images uint8 (n, h, w, c)."""
    import torch

    with torch.inference_mode():
        return torch.cat([detector(torch.from_numpy(np.array(batch)))[output] for batch in batches]).numpy()


def write_onnx(network: "nn.Module", example: NDArray[np.uint8], target: Path, outputs: Sequence[str]) -> None:
    """Write a module that takes images, a batch uint8 (n, h, w, c) with n free, as ONNX."""
    import torch

    from cobnut.runtime.folding import fold

    images = torch.from_numpy(np.repeat(example[:1], 2, axis=0))  # a batch of one would fix the batch size
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            fold(network, images),
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


def run_model(model: Path, batches: Iterable[NDArray[np.uint8]], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
    """Any ``outputs`` (n, …) of an exported model for batches of images uint8 (n, h, w, c)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    answers = [session.run(list(outputs), {"images": np.array(batch)}) for batch in batches]
    return [np.concatenate(each) for each in zip(*answers, strict=True)]


def fill(model: Path, values: Mapping[str, NDArray[np.floating[Any]]]) -> None:
    """Write figures that only the exported model could tell into it, in place of buffers of the same names and shapes.

    Raises :class:`CobnutError` when the exporter left one of them out.
    """
    import onnx
    from onnx import numpy_helper

    content = onnx.load(model)
    kept = {tensor.name: tensor for tensor in content.graph.initializer}
    for name, value in values.items():
        if name not in kept or tuple(kept[name].dims) != value.shape:
            raise CobnutError(f"{model.name}: the exported model has no place for {name}; please report the recipe")
        kept[name].CopyFrom(numpy_helper.from_array(value.astype(np.float32), name))
    with write_whole(model) as partial:
        onnx.save(content, partial)
