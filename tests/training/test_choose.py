"""The automatic options are chosen on good validation images, the same way every time."""

import numpy as np
import pytest
from torch import nn

from cobnut.models.detector import Detector
from cobnut.recipe import Recipe, ScoreOptions
from cobnut.training import choose as module
from cobnut.training.choose import FEWEST_SYNTHETIC, choose

IMAGES = np.random.default_rng(0).integers(90, 110, (5, 32, 32, 3), dtype=np.uint8)


class Grey(nn.Module):
    """A network that has learned nothing but the mean."""

    def forward(self, image):
        return image * 0 + 100 / 255


def test_few_images_are_spoilt_in_several_rounds(tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = module._maps

    def count(detector: Detector, images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return real(detector, images)

    monkeypatch.setattr(module, "_maps", count)
    detector = Detector(Grey(), ScoreOptions(), 0.0)
    first = choose(detector, tiny_recipe, IMAGES)
    assert seen[0] == len(IMAGES)
    assert seen[1] >= FEWEST_SYNTHETIC
    assert first == choose(detector, tiny_recipe, IMAGES)
    assert first is not None
    assert first.synthetic_found > 0.3
