"""What an exported model is made of: the part of the detector that each node belongs to, its operations, its time."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

ENCODER, REST = "encoder", "map and score"
# The beginning of a name in the network, and what the part is called; the first that fits counts.
PARTS = {
    "network.frozen.encoder": ENCODER,
    "network.frozen": "stages to one grid, whitening",
    "network.learning": "autoencoder",
    "network.residuals": "what it leaves over, whitened",
    "network.prototypes": "prototypes",
    "network.positions": "positions",
}


def count_flops(model: onnx.ModelProto) -> dict[str, float]:
    """Operations of one image by part: two for each multiplication and addition of convolutions and matrix products."""
    model = at_one_image(model)
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.output, *model.graph.input)
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    parts, found = parts_of(model), dict.fromkeys((*PARTS.values(), REST), 0.0)
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            out = float(np.prod(shapes[node.output[0]]))
            if node.op_type == "Conv":
                each = float(np.prod(shapes[node.input[1]][1:]))
            else:
                is_turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
                each = float(shapes[node.input[0]][0 if is_turned else -1])
            found[parts[node.name]] += 2 * out * each
    return {part: flops for part, flops in found.items() if flops}


def at_one_image(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its free batch size fixed at 1 and all shapes inferred."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    for output in fixed.graph.output:
        output.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(fixed, data_prop=True)


def parts_of(model: onnx.ModelProto) -> dict[str, str]:
    """The part of each node by its name and those of its outputs, which onnxruntime calls it by.

    What its weights are called tells it, else the module that it was made in.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    parts: dict[str, str] = {}
    for node in model.graph.node:
        scopes = " ".join(entry.value for entry in node.metadata_props if entry.key == "pkg.torch.onnx.name_scopes")
        names = [each for each in node.input if each in weights] + re.findall(r"'([^']*)'", scopes)[::-1]
        called = [PARTS[start] for name in names for start in PARTS if name.startswith(start)]
        parts |= dict.fromkeys((node.name, *node.output), called[0] if called else REST)
    return parts


def cut_out_encoder(model: Path, target: Path) -> None:
    """Write the model's encoder alone: images in, and out those feature maps that the rest of the model takes."""
    whole = onnx.shape_inference.infer_shapes(onnx.load(model))
    parts = parts_of(whole)
    taken = {name for node in whole.graph.node if parts[node.name] != ENCODER for name in node.input}
    outputs = [
        name for node in whole.graph.node if parts[node.name] == ENCODER for name in node.output if name in taken
    ]
    onnx.save(onnx.utils.Extractor(whole).extract_model(["images"], outputs), target)


def profile(model: Path, images: NDArray[np.uint8], folder: Path, runs: int = 30, threads: int = 1) -> dict[str, Any]:
    """Milliseconds a run that onnxruntime's profiler tells: by ``parts``, by ``operators`` and by ``nodes``.

    What onnxruntime adds (reordering of channels) counts for the node before it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    for _ in range(5):
        session.run(None, {"images": images})
    options.enable_profiling, options.profile_file_prefix = True, str(folder / "profile")
    watched = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    for _ in range(runs):
        watched.run(None, {"images": images})
    events = json.loads(Path(watched.end_profiling()).read_text())
    return summarise(events, parts_of(onnx.load(model)))


def summarise(events: list[dict[str, Any]], parts: dict[str, str]) -> dict[str, Any]:
    """The least time of each of the profiler's events over its runs; the first run is a warm-up."""
    runs: list[list[dict[str, Any]]] = []
    nodes = sorted((event for event in events if event["name"].endswith("_kernel_time")), key=lambda event: event["ts"])
    for event in nodes:
        if not runs or event["name"] == nodes[0]["name"]:
            runs.append([])
        runs[-1].append(event)
    by_node: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for run in runs[1:] or runs:
        part = REST
        for event in run:
            name = event["name"].removesuffix("_kernel_time")
            part = _part(name, parts) or part
            by_node[name, event["args"]["op_name"], part].append(event["dur"] / 1000)
    least = {key: float(np.min(times)) for key, times in by_node.items()}
    found: dict[str, dict[str, float]] = {"parts": defaultdict(float), "operators": defaultdict(float)}
    for (_, operator, part), each in least.items():
        found["parts"][part] += each
        found["operators"][operator] += each
    ranked = sorted(least.items(), key=lambda item: -item[1])
    return {
        **{kind: dict(sorted(sums.items(), key=lambda item: -item[1])) for kind, sums in found.items()},
        "nodes": [{"node": name, "operator": kind, "part": part, "ms": each} for (name, kind, part), each in ranked],
    }


def _part(name: str, parts: dict[str, str]) -> str | None:
    """The part of a node that may have been fused from others: that of the longest original name within its own."""
    held = [each for each in parts if name == each or re.search(rf"(^|[^\w]){re.escape(each)}($|[^0-9])", name)]
    return parts[max(held, key=len)] if held else None
