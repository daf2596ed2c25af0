"""What a frozen encoder makes of the images is computed once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cobnut.models.detector import to_unit
from cobnut.training.features import kept_features

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)


class Encoder(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.convolution = nn.Conv2d(3, 4, 3)
        self.calls = 0

    def forward(self, image: Tensor) -> Tensor:
        self.calls += len(image)
        return self.convolution(image)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBNUT_CACHE", str(tmp_path))


def test_they_are_what_the_encoder_gives() -> None:
    encoder = Encoder()
    with torch.inference_mode():
        expected = encoder(to_unit(torch.from_numpy(IMAGES))).numpy()
    np.testing.assert_allclose(kept_features(encoder, IMAGES), expected, atol=1e-6)


def test_a_second_look_costs_the_encoder_one_image() -> None:
    encoder = Encoder()
    first = kept_features(encoder, IMAGES)
    encoder.calls = 0
    np.testing.assert_array_equal(kept_features(encoder, IMAGES), first)
    assert encoder.calls == 1  # for the shape


@pytest.mark.parametrize("change", ["weights", "pixels"])
def test_other_weights_or_other_pixels_are_computed_anew(change: str) -> None:
    first = np.array(kept_features(Encoder(), IMAGES))
    images = IMAGES if change == "weights" else 255 - IMAGES
    second = kept_features(Encoder(seed=1 if change == "weights" else 0), images)
    assert abs(second - first).max() > 0.01
