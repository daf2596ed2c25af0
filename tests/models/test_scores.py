"""From map to number: exactly the study's decision."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from cobnut.models.scores import area_score, smooth

maps = st.integers(0, 10_000).map(lambda seed: np.random.default_rng(seed).integers(0, 9, (3, 7, 9)).astype(np.float32))


@given(maps, st.floats(0, 0.99), st.integers(-1, 9))
@settings(max_examples=200)
def test_a_score_above_a_threshold_says_that_more_than_the_least_area_lies_above_it(
    values: np.ndarray, area: float, threshold: int
) -> None:
    above = (values > threshold).sum(axis=(1, 2))
    scores = area_score(torch.from_numpy(values), area).numpy()
    np.testing.assert_array_equal(scores > threshold, above > int(area * 63))


def test_without_a_least_area_the_score_is_the_largest_pixel() -> None:
    values = torch.rand(4, 8, 8)
    assert torch.equal(area_score(values, 0.0), values.amax((1, 2)))


def test_smoothing_is_a_mean_that_the_border_does_not_darken() -> None:
    values = torch.rand(2, 12, 12)
    inside = uniform_filter(values[0].numpy(), 3)[1:-1, 1:-1]
    np.testing.assert_allclose(smooth(values, 3)[0, 1:-1, 1:-1], inside, atol=1e-6)
    torch.testing.assert_close(smooth(torch.ones(1, 5, 5), 3), torch.ones(1, 5, 5))
    assert torch.equal(smooth(values, 1), values)
