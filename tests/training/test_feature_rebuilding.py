"""What the autoencoder of features sees while it learns."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cobnut.data.dataset import Batch
from cobnut.models.feature import FeatureAutoencoder
from cobnut.recipe import read_recipe
from cobnut.training.feature_rebuilding import (
    FeatureRebuilding,
    draw_noise,
    draw_sides,
    paste_blocks,
    squared_error,
)
from cobnut.training.rebuilding import Rebuilding


@given(most=st.integers(0, 6), side=st.integers(2, 12), seed=st.integers(0, 1000))
def test_outside_the_mask_nothing_is_pasted(most: int, side: int, seed: int) -> None:
    torch.manual_seed(seed)
    features = torch.randn(3, 2, side, side)
    spoilt, mask = paste_blocks(features, most)
    torch.testing.assert_close(spoilt * (1 - mask), features * (1 - mask))
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert most or not mask.any()


def test_what_is_pasted_comes_from_the_features_of_the_batch() -> None:
    torch.manual_seed(0)
    features = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 16, 16)
    spoilt, mask = paste_blocks(features, 4)
    assert mask.any()
    assert set(spoilt.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0}


def test_the_squared_error_and_its_gradient_are_those_of_square_and_mean() -> None:
    torch.manual_seed(0)
    wanted, places = torch.randn(2, 5, 4, 6), torch.rand(2, 1, 4, 6)
    rebuilt = torch.randn(2, 5, 4, 6)
    rebuilt[0, :, 0, 0] = wanted[0, :, 0, 0]  # where nothing is left, nothing is to be learned
    ours, theirs = rebuilt.clone().requires_grad_(), rebuilt.clone().requires_grad_()
    error, expected = squared_error(ours, wanted), (theirs - wanted).square().mean(dim=1, keepdim=True)
    torch.testing.assert_close(error, expected)
    (error * places).sum().backward()
    (expected * places).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_noise_of_an_image_is_normal_and_not_that_of_another() -> None:
    torch.manual_seed(0)
    noise = draw_noise(torch.empty(3, 32, 24, 40))
    assert noise.shape == (3, 32, 24, 40)
    assert noise.stride(1) == 1
    for image in noise:
        assert abs(float(image.mean())) < 0.03
        assert float(image.std()) == pytest.approx(1, abs=0.03)
        assert float(image.abs().max()) > 3
    correlations = torch.corrcoef(noise.flatten(1)) - torch.eye(3)
    assert float(correlations.abs().max()) < 0.03


def test_the_channels_of_features_lie_last_all_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeatureRebuilding, "log_dict", lambda *_, **__: None)
    recipe = read_recipe("feature")
    module = FeatureRebuilding(FeatureAutoencoder(6, 8, 2), recipe, recipe.training)
    seen: list[torch.Tensor] = []
    module.network.register_forward_hook(lambda _, inputs, output: seen.extend((*inputs, output)))
    features = torch.randn(2, 9, 8, 8)
    module._log_losses(
        "train", Batch(features, torch.zeros(2, 8, 8, 3, dtype=torch.uint8), torch.zeros(2, 8, 8, dtype=torch.bool))
    )
    assert len(seen) == 2
    assert all(each.is_contiguous(memory_format=torch.channels_last) for each in seen)


def test_each_direction_is_mirrored_every_other_time() -> None:
    torch.manual_seed(0)
    drawn = [tuple(draw_sides()) for _ in range(400)]
    for sides in ((), (-2,), (-1,), (-2, -1)):
        assert 70 < drawn.count(sides) < 130


@pytest.mark.parametrize("seed", range(6))
def test_a_mirrored_batch_is_judged_by_the_mirrored_region(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeatureRebuilding, "log_dict", lambda *_, **__: None)
    recipe = read_recipe("feature", ["network.noise=0", "network.pasted=0"])
    region = np.zeros((8, 8), bool)
    region[5:, :3] = True
    module = FeatureRebuilding(FeatureAutoencoder(6, 8, 2).eval(), recipe, recipe.training, region)
    torch.nn.init.zeros_(module.network.decode[-2].weight)  # so that nothing around a place tells on it
    torch.nn.init.zeros_(module.network.decode[-2].bias)
    seen = torch.randn(2, 6, 8, 8)
    elsewhere = torch.where(torch.from_numpy(region), seen, 10 * seen)
    blank = torch.zeros(2, 8, 8, 3, dtype=torch.uint8), torch.zeros(2, 8, 8, dtype=torch.bool)
    losses = []
    for each in (seen, elsewhere):
        torch.manual_seed(seed)
        losses.append(module._log_losses("train", Batch(each, *blank)).item())
    assert losses[0] == pytest.approx(losses[1])


@pytest.mark.parametrize(
    ("step", "recipe", "network", "seen"),
    [
        (FeatureRebuilding, "feature", FeatureAutoencoder(6, 8, 2), torch.randn(2, 6, 8, 8)),
        (Rebuilding, "cae", torch.nn.Conv2d(3, 3, 1), torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)),
    ],
)
def test_what_lies_outside_the_region_costs_nothing(
    step: type[Rebuilding], recipe: str, network: torch.nn.Module, seen: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "log_dict", lambda *_, **__: None)
    region = np.zeros((8, 8), bool)
    region[:, 5:] = True
    options = read_recipe(recipe)
    wanted = seen if seen.dtype == torch.uint8 else torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    batch = Batch(seen, wanted, torch.zeros(2, 8, 8, dtype=torch.bool))
    losses = []
    for told in (None, region, ~region):
        module = step(network.eval(), options, options.training, told)
        losses.append(module._log_losses("val", batch).item())
    everywhere, inside, outside = losses
    assert inside > 0
    assert inside + outside == pytest.approx(everywhere, rel=1e-5)  # each place costs once, in its own part
