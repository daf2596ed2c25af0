"""Complex wavelet similarity: blind to small shifts, not to another structure."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from cobnut.data.sample_parts import render_part
from cobnut.losses.cwssim import cw_ssim, cw_ssim_error, cw_ssim_loss, wavelets
from cobnut.losses.ssim import ssim

seeds = st.integers(0, 10_000)


def texture(seed: int, shape: tuple[int, ...] = (1, 1, 130, 130)) -> torch.Tensor:
    grain = uniform_filter(np.random.default_rng(seed).random(shape), (1, 1, 5, 5))
    return torch.from_numpy(np.clip(0.5 + 3 * (grain - 0.5), 0, 1)).float()


def part(defect_type: str = "good") -> tuple[torch.Tensor, torch.Tensor]:
    image, mask = render_part(3, side=128, defect_type=defect_type)
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255, torch.from_numpy(mask)


@pytest.mark.parametrize("image", [texture(0), part()[0]], ids=["texture", "part"])
def test_a_shift_by_two_pixels_hardly_moves_it_where_ssim_falls(image: torch.Tensor) -> None:
    here, there = image[..., 2:], image[..., :-2]
    assert cw_ssim(here, there).item() > 0.92
    assert ssim(here, there).item() < 0.75


def test_another_texture_is_another_however_alike_its_statistics() -> None:
    assert cw_ssim(texture(0), texture(1)).item() < 0.7


@pytest.mark.parametrize("defect_type", ["crack", "hole", "print"])
def test_a_defect_stands_out_even_when_the_part_has_moved(defect_type: str) -> None:
    (good, _), (defective, mask) = part(), part(defect_type)
    found = cw_ssim_error(defective[..., 2:], good[..., :-2])[0]
    assert found[mask[:, 2:]].mean().item() > 5 * found[~mask[:, 2:]].mean().item()


def test_a_defect_of_colour_alone_counts() -> None:
    good = texture(2).repeat(1, 3, 1, 1)
    stained = good.clone()
    stained[:, 0, 50:80, 50:80] = texture(3)[:, 0, 50:80, 50:80]
    found = cw_ssim_error(stained, good)[0]
    assert found[55:75, 55:75].mean().item() > 10 * found[100:, 100:].mean().item()


@given(seeds, st.sampled_from([(2, 3, 32, 32), (1, 1, 45, 37)]))
@settings(max_examples=15)
def test_it_is_symmetric_and_between_zero_and_one(seed: int, shape: tuple[int, ...]) -> None:
    image, other = texture(seed, shape), texture(seed + 1, shape)
    assert cw_ssim(image, other).item() == pytest.approx(cw_ssim(other, image).item(), abs=1e-6)
    assert 0 <= cw_ssim(image, other).item() <= 1
    assert cw_ssim(image, image).item() == 1
    assert cw_ssim_loss(image, other).item() == pytest.approx(1 - cw_ssim(image, other).item())


def test_it_sees_structure_and_neither_brightness_nor_the_sign_of_contrast() -> None:
    image = 0.3 + 0.4 * texture(0)
    assert cw_ssim(image + 0.2, image).item() == pytest.approx(1, abs=1e-4)
    assert cw_ssim(1 - image, image).item() == pytest.approx(1, abs=1e-4)
    assert cw_ssim(torch.full_like(image, 0.5), image).item() < 0.5


def test_a_wave_of_the_wavelets_own_frequency_answers_with_its_variance() -> None:
    filters = wavelets()
    assert filters.sum(dim=(1, 2, 3)).abs().max().item() < 1e-6
    wave = torch.sin(torch.arange(64) * (2 * torch.pi / 4) + 0.7).expand(1, 1, 64, 64)
    power = torch.nn.functional.conv2d(wave, filters).square().mean(dim=(2, 3))[0]
    assert (power[0] + power[4]).item() == pytest.approx(0.5, rel=0.05)
    assert power[0] + power[4] > 20 * (power[2] + power[6])


def test_where_all_is_flat_and_equal_the_slope_is_zero() -> None:
    flat = torch.full((1, 3, 32, 32), 0.25, requires_grad=True)
    cw_ssim_loss(flat, flat.detach().clone()).backward()
    assert flat.grad is not None
    assert flat.grad.abs().max().item() < 1e-3
