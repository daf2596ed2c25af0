"""How fast a bundle's model runs, in which engine, where its time goes, and how far that is from the limit.

    python benchmarks/runtime.py [BUNDLE] [--images DIR] [--rounds 20] [--out DIR]

Without a bundle one is trained on rendered parts at the fast effort. Engines, threads, batches and models take turns
within one process, so that whatever else the machine does harms all alike; milliseconds are of the clock, beside them
those of the processor, which tell the same on a busy machine. The bare encoder is cut out of the very model. The limit
is this machine's product of two matrices of 1024 × 1024.
"""

import argparse
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from cobnut.data.images import read_image
from cobnut.data.layouts import image_files
from cobnut.runtime.bundle import MODEL, read_manifest
from cobnut.runtime.inspect import Inspector
from cobnut.runtime.session import Session
from cobnut.training.numbers import write_int8
from graph import ENCODER, REST, count_flops, cut_out_encoder, profile
from machine import describe_machine, machine_line, markdown_table, write_results

Pixels = NDArray[np.uint8]
Run = Callable[[NDArray[Any]], Any]
BATCHES = (1, 8, 32)
# Times that a batch is run each round, so that single images have enough to tell a 99th percentile of.
REPEATS = {1: 5}
SIDE = 1024


def with_onnxruntime(model: Path, threads: int) -> Run:
    """The model in onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda values: session.run(None, {name: values})


def with_openvino(model: Path, threads: int) -> Run:
    """The model in OpenVINO, set to answer one request after the other."""
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(model), "CPU", settings)
    request = compiled.create_infer_request()
    return lambda values: request.infer([values])


# An engine is a line here, and so is another form of the model.
FORMS: dict[str, Callable[[Path, Path, Pixels], None]] = {"int8": write_int8}
ENGINES: dict[str, Callable[[Path, int], Run]] = {"onnxruntime": with_onnxruntime, "openvino": with_openvino}


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--images", type=Path, help="a folder of images that the bundle may judge")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle, images = options.bundle, options.images
        if bundle is None:
            bundle, images = train_on_parts(folder)
        elif images is None:
            parser.error("--images: a folder of images is needed beside BUNDLE")
        paths = image_files(images)[:32]
        models = {"whole": bundle / MODEL, "bare encoder": folder / "encoder.onnx"}
        cut_out_encoder(models["whole"], models["bare encoder"])
        shape = read_manifest(bundle).recipe.image
        pixels = np.stack([read_image(path, shape) for path in paths])
        for form, write in FORMS.items():
            write(models["whole"], folder / f"{form}.onnx", pixels)
            models[form] = folder / f"{form}.onnx"
        product = write_product(folder / "product.onnx")
        figures: dict[str, Any] = {
            "machine": machine,
            "size": list(shape.shape),
            "timings": take_turns(models, pixels, options.threads, options.rounds),
            "gigaflops": product_speed(product),
            "bytes": {model: path.stat().st_size for model, path in models.items()},
            "flops": count_flops(onnx.load(models["whole"])),
            "profile": profile(models["whole"], pixels[:1], folder),
            "stages": stages(bundle, paths, min(options.threads), options.rounds),
        }
    write_results(options.out, "runtime", describe(figures), figures)
    print(describe(figures))


def train_on_parts(folder: Path) -> tuple[Path, Path]:
    """A bundle of rendered parts, and the images that it may judge."""
    from cobnut.data.layouts import read_dataset
    from cobnut.data.sample_parts import write_sample_parts
    from cobnut.recipe import Effort, with_effort
    from cobnut.training.train import train

    parts = write_sample_parts(folder / "parts", good=60, test_good=20, defective=5)
    train(read_dataset(parts), with_effort("feature", Effort.FAST), folder / "bundle", loggers=())
    return folder / "bundle", parts / "test"


def take_turns(models: dict[str, Path], pixels: Pixels, threads: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """Milliseconds an image of every engine × model × threads × batch, in an order that chance sets anew each round."""
    loaded = {
        (engine, model, count): load(path, count)
        for engine, load in ENGINES.items()
        for model, path in models.items()
        for count in threads
    }
    places = [(*key, batch) for key in loaded for batch in BATCHES]
    clock: dict[tuple[str, str, int, int], list[float]] = defaultdict(list)
    processor: dict[tuple[str, str, int, int], list[float]] = defaultdict(list)
    chance = random.Random(0)
    for number in range(-1, rounds):  # the first is a warm-up
        for place in chance.sample(places, len(places)):
            run, batch = loaded[place[:3]], np.resize(pixels, (place[3], *pixels.shape[1:]))
            for _ in range(REPEATS.get(place[3], 1)):
                began, worked = time.perf_counter(), time.process_time()
                run(batch)
                if number >= 0:
                    clock[place].append(1000 * (time.perf_counter() - began) / len(batch))
                    processor[place].append(1000 * (time.process_time() - worked) / len(batch))
    return [
        {
            **dict(zip(("engine", "model", "threads", "batch"), place, strict=True)),
            "ms_p50": float(np.median(times)),
            "ms_p99": float(np.percentile(times, 99)),
            "processor_ms_p50": float(np.median(processor[place])),
            "samples": len(times),
        }
        for place, times in clock.items()
    ]


def write_product(path: Path) -> Path:
    """A model that multiplies a matrix by a fixed one."""
    weights = numpy_helper.from_array(np.random.default_rng(0).standard_normal((SIDE, SIDE), dtype=np.float32), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (SIDE, SIDE)) for name in "xy"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "product", ends[:1], ends[1:], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def product_speed(model: Path, runs: int = 40) -> dict[str, float]:
    """GFLOP/s of the best of many products on one thread, in each engine; by the processor's time."""
    values, speeds = np.random.default_rng(1).standard_normal((SIDE, SIDE), dtype=np.float32), {}
    for engine, load in ENGINES.items():
        run, times = load(model, 1), []
        for _ in range(runs):
            began = time.process_time()
            run(values)
            times.append(time.process_time() - began)
        speeds[engine] = 2 * SIDE**3 / min(times) / 1e9
    return speeds


