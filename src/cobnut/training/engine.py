"""A frozen network run by the fastest engine that is there: onnxruntime on a processor, torch on a GPU."""

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cobnut.models.detector import to_unit
from cobnut.runtime.export import write_onnx

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class Engine:
    """A network, from images uint8 (n, h, w, c) to its outputs float32 (n, …).

    It is copied when it is first used, and stays where it is.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval()
        self._on_gpu = torch.cuda.is_available()
        self._run: Run | None = None

    @property
    def name(self) -> str:
        """The libraries that run it, with their versions: others round otherwise."""
        made = f"torch {torch.__version__}"  # runs it, or has exported it
        if self._on_gpu:
            return f"{made} cuda"
        import onnxruntime

        return f"{made} onnxruntime {onnxruntime.__version__}"

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The outputs; every call must bring images of the same size."""
        if self._run is None:
            whole = _FromBytes(self.network)
            self._run = _with_torch(whole) if self._on_gpu else _with_onnxruntime(whole, images)
        return self._run(images)


class _FromBytes(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.network(to_unit(images))
        return outputs


def _with_onnxruntime(whole: nn.Module, example: NDArray[np.uint8]) -> Run:
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "network.onnx"
        write_onnx(whole, example, model, ("outputs",))
        session = onnxruntime.InferenceSession(model.read_bytes(), providers=["CPUExecutionProvider"])

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        outputs: NDArray[np.float32] = session.run(None, {"images": images})[0]
        return outputs

    return run


def _with_torch(whole: nn.Module) -> Run:
    there = copy.deepcopy(whole).to("cuda")

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        # cuDNN by default multiplies with ten binary digits: features would not be those of a processor.
        all_digits = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), all_digits:
            outputs: NDArray[np.float32] = there(torch.from_numpy(images).to("cuda")).float().cpu().numpy()
        return outputs

    return run
