"""The detectors of all folds count as the definition does, keep an order beyond it, and share what is the same."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from cobnut.calibration.conformal import p_values
from cobnut.calibration.cross import cross_promise, cross_rank
from cobnut.errors import CobnutError
from cobnut.models.cross import CrossDetector, share_parts
from cobnut.runtime.export import fill, run_model, write_onnx


class Given(nn.Module):
    """A detector whose scores the image itself names: pixel (0, fold), in red."""

    def __init__(self, fold: int) -> None:
        super().__init__()
        self.fold = fold

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        scores = images[:, 0, self.fold, 0].to(torch.float32)
        return scores[:, None, None].expand(-1, 2, 2), scores, images + self.fold


def image_of(scores: list[int]) -> Tensor:
    return torch.tensor(scores, dtype=torch.uint8)[None, None, :, None].repeat(1, 2, 1, 3)


def cross_of(left_out: NDArray[np.float32]) -> CrossDetector:
    cross = CrossDetector([Given(fold) for fold in range(len(left_out))], left_out.shape[1])  # type: ignore[misc]
    cross.scores.copy_(torch.from_numpy(left_out)[None])
    cross.usual_score.copy_(torch.from_numpy(np.maximum(np.median(left_out, axis=1), 1e-30))[None])
    cross.usual_peak.fill_(2.0)
    return cross


@given(
    left_out=st.lists(st.lists(st.integers(0, 9), min_size=7, max_size=7), min_size=3, max_size=3),
    new=st.lists(st.integers(0, 10), min_size=3, max_size=3),
)
def test_the_score_gives_the_rule_of_the_definition(left_out: list[list[int]], new: list[int]) -> None:
    array = np.array(left_out, np.float32)
    score = cross_of(array)(image_of(new))[1].numpy()
    p = (1 + (array >= np.array(new)[:, None]).sum()) / 22
    assert p_values(np.arange(1.0, 22.0), score)[0] == pytest.approx(p)
    for above in range(10):
        alpha = cross_promise(21, 3, above)
        if alpha < 1:
            rank = cross_rank(21, 3, alpha)
            assert (score[0] > rank) == (p <= (22 - rank) / 22 + 1e-12)


def test_of_parts_that_outscore_all_the_odder_one_scores_higher() -> None:
    cross = cross_of(np.ones((2, 4), np.float32))
    scores = [float(cross(image_of(new))[1][0]) for new in ([2, 2], [9, 2], [9, 90], [255, 255])]
    assert scores == sorted(set(scores))
    assert 8 < min(scores) < max(scores) < 9


def test_maps_are_told_in_what_is_usual_and_reconstructions_are_their_mean() -> None:
    maps, _, rebuilt, scores, peaks = cross_of(np.ones((2, 4), np.float32))(image_of([4, 8]))
    assert maps.shape == (1, 2, 2)
    assert maps.unique().tolist() == [3.0]  # (4 + 8) / 2, in units of 2
    assert rebuilt[0, 0, :, 0].tolist() == [4, 8]  # halves are rounded to even numbers
    assert scores.tolist() == peaks.tolist() == [[4.0, 8.0]]


class Half(nn.Module):
    """A frozen convolution, and one that each fold has learned."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.frozen = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        torch.manual_seed(seed)
        self.learned = nn.Conv2d(4, 1, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = self.learned(self.frozen(images.permute(0, 3, 1, 2) / 255))[:, 0].square()
        return maps, maps.flatten(1).amax(dim=1)


def test_what_is_the_same_is_held_and_run_once_and_the_rest_is_not(tmp_path: Path) -> None:
    detectors = [Half(seed).eval() for seed in (1, 2, 3)]
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    cross = CrossDetector(detectors, 2).eval()  # type: ignore[arg-type]
    before = [each.clone() for each in cross(torch.from_numpy(images))]
    share_parts(detectors)
    assert detectors[1].frozen is detectors[0].frozen
    assert detectors[1].learned is not detectors[0].learned
    for one, two in zip(before, cross(torch.from_numpy(images)), strict=True):
        torch.testing.assert_close(one, two)
    model = tmp_path / "model.onnx"
    write_onnx(cross, images, model, ("anomaly_map", "score", "fold_scores", "fold_peaks"))
    nodes = [node.op_type for node in onnx.load(model).graph.node]
    assert nodes.count("Conv") == 1 + len(detectors)


def test_figures_are_written_into_the_exported_model(tmp_path: Path) -> None:
    cross, model = CrossDetector([Half(1), Half(2)], 3).eval(), tmp_path / "model.onnx"  # type: ignore[list-item]
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    write_onnx(cross, images, model, ("anomaly_map", "score", "fold_scores", "fold_peaks"))
    [scores] = run_model(model, [images], ["fold_scores"])
    told = {
        "scores": np.sort(scores[:3].T[None], axis=2),
        "usual_score": np.median(scores, axis=0)[None],
        "usual_peak": np.array([1.0, 4.0])[None, :, None, None],
    }
    fill(model, told)
    for name, value in told.items():
        cross.get_buffer(name).copy_(torch.from_numpy(value))
    maps, counted = run_model(model, [images[:2], images[2:]], ["anomaly_map", "score"])
    expected = (told["scores"][0] < scores[:, :, None]).sum(axis=(1, 2))
    np.testing.assert_array_equal(np.floor(counted), expected)
    with torch.inference_mode():
        np.testing.assert_allclose(maps, cross(torch.from_numpy(images))[0].numpy(), rtol=1e-4)
    with pytest.raises(CobnutError, match="has no place for scores"):
        fill(model, {"scores": np.zeros((1, 2, 4))})
