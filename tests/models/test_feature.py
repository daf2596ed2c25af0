"""The default network: what it rebuilds, and the errors that it can show."""

from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cobnut.models import build_detector, build_network
from cobnut.models.feature import FEATURE_ERRORS, FeatureDetector, FeatureNetwork
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
    network.learn_usual(features[3:])
    return network


def test_the_space_has_one_grid_of_whitened_features(network: FeatureNetwork, images: Tensor) -> None:
    with torch.inference_mode():
        features = network.frozen(images)
    assert features.shape == (6, 176 + 64, 8, 8)
    assert features[:, :176].var(dim=(0, 2, 3)).max() < 1.05


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


def test_the_combined_error_weighs_the_others_by_how_little_they_vary_in_images_that_told_nothing(
    network: FeatureNetwork, images: Tensor
) -> None:
    kinds = ("residual", "relative", "position")
    with torch.inference_mode():
        *parts, combined = network.errors(network.frozen(images), (*kinds, "combined")).unbind(1)
        torch.testing.assert_close(combined, sum(w * part for w, part in zip(network.weights, parts, strict=True)))
        again, features = deepcopy(network), network.frozen(images[3:]).numpy()
        highest = []
        for told, looked_at in ((features[::2], features[1::2]), (features[1::2], features[::2])):
            again.learn_usual(told)
            errors = again.errors(torch.from_numpy(looked_at), kinds)
            highest.append(F.avg_pool2d(errors, 3, 1).flatten(2).amax(2))
    peaks = torch.cat(highest).numpy()
    variance = np.log(peaks).var(axis=0)
    expected = 1 / peaks.mean(axis=0) / ((3 * variance + 3 * variance.mean()) / 6)
    np.testing.assert_allclose(network.weights.numpy(), expected, rtol=1e-4)


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
