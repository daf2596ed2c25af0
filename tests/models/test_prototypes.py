"""Prototypes know how far good features lie from the nearest of them."""

import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from cobnut.models.prototypes import SEARCHED, Prototypes, _farthest, _usual


def flat(value: tuple[float, float], spread: float = 0.0) -> Tensor:
    """Features (2, 2, 8, 8) about one value."""
    generator = torch.Generator().manual_seed(1)
    noise = spread * torch.randn(2, 2, 1, 1, generator=generator)
    return torch.tensor(value)[None, :, None, None].expand(2, 2, 8, 8) + noise


def noisy(value: tuple[float, float], spread: float) -> Tensor:
    """Features (40, 2, 8, 8) about one value, every image's its own."""
    noise = torch.randn(40, 2, 1, 1, generator=torch.Generator().manual_seed(2))
    return torch.tensor(value)[None, :, None, None] + (spread * noise).expand(40, 2, 8, 8)


@pytest.fixture
def of_two_spreads(monkeypatch: pytest.MonkeyPatch) -> Prototypes:
    """A prototype for features about (0, 0), and one for those about (10, 0), which spread ten times as far."""
    monkeypatch.setattr("cobnut.models.prototypes._k_means", lambda *_, **__: torch.tensor([[0.0, 0], [10, 0]]))
    prototypes = Prototypes(2, 2)
    prototypes.learn([torch.cat([noisy((0, 0), 0.1), noisy((10, 0), 1.0)])], 80, seed=0)
    return prototypes


def used(prototypes: Prototypes) -> Tensor:
    """Those that stand for something."""
    return prototypes.centres[prototypes.centres.abs().amax(dim=1) < 1000]


@pytest.fixture
def two_kinds() -> Prototypes:
    """Two kinds of good features; held-out ones of the second differ more."""
    prototypes = Prototypes(8, 2)
    train = torch.cat([flat((0, 0)), flat((10, 0))])
    prototypes.learn([train], len(train), seed=0)
    prototypes.learn_usual([flat((0, 0), 0.1), flat((10, 0), 1.0)])
    return prototypes


def test_the_prototypes_are_the_kinds_of_good_features(two_kinds: Prototypes) -> None:
    torch.testing.assert_close(used(two_kinds)[used(two_kinds)[:, 0].argsort()], torch.tensor([[0.0, 0], [10, 0]]))


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


@pytest.mark.parametrize("count", [8, 64])
def test_no_two_prototypes_are_alike(count: int) -> None:
    prototypes = Prototypes(count, 2)
    prototypes.learn([torch.cat([flat((0, 0)), flat((10, 0))])], 4, seed=0)
    assert sorted(used(prototypes)[:, 0].tolist()) == [0, 10]  # so rounding never decides whose usual distance is told


def test_fewer_features_than_prototypes_are_no_fault() -> None:
    prototypes = Prototypes(500, 2)
    features = flat((1, 2), 0.1)
    prototypes.learn([features], 2, seed=0)
    prototypes.learn_usual([features])
    assert torch.isfinite(prototypes(features)[0] / prototypes(features)[1]).all()


def test_training_features_tell_how_prototypes_differ_where_few_were_held_out(of_two_spreads: Prototypes) -> None:
    prototypes = of_two_spreads
    prototypes.learn_usual([noisy((0, 0), 0.2)[:1, :, :3, :3]])
    near, far = (prototypes(flat(kind))[1].mean() for kind in ((0, 0), (10, 0)))
    assert far > 10 * near  # not quite the squares of 1 and 0.1: a little of the mean of both


def test_a_small_part_on_a_plain_ground_gets_many_prototypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cobnut.models.prototypes.MOST_PATCHES", 400)  # of 8192: where all are used, none is rare
    random = torch.Generator().manual_seed(0)
    features = 0.1 * torch.randn(8, 2, 32, 32, generator=random)
    features[:, :, 10:14, 10:14] += 4 + torch.randn(8, 2, 4, 4, generator=random)  # a sixtieth of the image
    prototypes = Prototypes(20, 2)
    prototypes.learn([features], len(features), seed=0)
    assert (used(prototypes).norm(dim=1) > 1).float().mean() > 0.35
    monkeypatch.setattr("cobnut.models.prototypes.UNUSUAL", 0.0)
    prototypes.learn([features], len(features), seed=0)
    assert (used(prototypes).norm(dim=1) > 1).float().mean() < 0.2


