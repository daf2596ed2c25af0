"""A model's numbers in fewer bytes: weights of 16 bits, arithmetic of 8, or OpenVINO's format."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from cobnut.errors import require_extra

# Weights of fewer numbers save nothing.
_FEWEST = 256
# A weight keeps its 32 bits where 16 would change it by more than this share.
_MOST_CHANGED = 1e-3


def write_float16(source: Path, target: Path, images: NDArray[np.uint8]) -> None:  # noqa: ARG001
    """Keep the weights with 16 bits; engines widen them when they load the model, so it runs as fast as before."""
    content = onnx.load(source)
    graph = content.graph
    kept, widened = [], []
    for tensor in graph.initializer:
        half = _half(tensor)
        if half is None:
            kept.append(tensor)
        else:
            kept.append(half)
            widened.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend([*widened, *nodes])
    onnx.save(content, target)


def _half(tensor: Any) -> Any:
    """A weight with 16 bits under another name, or ``None`` where that would lose too much or save too little."""
    if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _FEWEST:
        return None
    values = numpy_helper.to_array(tensor)
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    changed = np.linalg.norm(values - half.astype(np.float32))
    if not changed <= _MOST_CHANGED * np.linalg.norm(values):
        return None
    return numpy_helper.from_array(half, f"{tensor.name}_half")


def write_int8(source: Path, target: Path, images: NDArray[np.uint8]) -> None:
    """Convolutions that compute with 8 bits, in ranges that good ``images`` tell (post-training, static)."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches: Iterator[NDArray[np.uint8]] = iter(images[:, None])

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": np.array(batch)}

    root, level = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.ERROR)  # it advises what has just been done
    try:
        with tempfile.TemporaryDirectory() as folder:
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared),
                str(target),
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,  # processors without VNNI would overflow
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=["Conv"],
            )
    finally:
        root.setLevel(level)


def write_openvino(source: Path, target: Path, images: NDArray[np.uint8]) -> None:  # noqa: ARG001
    """OpenVINO's own format, its weights with 16 bits."""
    require_extra("openvino", "openvino", "--to openvino")
    import openvino

    openvino.save_model(openvino.convert_model(str(source)), str(target), compress_to_fp16=True)
