"""The engines that run a bundle's model: onnxruntime, or OpenVINO where it is installed; threads bounded."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cobnut.errors import BundleError, CobnutError, require_extra
from cobnut.machine import cores

Answer = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8] | None]
EngineName = Literal["onnxruntime", "openvino"]
ENGINES: Final[tuple[EngineName, ...]] = get_args(EngineName)
# From images to the outputs of these names.
_Run = Callable[[NDArray[np.uint8], Sequence[str]], list[NDArray[Any]]]
_OUTPUTS = ("anomaly_map", "score", "reconstruction")


class Session:
    """A loaded model: images uint8 (n, h, w, c) in; maps (n, h, w), scores (n,) and reconstructions out.

    Any number of threads may run it at once.
    """

    def __init__(
        self,
        model: Path,
        threads: int | None = None,
        engine: EngineName = "onnxruntime",
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Load ``model`` into ``engine``, bounded to so many threads, by default all cores.

        ``files`` are the bytes of the model's files by their names, where they were read and checked before. Raises
        :class:`BundleError` when it is no model of ours, and :class:`CobnutError` when the engine is missing.
        """
        self.engine = engine
        self._run, inputs, outputs = _LOADERS[engine](model, threads or cores(), files or {})
        self._outputs = [name for name in _OUTPUTS if name in outputs]
        if self._outputs[:2] != list(_OUTPUTS[:2]) or list(inputs) != ["images"]:
            raise BundleError(f"{model}: does not take images and give anomaly_map and score; train the bundle again")

    def run(self, images: NDArray[np.uint8]) -> Answer:
        """Judge a batch; the reconstruction is ``None`` where the recipe does not rebuild pixels."""
        maps, scores, *reconstruction = self._run(images, self._outputs)
        return maps, scores, reconstruction[0] if reconstruction else None


def check_engine(name: str) -> EngineName:
    """The engine of this name; raises :class:`CobnutError` when there is none, or it is not installed."""
    if name not in ENGINES:
        raise CobnutError(f"engine {name!r}: there is none; valid are auto, {', '.join(ENGINES)}")
    if name == "openvino":
        require_extra("openvino", "openvino", "engine openvino")
    return name


def _load_onnxruntime(
    model: Path, threads: int, files: Mapping[str, bytes]
) -> tuple[_Run, Sequence[str], Sequence[str]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            files.get(model.name, str(model)), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's errors share no public parent
        raise BundleError(f"{model}: onnxruntime cannot load it ({_line(error)})") from None

    def run(images: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[Any]]:
        answers: list[NDArray[Any]] = session.run(list(outputs), {"images": images})
        return answers

    return run, [each.name for each in session.get_inputs()], [each.name for each in session.get_outputs()]


def _load_openvino(model: Path, threads: int, files: Mapping[str, bytes]) -> tuple[_Run, Sequence[str], Sequence[str]]:
    check_engine("openvino")
    each_thread = threading.local()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # else newer processors compute in bfloat16, and other scores
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
    }
    try:
        import openvino

        core = openvino.Core()
        compiled = core.compile_model(_read_openvino(core, model, files), "CPU", settings)
    except Exception as error:  # as above
        raise BundleError(f"{model}: OpenVINO cannot load it ({_line(error)})") from None

    def run(images: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[Any]]:
        if not hasattr(each_thread, "request"):
            each_thread.request = compiled.create_infer_request()
        answers = each_thread.request.infer({"images": images})
        return [np.array(answers[name]) for name in outputs]

    return run, [each.any_name for each in compiled.inputs], [each.any_name for each in compiled.outputs]


def _read_openvino(core: Any, model: Path, files: Mapping[str, bytes]) -> Any:
    if model.name not in files:
        return core.read_model(model)
    numbers = files.get(model.with_suffix(".bin").name)
    return core.read_model(files[model.name]) if numbers is None else core.read_model(files[model.name], numbers)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


_LOADERS: dict[EngineName, Callable[[Path, int, Mapping[str, bytes]], tuple[_Run, Sequence[str], Sequence[str]]]] = {
    "onnxruntime": _load_onnxruntime,
    "openvino": _load_openvino,
}