def stages(bundle: Path, paths: Sequence[Path], threads: int, rounds: int) -> dict[str, float]:
    """Milliseconds of each step from file to verdict, one image at a time; and of the start, which is once."""
    start = {
        "once: manifest and hashes": 1000 * _timed(lambda: read_manifest(bundle)),
        "once: model loaded": 1000 * _timed(lambda: Session(bundle / MODEL, threads)),
    }
    inspector, session = Inspector(bundle, threads, engine="onnxruntime"), Session(bundle / MODEL, threads)
    shape = inspector.manifest.recipe.image
    times: dict[str, list[float]] = defaultdict(list)
    for path in [path for _ in range(max(1, rounds // 4)) for path in paths]:
        times["decode"].append(_timed(lambda path=path: decode(path, shape.shape)))  # type: ignore[misc]
        times["read"].append(_timed(lambda path=path: read_image(path, shape)))  # type: ignore[misc]
        pixels = read_image(path, shape)[None]
        times["model"].append(_timed(lambda pixels=pixels: session.run(pixels)))  # type: ignore[misc]
        times["all"].append(_timed(lambda path=path: inspector.inspect(path)))  # type: ignore[misc]
    median = {name: 1000 * float(np.median(each)) for name, each in times.items()}
    return {
        **start,
        "decode": median["decode"],
        "turn and resize": median["read"] - median["decode"],
        "model": median["model"],
        "verdict": median["all"] - median["read"] - median["model"],
        "file to verdict": median["all"],
    }


def decode(path: Path, shape: tuple[int, int]) -> None:
    """What `read_image` leaves to Pillow."""
    with Image.open(path) as image:
        if image.format == "JPEG":
            image.draft("RGB", (2 * shape[1], 2 * shape[0]))
        image.load()


def describe(figures: dict[str, Any]) -> str:
    """The results as Markdown."""
    height, width = figures["size"]
    found = {(row["engine"], row["model"], row["threads"], row["batch"]): row for row in figures["timings"]}
    rows = []
    for (engine, model, threads, batch), row in sorted(found.items()):
        bare = found[engine, "bare encoder", threads, batch]
        ratios = [f"{row[name] / bare[name]:.2f}" for name in ("ms_p50", "processor_ms_p50")]
        times = [f"{row[name]:.1f}" for name in ("ms_p50", "ms_p99", "processor_ms_p50")]
        rows.append([engine, model, str(threads), str(batch), *times, *ratios])
    heads = ["engine", "model", "threads", "batch", "ms an image, p50", "p99", "of the processor, p50"]
    text = [
        f"# The runtime of a bundle, at {height} × {width} pixels\n",
        f"Measured by `benchmarks/runtime.py` on {machine_line(figures['machine'])}.\n",
        markdown_table([*heads, "× bare encoder", "× of the processor"], rows, words=2),
        describe_limit(figures, found),
        describe_profile(figures),
        "## From file to verdict, one image at a time, one thread\n",
        markdown_table(
            ["step", "ms", "share"],
            [
                [name, f"{each:.2f}", "" if ":" in name else f"{each / figures['stages']['file to verdict']:.0%}"]
                for name, each in figures["stages"].items()
            ],
        ),
    ]
    return "\n".join(text)


def describe_limit(figures: dict[str, Any], found: dict[Any, Any]) -> str:
    """How long the operations would take at the speed of a matrix product, and how long they take."""
    rows = []
    for engine, speed in figures["gigaflops"].items():
        for model in ("bare encoder", "whole"):
            flops = figures["flops"][ENCODER] if model == "bare encoder" else sum(figures["flops"].values())
            least, taken = flops / speed / 1e6, found[engine, model, 1, 1]["processor_ms_p50"]
            cells = [f"{flops / 1e6:.0f}", f"{speed:.0f}", f"{least:.1f}", f"{taken:.1f}", f"{least / taken:.0%}"]
            rows.append([engine, model, *cells])
    heads = ["engine", "model", "MFLOP an image", "GFLOP/s of a matrix product", "least ms", "ms of the processor"]
    title = "## The distance to the limit, one thread, one image at a time\n\n"
    return title + markdown_table([*heads, "of the limit"], rows, words=2)


def describe_profile(figures: dict[str, Any]) -> str:
    """Which part of the detector takes the time."""
    parts, flops = figures["profile"]["parts"], figures["flops"]
    rows = [
        [part, f"{each:.2f}", f"{each / sum(parts.values()):.0%}", f"{flops.get(part, 0) / 1e6:.0f}"]
        for part, each in parts.items()
    ]
    nodes = [
        [row["node"], row["operator"], row["part"], f"{row['ms']:.2f}"] for row in figures["profile"]["nodes"][:12]
    ]
    return (
        "## Where the model's time goes (onnxruntime's profiler, one thread, the least of 30 runs of each node)\n\n"
        + markdown_table(["part", "ms", "share", "MFLOP"], rows)
        + f"\n«{REST}» holds the way of the bytes to the encoder too. The dearest nodes:\n\n"
        + markdown_table(["node", "operator", "part", "ms"], nodes, words=3)
    )


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
