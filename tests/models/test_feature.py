"""The default network: what it rebuilds, and the errors that it can show."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from cobnut.errors import RecipeError
from cobnut.models import build_detector, build_network
from cobnut.models.feature import FEATURE_ERRORS, FeatureDetector, FeatureNetwork, _rise, _shares
from cobnut.recipe import Recipe, read_recipe

SMALL = ["image.size=64", "network.prototypes=8", "network.width=16", "network.code=4"]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return read_recipe("feature", SMALL)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network(recipe: Recipe, images: Tensor) -> FeatureNetwork:
    """A network that knows its space and what is usual in it, though its autoencoder has not learned."""
    torch.manual_seed(0)
    network = build_network(recipe).eval()
    assert isinstance(network, FeatureNetwork)
    network.frozen.learn(images.split(3))
    with torch.inference_mode():
        features = network.frozen(images).numpy()
    network.learn_good(features[:3], seed=0)
    network.learn_usual(features[3:], spoil(features[3:]))
    return network


def spoil(features: np.ndarray) -> np.ndarray:
    """Each image's features with a strange place here, and with one there."""
    spoilt = np.stack([features, features], axis=1)
    spoilt[:, 0, :, 2:4, 5] *= 3
    spoilt[:, 1, :, 6, 1:3] *= 3
    return spoilt


def test_a_size_with_hardly_a_feature_is_refused_before_anything_is_learned() -> None:
    with pytest.raises(RecipeError, match=r"image\.size = 32: at network\.stride 16 that makes 2 × 2 features"):
        build_network(read_recipe("feature", ["image.size=32", "network.stride=16"]))


def test_the_autoencoder_rebuilds_the_detail_and_not_the_context(network: FeatureNetwork) -> None:
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 176, 8, 8)


def test_only_the_autoencoder_learns(network: FeatureNetwork) -> None:
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert learning
    assert all(name.startswith("learning.") for name in learning)


def test_held_out_features_have_usual_errors_of_1(network: FeatureNetwork, images: Tensor) -> None:
    with torch.inference_mode():
        errors = network.errors(network.frozen(images[3:]), FEATURE_ERRORS)
    residual, _, relative, *_ = errors.mean(dim=(0, 2, 3)).tolist()
    assert residual == pytest.approx(1, abs=0.6)  # directions that hardly vary are not blown up to 1
    assert relative == pytest.approx(1, abs=0.5)  # training images tell which prototypes lie far


@pytest.mark.parametrize("kind", FEATURE_ERRORS)
def test_a_strange_place_stands_out_where_it_is(network: FeatureNetwork, kind: str) -> None:
    features = torch.zeros(1, 240, 8, 8)
    features[:, :, 5, 2] = 30
    with torch.inference_mode():
        (error,) = network.errors(features, (kind,))[0]
    row, column = divmod(int(error.argmax()), 8)
    assert abs(row - 5) <= 1
    assert abs(column - 2) <= 1


def test_the_combined_error_is_the_sum_of_the_others_by_their_weights(network: FeatureNetwork, images: Tensor) -> None:
    with torch.inference_mode():
        *parts, combined = network.errors(network.frozen(images), (*PARTS, "combined")).unbind(1)
        torch.testing.assert_close(combined, sum(w * part for w, part in zip(network.weights, parts, strict=True)))


def test_weights_are_told_by_images_that_did_not_tell_what_is_usual(network: FeatureNetwork, images: Tensor) -> None:
    with torch.inference_mode():
        features = network.frozen(images)[3:].numpy()
    spoilt, again, good, bad, levels = spoil(features), deepcopy(network), [], [], []
    for told, half in ((1, 0), (0, 1)):
        again.learn_usual(features[told::2], spoilt[told::2])
        levels.append(highest(again, features[half::2]).mean(dim=0))
        good.append(highest(again, features[half::2]) / levels[-1])
        bad.append(highest(again, spoilt[half::2].reshape(-1, *features.shape[1:])) / levels[-1])
    shares = _shares(torch.cat(good), torch.cat(bad))
    torch.testing.assert_close(network.weights, shares / (levels[0] + levels[1]) * 2, rtol=1e-3, atol=0)


@pytest.mark.parametrize("seed", range(5))
def test_what_rises_is_told_by_a_logistic_regression_that_may_not_be_below_0(seed: int) -> None:
    """By SciPy's bounded search for the same optimum."""
    random = np.random.default_rng(seed)
    good, spoilt = (np.exp(random.normal(mean, 0.3, (count, 3))) for mean, count in ((0, 40), ([0.6, 0, 0.2], 90)))
    values = np.concatenate([good, spoilt])
    sign = np.where(np.arange(130) < 40, -1, 1)
    share = np.where(sign < 0, 130 / 2 / 40, 130 / 2 / 90)

    def loss(w: np.ndarray) -> float:
        return float(share @ np.logaddexp(0, -sign * (values @ w[:3] + w[3])) + w[:3] @ w[:3] / 2000)

    best = minimize(loss, np.zeros(4), bounds=[(0, None)] * 3 + [(None, None)], method="L-BFGS-B").x[:3]
    found = _rise(torch.from_numpy(good).float(), torch.from_numpy(spoilt).float()).numpy()
    np.testing.assert_allclose(found, best / best.sum(), atol=2e-3)


def test_half_of_a_weight_is_steadiness_and_half_is_rise() -> None:
    random = torch.Generator().manual_seed(0)
    good, spoilt = (torch.exp(0.1 * torch.randn(count, 3, generator=random)) for count in (40, 90))
    good, spoilt = good / good.mean(dim=0), spoilt * torch.tensor([1.5, 0.5, 1.1])
    variance = np.log(good.numpy()).var(axis=0)
    steady = 1 / ((40 * variance + 3 * variance.mean()) / 43)
    rise = _rise(good, spoilt).numpy()
    assert rise[0] > rise[2] > rise[1] == 0
    np.testing.assert_allclose(_shares(good, spoilt).numpy(), (steady / steady.sum() + rise) / 2, rtol=1e-4)
    assert torch.equal(_rise(good, good / 2), torch.full((3,), 1 / 3))  # none tells anything: all count alike


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_held_out_images_give_weights_too(network: FeatureNetwork, images: Tensor, count: int) -> None:
    with torch.inference_mode():
        features = network.frozen(images)[:count].numpy()
    again = deepcopy(network)
    for held_out in (features, 0 * features):
        again.learn_usual(held_out, spoil(held_out))
        assert torch.isfinite(again.weights).all()
        assert (again.weights > 0).any()


PARTS = ("residual", "relative", "position")


def highest(network: FeatureNetwork, features: np.ndarray) -> Tensor:
    with torch.inference_mode():
        errors = network.errors(torch.from_numpy(features), PARTS)
    return errors.flatten(2).amax(2)


def test_several_errors_at_once_are_those_one_by_one(network: FeatureNetwork, images: Tensor) -> None:
    with torch.inference_mode():
        features = network.frozen(images)
        together = network.errors(features, FEATURE_ERRORS)
        for number, kind in enumerate(FEATURE_ERRORS):
            torch.testing.assert_close(together[:, number], network.errors(features, (kind,))[:, 0])


def test_its_detector_gives_a_map_on_the_features_grid_and_no_picture(network: FeatureNetwork, recipe: Recipe) -> None:
    detector = build_detector(network, recipe)
    assert isinstance(detector, FeatureDetector)
    assert detector.kinds == ("combined",)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    with torch.inference_mode():
        maps, scores = detector(torch.from_numpy(pixels))
    assert maps.shape == (2, 8, 8)
    torch.testing.assert_close(scores, maps.flatten(1).amax(1))
