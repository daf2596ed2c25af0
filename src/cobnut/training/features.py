"""What a frozen encoder makes of the training images: computed once, kept on disk, read ever after."""

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cobnut.data.store import kept_array
from cobnut.models.detector import to_unit

_BATCH = 16


def kept_features(
    encoder: nn.Module, images: NDArray[np.uint8], on_progress: Callable[[int], None] = lambda _: None
) -> NDArray[np.float32]:
    """Features (n, k, h, w) of images uint8 (n, s, s, c), memory-mapped; kept under a key of weights and pixels."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = encoder.eval().to(device)
    starts = range(0, len(images), _BATCH)

    def features(start: int) -> NDArray[np.float32]:
        with torch.inference_mode():
            batch = torch.from_numpy(np.array(images[start : start + _BATCH]))
            made: NDArray[np.float32] = encoder(to_unit(batch.to(device))).float().cpu().numpy()
        return made

    def chunks() -> Iterator[NDArray[np.float32]]:
        for start in starts:
            chunk = features(start)
            yield chunk
            on_progress(len(chunk))

    with torch.inference_mode():
        shape = encoder(to_unit(torch.from_numpy(np.array(images[:1])).to(device))).shape[1:]
    kept = kept_array(_key(encoder, images), (len(images), *shape), np.dtype(np.float32), chunks())
    encoder.cpu()
    return kept


def _key(encoder: nn.Module, images: NDArray[np.uint8]) -> str:
    digest = hashlib.sha256(repr(encoder).encode())
    for name, value in encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    digest.update(str(images.shape).encode())
    for image in images:
        digest.update(image.tobytes())
    return digest.hexdigest()[:40]
