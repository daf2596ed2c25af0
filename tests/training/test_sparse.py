"""The robust autoencoder's sparse part."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from cobnut.data.dataset import ImageBatches, build_preparation
from cobnut.options import RobustOptions
from cobnut.recipe import read_recipe
from cobnut.training.sparse import SparsePart, shrink


@given(st.floats(-1, 1), st.floats(0, 1))
def test_shrinking_is_the_proximal_step_of_the_l1_norm(value: float, threshold: float) -> None:
    shrunk = float(shrink(np.array([value], np.float64), threshold)[0])
    candidates = np.append(np.linspace(-1, 1, 201), shrunk)
    costs = threshold * abs(candidates) + (candidates - value) ** 2 / 2
    assert costs[-1] <= costs.min() + 1e-12


class Grey(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return 0 * image + 0.5


class Module(nn.Module):
    device = "cpu"

    def __init__(self) -> None:
        super().__init__()
        self.network = Grey()


@pytest.fixture
def training() -> ImageBatches:
    images = np.full((3, 8, 8, 3), 120, np.uint8)
    images[1, 2, 2] = 255  # the defect
    return ImageBatches(images, build_preparation(read_recipe("cae"), is_training=True))


def split(part: SparsePart, epoch: int) -> None:
    part.on_train_epoch_end(SimpleNamespace(current_epoch=epoch - 1), Module())


def test_what_cannot_be_rebuilt_leaves_the_images_that_train(training: ImageBatches) -> None:
    part = SparsePart(RobustOptions(threshold=0.1, every_epochs=5), training)
    split(part, 4)
    assert training.images[1, 2, 2, 0] == 255
    split(part, 5)
    assert abs(int(training.images[1, 2, 2, 0]) - 153) <= 1  # half of 255, and the tenth that is let be
    assert (training.images[0] == 120).all()


def test_the_split_survives_an_interruption(training: ImageBatches) -> None:
    part = SparsePart(RobustOptions(threshold=0.1, every_epochs=1), training)
    split(part, 1)
    other = ImageBatches(part.images, training.prepare)
    SparsePart(part.options, other).load_state_dict(part.state_dict())
    np.testing.assert_array_equal(other.images, training.images)
