"""Positions know which features are usual where."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis
from torch import Tensor

from cobnut.models.positions import FLOOR, Positions
from cobnut.options import ASPECTS, ImageOptions


def features(count: int, height: int, width: int | None = None, seed: int = 0) -> Tensor:
    """Features (count, 5, height, width), square unless told, whose mean and spread grow to the right."""
    width = width or height
    noise = torch.randn(count, 5, height, width, generator=torch.Generator().manual_seed(seed))
    right = torch.arange(width) + 1.0
    return noise * right + 10 * right


def learned(train: Tensor, directions: int = 3) -> Positions:
    positions = Positions(5, directions, (train.shape[-2], train.shape[-1]))
    positions.learn(train.split(7), torch.ones(5), seed=0)
    return positions


def test_the_distance_is_mahalanobis_at_each_position() -> None:
    train, new = features(40, 1), features(1, 1, seed=1)  # one position has no neighbours
    positions = learned(train)
    projected, point = (each[:, :, 0, 0] @ positions.directions.T for each in (train, new))
    inverse = torch.linalg.inv(torch.cov(projected.T, correction=0) + FLOOR * torch.eye(3))
    expected = mahalanobis(point[0], projected.mean(0), inverse) ** 2 / 3
    assert positions(new).item() == pytest.approx(expected, rel=5e-3)  # inverses have half precision


def test_the_directions_are_orthogonal_and_alike_for_a_seed() -> None:
    first, again = learned(features(20, 4)), learned(features(20, 4))
    torch.testing.assert_close(first.directions @ first.directions.T, torch.eye(3))
    torch.testing.assert_close(first.directions, again.directions)


def test_what_is_usual_on_the_right_is_strange_on_the_left() -> None:
    train = features(60, 8)
    there, mirrored = learned(train)(train).mean(0), learned(train)(train.flip(-1)).mean(0)
    assert mirrored[:, 0].min() > 10 * there[:, 0].max()


@pytest.mark.parametrize("train", [features(60, 8), features(60, 4, 12)], ids=["square", "wide"])
def test_every_position_has_a_gaussian_of_its_own(train: Tensor) -> None:
    positions = learned(train)
    around = F.avg_pool2d(train, 3, stride=1, padding=1, count_include_pad=False)
    row, column = 3, 5
    expected = around[:, :, row, column].mean(0) @ positions.directions.T
    torch.testing.assert_close(positions.mean[row * train.shape[-1] + column], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("grid", "inside"),
    [
        ((8, 8), 8 * 8),
        ((32, 32), 32 * 32),
        ((40, 40), 20 * 20),
        ((64, 64), 32 * 32),
        ((88, 88), 22 * 22),
        ((28, 144), 28 * 24),
        ((136, 4), 17 * 4),
    ],
)
def test_a_large_grid_is_brought_down_and_back(grid: tuple[int, int], inside: int) -> None:
    positions = Positions(5, 3, grid)
    assert len(positions.mean) == inside
    positions.learn([features(3, *grid)], torch.ones(5), seed=0)
    assert positions(features(2, *grid)).shape == (2, *grid)


@given(st.integers(128, 1024), st.floats(*ASPECTS))
def test_the_grid_of_every_shape_keeps_many_positions(size: int, aspect: float) -> None:
    height, width = (side // 8 for side in ImageOptions(size=size, aspect=aspect).shape)
    if aspect != 1:
        inside = Positions(1, 1, (height, width)).grid
        assert all(kept >= min(side, 16) for kept, side in zip(inside, (height, width), strict=True))


def test_fewer_images_than_directions_are_no_fault() -> None:
    positions = learned(features(2, 8), directions=5)
    assert torch.isfinite(positions(features(1, 8, seed=3))).all()


def test_a_position_sees_its_neighbours_too() -> None:
    train = features(60, 8)
    positions, plain = learned(train), train.mean(0, keepdim=True)
    spiked = plain.clone()
    spiked[:, :, 4, 4] += 50
    raised = (positions(spiked) > positions(plain) + 1e-3)[0]
    assert raised[3:6, 3:6].all()
    assert raised.sum() == 9
