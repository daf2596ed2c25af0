"""Features that lie on the disk, a few images at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cobnut.data.mapped import release

# Images whose features are in memory at once.
_IMAGES = 4


@dataclass(frozen=True, slots=True)
class Batches:
    """Kept features (n, d, h, w) as tensors, as often as they are wanted; they leave the memory again."""

    features: NDArray[np.floating[Any]]

    def __iter__(self) -> Iterator[Tensor]:
        for start in range(0, len(self.features), _IMAGES):
            yield torch.from_numpy(self.features[start : start + _IMAGES].astype(np.float32))
            release(self.features)
