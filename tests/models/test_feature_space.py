"""The space of the default network: features of several stages on one grid, whitened by good images."""

import numpy as np
import pytest
import torch
from torch import Tensor

from cobnut.models.feature_space import FeatureSpace
from cobnut.options import FeatureOptions

DETAIL = 176


@pytest.fixture
def images() -> Tensor:
    return torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def space() -> FeatureSpace:
    return FeatureSpace(FeatureOptions()).eval()


def test_it_has_one_grid_of_whitened_features(space: FeatureSpace, images: Tensor) -> None:
    space.learn(images.split(3))
    with torch.inference_mode():
        features = space(images)
    assert features.shape == (6, DETAIL + 64, 8, 8)
    assert features[:, :DETAIL].var(dim=(0, 2, 3)).max() < 1.05


def test_it_is_learned_where_is_inspected(space: FeatureSpace, images: Tensor) -> None:
    region = np.zeros((64, 64), bool)
    region[:, 32:] = True
    images[..., :32] = 0.5
    space.learn(images.split(3), region)
    with torch.inference_mode():
        for maps, whitening in zip(space.stages(images), space.whitenings, strict=True):
            inside = whitening(maps)[..., maps.shape[-1] // 2 :]
            assert inside.mean(dim=(0, 2, 3)).abs().max() < 1e-3
            assert inside.var(dim=(0, 2, 3), correction=0).max() < 1.05
