"""What a frozen encoder makes of the training images: computed once, kept on disk, read ever after."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cobnut.data.dataset import Features
from cobnut.data.images import in_chunks
from cobnut.data.region import Region
from cobnut.data.store import kept_array
from cobnut.models.detector import to_unit
from cobnut.models.feature_space import FeatureSpace
from cobnut.training.engine import Engine

# So many images tell the directions in which features differ: each has hundreds of places.
SPACE_IMAGES = 32


def learn_space(space: FeatureSpace, images: NDArray[np.uint8], region: Region | None = None) -> None:
    """Let the space of a feature network learn from some training images uint8 (n, h, w, c), in a region (h, w)."""
    chosen = images[:: -(-len(images) // SPACE_IMAGES)]
    space.learn((to_unit(torch.from_numpy(np.array(batch))) for batch in in_chunks(chosen)), region)


def kept_features(
    engine: Engine,
    images: NDArray[np.uint8],
    dtype: type[np.floating[Any]] = np.float32,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Features:
    """Features (n, k, h, w) of images uint8 (n, h, w, c), memory-mapped; kept by engine, weights and pixels.

    ``engine`` runs the frozen encoder. In the file channels come last, as training wants them.
    """

    def chunks() -> Iterator[Features]:
        for batch in in_chunks(images):
            chunk = torch.from_numpy(engine(np.array(batch))).movedim(1, -1).contiguous().numpy()
            yield chunk.clip(-most, most).astype(dtype, copy=False)
            on_progress(len(chunk))

    most = np.finfo(dtype).max  # a float16 beyond that would be infinite
    with torch.inference_mode():
        shape = engine.network(to_unit(torch.from_numpy(np.array(images[:1])))).shape[1:]
    kept = kept_array(_key(engine, images), (len(images), *shape[1:], shape[0]), np.dtype(dtype), chunks())
    return np.moveaxis(kept, -1, 1)


def _key(engine: Engine, images: NDArray[np.uint8]) -> str:
    digest = hashlib.sha256(f"channels last {engine.name} {engine.network!r}".encode())
    for name, value in engine.network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    digest.update(str(images.shape).encode())
    for batch in in_chunks(images):
        digest.update(batch.tobytes())
    return digest.hexdigest()[:40]
