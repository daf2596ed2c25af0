"""Prototypes know how far good features lie from the nearest of them."""

import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from cobnut.models.prototypes import SEARCHED, Prototypes


def flat(value: tuple[float, float], spread: float = 0.0) -> Tensor:
    """Features (2, 2, 8, 8) about one value."""
    generator = torch.Generator().manual_seed(1)
    noise = spread * torch.randn(2, 2, 1, 1, generator=generator)
    return torch.tensor(value)[None, :, None, None].expand(2, 2, 8, 8) + noise


@pytest.fixture
def two_kinds() -> Prototypes:
    """Two kinds of good features; held-out ones of the second differ more."""
    prototypes = Prototypes(2, 2)
    train = torch.cat([flat((0, 0)), flat((10, 0))])
    prototypes.learn([train], len(train), seed=0)
    prototypes.learn_usual([flat((0, 0), 0.1), flat((10, 0), 1.0)])
    return prototypes


def test_the_prototypes_are_the_kinds_of_good_features(two_kinds: Prototypes) -> None:
    torch.testing.assert_close(two_kinds.centres[two_kinds.centres[:, 0].argsort()], torch.tensor([[0.0, 0], [10, 0]]))


def test_the_distance_is_that_to_the_nearest_one() -> None:
    prototypes = Prototypes(9, 4)
    generator = torch.Generator().manual_seed(0)
    prototypes.centres.copy_(torch.randn(9, 4, generator=generator))
    features = torch.randn(2, 4, 1, 1, generator=generator)  # without neighbours a feature is its own mean
    nearest = NearestNeighbors(n_neighbors=1).fit(prototypes.centres.numpy())
    expected = nearest.kneighbors(features[:, :, 0, 0].numpy())[0][:, 0] ** 2
    torch.testing.assert_close(prototypes(features)[0].flatten(), torch.from_numpy(expected).float())


def test_the_nearest_is_looked_for_in_the_strongest_directions_and_its_distance_is_whole() -> None:
    components, generator = 2 * SEARCHED, torch.Generator().manual_seed(0)
    deviations = torch.logspace(1, -2, components)[torch.randperm(components, generator=generator)]
    features = deviations[None, :, None, None] * torch.randn(400, components, 1, 1, generator=generator)
    prototypes = Prototypes(20, components)
    prototypes.learn([features], len(features), seed=0)
    distances = torch.cdist(features[:, :, 0, 0], prototypes.centres).square()
    torch.testing.assert_close(prototypes(features)[0].flatten(), distances.amin(dim=1), rtol=1e-3, atol=1e-3)


def test_what_is_usual_depends_on_the_prototype(two_kinds: Prototypes) -> None:
    assert two_kinds(flat((10, 0)))[1].mean() > 2 * two_kinds(flat((0, 0)))[1].mean()


def test_the_scale_weighs_the_components() -> None:
    prototypes = Prototypes(1, 2)
    prototypes.scale.copy_(torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(prototypes(flat((5, 1)))[0], torch.full((2, 8, 8), 4.0))


def test_no_two_prototypes_are_alike() -> None:
    prototypes = Prototypes(8, 2)
    prototypes.learn([torch.cat([flat((0, 0)), flat((10, 0))])], 4, seed=0)
    used = prototypes.centres[prototypes.centres.abs().amax(1) < 100]
    assert sorted(used[:, 0].tolist()) == [0, 10]  # so rounding never decides whose usual distance is told


def test_fewer_features_than_prototypes_are_no_fault() -> None:
    prototypes = Prototypes(500, 2)
    features = flat((1, 2), 0.1)
    prototypes.learn([features], 2, seed=0)
    prototypes.learn_usual([features])
    assert torch.isfinite(prototypes(features)[0] / prototypes(features)[1]).all()


def test_training_features_tell_how_prototypes_differ_where_few_were_held_out() -> None:
    prototypes = Prototypes(2, 2)
    train = torch.cat([flat((0, 0), 0.1).repeat(20, 1, 1, 1), flat((10, 0), 1.0).repeat(20, 1, 1, 1)])
    prototypes.learn([train], len(train), seed=0)
    prototypes.learn_usual([flat((0, 0), 0.2)[:1, :, :1, :1]])
    near, far = (prototypes(flat(kind))[1].mean() for kind in ((0, 0), (10, 0)))
    assert far > 20 * near  # the squares of 1 and 0.1, and a little of the mean of both


def test_nothing_is_learned_from_outside_a_region() -> None:
    prototypes, inside = Prototypes(4, 2), torch.zeros(8, 8, dtype=torch.bool)
    inside[:, 4:] = True
    features = flat((1, 1), 0.1).repeat(1, 1, 1, 1).clone()
    features[:, :, :, :2] = 100
    prototypes.learn([features], 2, seed=0, inside=inside)
    used = prototypes.centres[prototypes.centres.abs().amax(1) < 1000]
    assert used.max() < 10
    prototypes.learn_usual([features], inside)
    assert prototypes.usual.max() < 1  # of features at 100 it would be thousands
