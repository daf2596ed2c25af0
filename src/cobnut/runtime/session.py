"""The engine that runs a bundle's model: onnxruntime, threads bounded."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cobnut.errors import BundleError

Answer = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8] | None]
_OUTPUTS = ("anomaly_map", "score", "reconstruction")


class Session:
    """A loaded ``model.onnx``: images uint8 (n, h, w, c) in; maps (n, h, w), scores (n,) and reconstructions out."""

    def __init__(self, model: Path, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no public parent
            raise BundleError(f"{model}: onnxruntime cannot load it ({' '.join(str(error).split())[:200]})") from None
        self._outputs = [name for name in _OUTPUTS if name in {output.name for output in self._session.get_outputs()}]
        if self._outputs[:2] != list(_OUTPUTS[:2]) or [i.name for i in self._session.get_inputs()] != ["images"]:
            raise BundleError(f"{model}: does not take images and give anomaly_map and score; train the bundle again")

    def run(self, images: NDArray[np.uint8]) -> Answer:
        """Judge a batch; the reconstruction is ``None`` where the recipe does not rebuild pixels."""
        maps, scores, *reconstruction = self._session.run(self._outputs, {"images": images})
        return maps, scores, reconstruction[0] if reconstruction else None
