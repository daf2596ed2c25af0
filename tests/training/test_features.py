"""What a frozen encoder makes of the images is computed once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cobnut.models.detector import to_unit
from cobnut.training.engine import Engine
from cobnut.training.features import kept_features

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)


class Encoder(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.convolution = nn.Conv2d(3, 4, 3)

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.convolution(image)
        return features


class Counted(Engine):
    """Counts the images that it is shown."""

    seen = 0

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.seen += len(images)
        return super().__call__(images)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBNUT_CACHE", str(tmp_path))


def test_they_are_what_the_encoder_gives() -> None:
    encoder = Encoder()
    with torch.inference_mode():
        expected = encoder(to_unit(torch.from_numpy(IMAGES))).numpy()
    np.testing.assert_allclose(kept_features(Engine(encoder), IMAGES), expected, atol=1e-6)


def test_a_second_look_costs_nothing() -> None:
    engine = Counted(Encoder())
    first = kept_features(engine, IMAGES)
    np.testing.assert_array_equal(kept_features(engine, IMAGES), first)
    assert engine.seen == len(IMAGES)


def test_their_channels_lie_last_in_memory_and_in_every_batch() -> None:
    kept = kept_features(Engine(Encoder()), IMAGES, np.float16)
    for part in (kept[2:7], kept[np.array([5, 1, 9])], kept[:8].reshape(4, 2, *kept.shape[1:])[1]):
        tensor = torch.from_numpy(part.astype(np.float32))
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert not kept.flags.writeable  # it is still the map of the file, not a copy


def test_half_the_digits_take_half_the_space() -> None:
    half = kept_features(Engine(Encoder()), IMAGES, np.float16)
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, kept_features(Engine(Encoder()), IMAGES), atol=1e-2)


def test_what_half_the_digits_cannot_hold_is_kept_as_large_as_they_can() -> None:
    encoder = Encoder()
    with torch.no_grad():
        encoder.convolution.weight.mul_(1e6)
    half = kept_features(Engine(encoder), IMAGES, np.float16)
    assert abs(half).max() == np.finfo(np.float16).max


@pytest.mark.parametrize("change", ["weights", "pixels"])
def test_other_weights_or_other_pixels_are_computed_anew(change: str) -> None:
    first = np.array(kept_features(Engine(Encoder()), IMAGES))
    images = IMAGES if change == "weights" else 255 - IMAGES
    second = kept_features(Engine(Encoder(seed=1 if change == "weights" else 0)), images)
    assert abs(second - first).max() > 0.01


def test_what_another_engine_made_is_computed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    kept_features(Engine(Encoder()), IMAGES)
    engine = Counted(Encoder())
    monkeypatch.setattr(Engine, "name", "onnxruntime of another version, which rounds otherwise")
    kept_features(engine, IMAGES)
    assert engine.seen == len(IMAGES)
