"""The detector: bytes in, map, score and reconstruction out."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cobnut.models.detector import Detector, to_bytes, to_unit
from cobnut.options import ScoreOptions


@given(st.integers(0, 255))
def test_bytes_survive_the_way_to_the_network_and_back(value: int) -> None:
    images = torch.full((1, 4, 4, 3), value, dtype=torch.uint8)
    assert torch.equal(to_bytes(to_unit(images)), images)


def test_what_is_rebuilt_perfectly_scores_zero() -> None:
    images = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    maps, scores, rebuilt = Detector(nn.Identity(), ScoreOptions(), 0.0)(images)
    assert maps.shape == (2, 8, 8)
    assert scores.tolist() == [0, 0]
    assert torch.equal(rebuilt, images)


def test_what_cannot_be_rebuilt_stands_out_in_map_and_score() -> None:
    class Dark(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(image)

    images = torch.zeros(1, 8, 8, 3, dtype=torch.uint8)
    images[0, 2, 5] = 255
    maps, scores, _ = Detector(Dark(), ScoreOptions(), 0.0)(images)
    assert maps[0].argmax().item() == 2 * 8 + 5
    assert scores.item() == 1


def test_a_map_is_told_in_multiples_of_what_is_usual_at_its_place() -> None:
    detector = Detector(nn.Flatten(0, -1), ScoreOptions(), 0.0)
    errors = torch.rand(2, 1, 8, 8)
    plain = detector.view(errors)
    detector.typical = torch.linspace(0.1, 1, 64).view(8, 8)
    torch.testing.assert_close(detector.view(errors), plain / detector.typical)