@pytest.mark.parametrize("seed", range(10))
def test_the_rarest_features_have_a_prototype_whatever_k_means_was_begun_from(seed: int) -> None:
    features = torch.randn(8, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    features[:1, :, 0, 0] = 40  # in one image of eight
    prototypes = Prototypes(16, 2)
    prototypes.learn([features], len(features), seed)
    assert prototypes(features)[0][0, 0, 0] < 1


@pytest.mark.parametrize("seed", range(10))
def test_what_one_image_shows_at_few_places_has_a_prototype_though_no_sample_holds_it(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cobnut.models.prototypes.MOST_PATCHES", 160)
    random = torch.Generator().manual_seed(0)
    features = 0.1 * torch.randn(16, 2, 32, 32, generator=random)
    features[:, :, 8:20, 8:20] += 12  # farther from the mean than the corner of one image is: that is what is drawn
    features[5, :, :3, -3:] = torch.tensor([-5.0, 5.0])[:, None, None]
    prototypes = Prototypes(64, 2)
    prototypes.learn(features.split(4), len(features), seed)
    assert prototypes(features[5:6])[0][0, 1, -2] < 1


def test_the_rarest_features_are_those_farthest_from_the_prototypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cobnut.models.prototypes.CANDIDATES", 3)
    monkeypatch.setattr("cobnut.models.prototypes.RARE_OF_ONE_IMAGE", 100)
    features = torch.randn(10, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    prototypes = Prototypes(2, 3)
    rare, distances = prototypes._rare(features.split(3), 10, 3, None)
    rows = prototypes._points(features).movedim(1, -1).flatten(0, -2)
    expected = rows[rows.square().sum(dim=1).argsort(descending=True)[:9]]  # all prototypes lie at 0
    torch.testing.assert_close(rare, expected)
    torch.testing.assert_close(distances, expected.square().sum(dim=1))


@pytest.mark.parametrize("batch", [1, 4])
def test_an_image_that_is_odd_everywhere_does_not_crowd_out_what_another_shows_at_few_places(batch: int) -> None:
    random = torch.Generator().manual_seed(0)
    features = 0.1 * torch.randn(40, 2, 32, 32, generator=random)
    features[7] = 50 + 20 * torch.randn(2, 32, 32, generator=random)
    features[6, :, :3, -3:] = -9
    prototypes = Prototypes(64, 2)
    prototypes.learn(features.split(batch), len(features), seed=0)
    assert prototypes(features[6:7])[0][0, 1, -2] < 1


def test_the_same_seed_gives_the_same_prototypes() -> None:
    features = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    twice = [Prototypes(16, 3), Prototypes(16, 3)]
    for prototypes in twice:
        prototypes.learn([features[:2], features[2:]], 4, seed=3)
    assert torch.equal(twice[0].centres, twice[1].centres)


def test_a_prototype_that_one_feature_made_has_as_usual_how_far_that_lay_from_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cobnut.models.prototypes._k_means", lambda *_, **__: torch.zeros(7, 2))
    monkeypatch.setattr("cobnut.models.prototypes.PRIOR_OF_TRAINING", 0.0)
    features = torch.randn(40, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    features[0] = torch.tensor([30.0, 40.0])[:, None, None]
    prototypes = Prototypes(8, 2)
    prototypes.learn([features], 40, seed=0)
    mean = prototypes(features)[0].sum() / 40
    assert prototypes.usual_of_training[7] * mean == pytest.approx(30**2 + 40**2, rel=1e-4)
    others = features[1:].square().sum(dim=1).mean() * 39 / 38  # they lie nearer to their mean than to another's
    assert prototypes.usual_of_training[0] * mean == pytest.approx(float(others), rel=1e-4)


def test_a_mean_of_one_feature_tells_nothing_of_what_is_usual() -> None:
    usual = _usual(torch.tensor([1.0, 10, 0, 1]), torch.tensor([0.0, 24, 0, 0]), means=3, without=torch.tensor([7.0]))
    mean = 24 / 12
    assert usual[0] == usual[2] == 1  # as that of a mean of none: nothing is known but the mean of all
    assert usual[1] * mean == pytest.approx((24 * 10 / 9 + 3 * mean) / 13)
    assert usual[3] * mean == pytest.approx((7 + 3 * mean) / 4)


def test_the_last_prototypes_are_those_farthest_from_all_others() -> None:
    rows = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    prototypes = list(rows[:2])
    chosen, told = _farthest(rows, torch.cdist(rows, rows[:2]).amin(dim=1).square(), 5)
    for row in chosen:
        distances = torch.cdist(rows, torch.stack(prototypes)).amin(dim=1)
        assert torch.equal(rows[distances.argmax()], row)
        prototypes.append(row)
    for number, distance in enumerate(told, start=2):
        others = torch.stack(prototypes[:number] + prototypes[number + 1 :])
        expected = torch.cdist(prototypes[number][None], others).amin().square()
        assert distance == pytest.approx(float(expected), rel=1e-4)


def test_no_feature_is_chosen_twice_though_others_are_like_it() -> None:
    rows = torch.tensor([[1.0, 0], [1, 0], [1, 0], [0, 1]])
    chosen, told = _farthest(rows, torch.tensor([4.0, 4, 4, 1]), 4)
    assert sorted(chosen.tolist()) == sorted(rows.tolist())
    assert sorted(told.tolist()) == [0, 0, 0, 1]


def test_held_out_features_raise_what_is_usual_also_where_none_of_them_lies(of_two_spreads: Prototypes) -> None:
    prototypes, usual = of_two_spreads, []
    for times in (1, 2):  # as far from their prototype as training features lie, and twice as far
        prototypes.learn_usual([noisy((0, 0), 0.1 * times)])
        usual.append(float(prototypes(flat((10, 0)))[1].mean()))
    assert usual[0] == pytest.approx(float(prototypes(noisy((10, 0), 1.0))[0].mean()), rel=0.3)
    assert usual[1] == pytest.approx(4 * usual[0], rel=0.1)


def test_nothing_is_learned_from_outside_a_region() -> None:
    prototypes, inside = Prototypes(16, 2), torch.zeros(8, 8, dtype=torch.bool)
    inside[:, 4:] = True
    features = flat((1, 1), 0.1).repeat(1, 1, 1, 1).clone()
    features[:, :, :, :2] = 100
    prototypes.learn([features], 2, seed=0, inside=inside)
    assert used(prototypes).max() < 10
    prototypes.learn_usual([features], inside)
    assert prototypes.usual.max() < 1  # of features at 100 it would be thousands
