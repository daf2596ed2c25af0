"""Positions know which features are usual where."""

import pytest
import torch
from scipy.spatial.distance import mahalanobis
from torch import Tensor

from cobnut.models.positions import FLOOR, Positions


def features(count: int, side: int, seed: int = 0) -> Tensor:
    """Features (count, 5, side, side) whose mean and spread grow to the right."""
    noise = torch.randn(count, 5, side, side, generator=torch.Generator().manual_seed(seed))
    right = torch.arange(side) + 1.0
    return noise * right + 10 * right


def learned(train: Tensor, directions: int = 3) -> Positions:
    positions = Positions(5, directions, train.shape[-1])
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


@pytest.mark.parametrize(("side", "inside"), [(8, 8), (32, 32), (40, 20), (64, 32), (88, 22)])
def test_a_large_grid_is_brought_down_and_back(side: int, inside: int) -> None:
    positions = Positions(5, 3, side)
    assert len(positions.mean) == inside**2
    positions.learn([features(3, side)], torch.ones(5), seed=0)
    assert positions(features(2, side)).shape == (2, side, side)


def test_fewer_images_than_directions_are_no_fault() -> None:
    positions = learned(features(2, 8), directions=5)
    assert torch.isfinite(positions(features(1, 8, seed=3))).all()
