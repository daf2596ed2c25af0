"""Pixel losses and errors against their definitions."""

import pytest
import torch

from cobnut.errors import RecipeError
from cobnut.losses import ERRORS, LOSSES, build_loss


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_a_scalar_and_zero_for_equal_images(name: str) -> None:
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert LOSSES[name](image, image).item() == 0
    assert LOSSES[name](image, 1 - image).ndim == 0
    assert LOSSES[name](image, 1 - image).item() > 0


@pytest.mark.parametrize(("name", "expected"), [("squared", 0.25), ("absolute", 0.5)])
def test_an_error_is_a_map_of_the_mean_over_channels(name: str, expected: float) -> None:
    image, rebuilt = torch.zeros(1, 3, 4, 5), torch.zeros(1, 3, 4, 5)
    rebuilt[0, :, 2, 3] = 0.5
    error = ERRORS[name](rebuilt, image)
    assert error.shape == (1, 4, 5)
    assert error[0, 2, 3].item() == pytest.approx(expected)
    assert error.sum().item() == pytest.approx(expected)


def test_the_mean_of_the_error_map_is_the_loss() -> None:
    first, second = torch.rand(2, 2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert ERRORS["squared"](first, second).mean().item() == pytest.approx(LOSSES["mse"](first, second).item())
    assert ERRORS["absolute"](first, second).mean().item() == pytest.approx(LOSSES["l1"](first, second).item())


def test_a_weighted_sum_adds_its_terms() -> None:
    first, second = torch.rand(2, 2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = 2 * LOSSES["mse"](first, second) + 0.5 * LOSSES["l1"](first, second)
    assert build_loss({"mse": 2, "l1": 0.5})(first, second).item() == pytest.approx(expected.item())


def test_an_unknown_loss_lists_the_valid_ones() -> None:
    with pytest.raises(RecipeError, match="training.loss.hinge: there is no such loss; valid are mse, l1"):
        build_loss({"hinge": 1})
