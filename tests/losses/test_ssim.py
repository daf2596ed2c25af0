"""Structural similarity against scikit-image, torchmetrics and the definition written out with SciPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from cobnut.losses.ssim import (
    SCALE_WEIGHTS,
    ms_ssim,
    ms_ssim_error,
    ms_ssim_loss,
    scale_weights,
    ssim,
    ssim_error,
    ssim_loss,
    ssim_map,
)
from cobnut.models.torchvision_mend import mend_torchvision

seeds = st.integers(0, 10_000)


def pair(seed: int, shape: tuple[int, ...], noise: float = 0.2) -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth image and a noisy copy of it."""
    rng = np.random.default_rng(seed)
    image = np.clip(0.5 + 2 * gaussian_filter(rng.standard_normal(shape), (0, 0, 3, 3)), 0, 1)
    copy = np.clip(image + noise * rng.standard_normal(shape), 0, 1)
    return torch.from_numpy(image).float(), torch.from_numpy(copy).float()


@given(seeds, st.sampled_from([(1, 1, 32, 40), (1, 3, 47, 33)]), st.floats(0.01, 0.6))
@settings(max_examples=20)
def test_ssim_is_what_scikit_image_computes(seed: int, shape: tuple[int, ...], noise: float) -> None:
    image, copy = pair(seed, shape, noise)
    expected = structural_similarity(
        image[0].numpy(), copy[0].numpy(), channel_axis=0, data_range=1,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    assert ssim(image, copy).item() == pytest.approx(expected, abs=1e-4)


def written_out(x: np.ndarray, y: np.ndarray) -> float:
    """MS-SSIM of two grey images by its definition."""
    product = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):

        def mean(values: np.ndarray) -> np.ndarray:
            return gaussian_filter(values, 1.5, truncate=3.5)[5:-5, 5:-5]

        light_x, light_y = mean(x), mean(y)
        spread = mean(x * x) - light_x**2 + mean(y * y) - light_y**2
        contrast = (2 * (mean(x * y) - light_x * light_y) + 0.03**2) / (spread + 0.03**2)
        luminance = (2 * light_x * light_y + 0.01**2) / (light_x**2 + light_y**2 + 0.01**2)
        product *= max(float(np.mean(contrast * luminance if scale == 4 else contrast)), 0) ** weight
        h, w = (side // 2 * 2 for side in x.shape)
        x, y = (image[:h, :w].reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3)) for image in (x, y))
    return product


@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_multi_scale_ssim_is_its_definition_and_the_mean_over_channels(noise: float) -> None:
    image, copy = pair(0, (1, 3, 176, 190), noise)
    each = [written_out(image[0, c].double().numpy(), copy[0, c].double().numpy()) for c in range(3)]
    assert ms_ssim(image, copy).item() == pytest.approx(np.mean(each), abs=1e-4)


def test_multi_scale_ssim_is_near_that_of_torchmetrics_which_counts_the_border_at_the_last_scale() -> None:
    mend_torchvision()
    functional = pytest.importorskip("torchmetrics.functional.image")
    image, copy = pair(1, (2, 1, 256, 256))
    theirs = functional.multiscale_structural_similarity_index_measure(image, copy, data_range=1.0)
    assert ms_ssim(image, copy).item() == pytest.approx(theirs.item(), abs=3e-3)


@given(st.integers(1, 600))
def test_as_many_scales_as_fit_have_weights_of_sum_one(side: int) -> None:
    weights = scale_weights(side)
    assert sum(weights) == pytest.approx(1)
    assert len(weights) == sum(scale == 0 or side // 2**scale >= 11 for scale in range(5))
    assert scale_weights(176) == pytest.approx(SCALE_WEIGHTS, rel=1e-3)


@given(seeds)
@settings(max_examples=10)
def test_similarities_are_symmetric_and_within_their_range(seed: int) -> None:
    image, copy = pair(seed, (2, 3, 48, 48), 0.5)
    for similarity, least in ((ssim, -1.0), (ms_ssim, 0.0)):
        assert similarity(image, copy).item() == pytest.approx(similarity(copy, image).item(), abs=1e-6)
        assert least <= similarity(image, copy).item() <= 1
        assert similarity(image, image).item() == 1


def test_a_negative_is_as_unlike_as_can_be_and_gives_no_nan() -> None:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert ssim(image, 1 - image).item() < -0.9
    assert ms_ssim_loss(1 - image, image).item() == 1


def test_inside_the_map_averages_to_the_similarity() -> None:
    image, copy = pair(2, (2, 3, 40, 32))
    assert ssim_map(image, copy)[..., 5:-5, 5:-5].mean().item() == pytest.approx(ssim(image, copy).item(), abs=1e-6)
    assert ssim_error(image, copy)[:, 5:-5, 5:-5].mean().item() == pytest.approx(
        ssim_loss(image, copy).item(), abs=1e-6
    )


@pytest.mark.parametrize("error", [ssim_error, ms_ssim_error])
@pytest.mark.parametrize("place", [(40, 70), (0, 0)])
def test_a_scratch_stands_out_where_it_is_even_at_the_border(error, place: tuple[int, int]) -> None:
    image, _ = pair(3, (1, 3, 96, 96))
    spoilt = image.clone()
    y, x = place
    spoilt[:, :, y : y + 4, x : x + 4] = 1 - spoilt[:, :, y : y + 4, x : x + 4].round()
    found = error(spoilt, image)[0]
    worst_y, worst_x = divmod(int(found.argmax()), 96)
    assert y - 6 <= worst_y <= y + 10
    assert x - 6 <= worst_x <= x + 10
    assert found[60:, :30].max().item() < 0.05


@pytest.mark.parametrize("name", ["ssim", "ms_ssim"])
def test_descending_the_loss_makes_images_alike(name: str) -> None:
    image, copy = pair(4, (1, 1, 32, 32))
    loss = {"ssim": ssim_loss, "ms_ssim": ms_ssim_loss}[name]
    learned = copy.requires_grad_()
    optimizer = torch.optim.Adam([learned], lr=0.02)
    before = loss(learned, image).item()
    for _ in range(20):
        optimizer.zero_grad()
        loss(learned, image).backward()
        optimizer.step()
    assert loss(learned, image).item() < 0.6 * before
