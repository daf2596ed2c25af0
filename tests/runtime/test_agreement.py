"""An exported model agrees with the trained one in every decision and closely in scores, or is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobnut.errors import CobnutError
from cobnut.recipe import Recipe
from cobnut.records import Sample
from cobnut.runtime.agreement import MOST_COMPARED, TOLERANCE, agree, nearest, spread_of
from cobnut.runtime.bundle import read_manifest
from cobnut.training import made
from cobnut.training.train import train

SCORES = np.array([1.0, 2.0, 3.0, 4.0])


def above(threshold: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda scores: scores > threshold


def test_scores_that_differ_by_little_agree_and_by_how_much_is_told() -> None:
    found = agree(SCORES, SCORES + np.array([0, 0, 0, 4e-4]), 2.0, above(3.5))
    assert found.images == 4
    assert found.difference == pytest.approx(2e-4)


def test_scores_that_differ_by_a_share_of_their_spread_are_refused() -> None:
    with pytest.raises(CobnutError, match=r"scores differ from the trained one's by 2\.0e-03 of their spread"):
        agree(SCORES, SCORES + 2e-3, 1.0, above(3.5))


def test_another_decision_is_refused_before_scores_are_looked_at() -> None:
    with pytest.raises(CobnutError, match="decides otherwise than the trained one on 1 of 4"):
        agree(SCORES, SCORES + np.array([0, 0, 0.2, 0]), 1.0, above(3.1))


def test_the_image_that_sets_the_threshold_may_fall_to_either_side() -> None:
    found = agree(SCORES + np.array([0, 0, 1e-6, 0]), SCORES, 1.0, above(3.0))
    assert (found.images, found.turned) == (4, 1)


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(CobnutError, match="spread"):
        agree(SCORES, np.array([1.0, np.nan, 3.0, 4.0]), 1.0, above(3.5))


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300), st.floats(0, 100))
def test_those_nearest_to_the_threshold_are_compared(scores: list[float], threshold: float) -> None:
    values = np.array(scores)
    places = nearest(values, threshold)
    assert len(places) == min(len(values), MOST_COMPARED)
    left = np.setdiff1d(np.arange(len(values)), places)
    if len(left):
        assert abs(values[places] - threshold).max() <= abs(values[left] - threshold).min()


def test_scores_without_a_spread_are_held_to_a_share_of_their_size() -> None:
    assert spread_of(np.full(5, 3.0)) == pytest.approx(0.03)
    assert spread_of(np.zeros(5)) > 0


def test_a_bundle_tells_how_closely_its_model_agrees(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert manifest.agreement is not None
    assert manifest.agreement.images == len(manifest.calibration_scores)
    assert manifest.agreement.difference < TOLERANCE


def test_a_model_that_scores_otherwise_is_not_written(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(made.Session):
        def run(self, images: np.ndarray):
            maps, scores, rebuilt = super().run(images)
            return maps, scores * 1.01, rebuilt

    monkeypatch.setattr(made, "Session", Elsewhere)
    with pytest.raises(CobnutError, match=r"^model\.onnx: the exported model"):
        train(samples, tiny_recipe, tmp_path / "a.cobnut")
    assert not (tmp_path / "a.cobnut").exists()
