"""Pixel losses and errors against their definitions."""

import pytest
import torch

from cobnut.errors import RecipeError
from cobnut.losses import ERRORS, LOSSES, build_loss


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_a_scalar_and_zero_for_equal_images(name: str) -> None:
    image, other = torch.rand(2, 2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert LOSSES[name](image, image).item() == 0
    assert LOSSES[name](other, image).ndim == 0
    assert LOSSES[name](other, image).item() > 0


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_every_loss_has_a_finite_slope_even_where_images_are_flat_or_equal(name: str, level: float) -> None:
    flat = torch.full((1, 3, 32, 32), level)
    noise = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for reconstruction, image in ((flat, flat), (flat, noise), (noise, flat), (noise, noise), (1 - noise, noise)):
        learned = reconstruction.clone().requires_grad_()
        LOSSES[name](learned, image).backward()
        assert learned.grad is not None
        assert torch.isfinite(learned.grad).all()


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (1, 1, 48, 37)])
def test_every_error_is_a_map_that_is_zero_for_equal_images_and_never_negative(
    name: str, shape: tuple[int, int, int, int]
) -> None:
    image, other = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    assert ERRORS[name](other, image).shape == (shape[0], *shape[2:])
    assert ERRORS[name](other, image).min().item() >= 0
    assert ERRORS[name](image, image).max().item() == 0


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
