"""The automatic options are chosen on good validation images, the same way every time."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cobnut.models.detector import Detector
from cobnut.options import ScoreOptions
from cobnut.recipe import Recipe, read_recipe
from cobnut.training.choose import FEWEST_SYNTHETIC, View, auroc_error, choose, pick, spoil

IMAGES = np.random.default_rng(0).integers(90, 110, (5, 32, 32, 3), dtype=np.uint8)
EDGED = np.concatenate([IMAGES[:, :, :6] * np.uint8(2), IMAGES[:, :, 6:]], axis=2)


class Grey(nn.Module):
    """A network that has learned nothing but the mean."""

    def forward(self, image: Tensor) -> Tensor:
        return image * 0 + 100 / 255


def grey() -> Detector:
    return Detector(Grey(), ScoreOptions(), 0.0)


def test_few_images_are_spoilt_in_several_rounds(tiny_recipe: Recipe) -> None:
    good, spoilt = spoil(tiny_recipe, IMAGES)
    assert len(good) == len(IMAGES)
    assert len(spoilt) >= FEWEST_SYNTHETIC


def test_the_same_images_give_the_same_choice_and_it_finds_defects(tiny_recipe: Recipe) -> None:
    first = choose(grey(), tiny_recipe, IMAGES, IMAGES)
    assert first == choose(grey(), tiny_recipe, IMAGES, IMAGES)
    recipe, choice = first
    assert choice is not None
    assert choice.synthetic_found > 0.3
    assert "auto" not in recipe.automatic().values()


def test_what_is_never_rebuilt_at_its_place_is_taken_for_usual(tiny_recipe: Recipe) -> None:
    detector = grey()
    recipe, choice = choose(detector, tiny_recipe, EDGED, EDGED)
    assert recipe.score.normalise == "place"
    assert detector.typical is not None
    plain, found = choose(grey(), read_recipe("cae", ["image.size=32", "score.normalise=none"]), EDGED, EDGED)
    assert plain.score.normalise == "none"
    assert choice is not None
    assert found is not None
    assert choice.synthetic_found > found.synthetic_found


@pytest.mark.parametrize("normalise", ["none", "place"])
def test_a_recipe_that_fixes_everything_is_left_as_it_is(normalise: str) -> None:
    fixed = ["calibration.q=99.0", "score.least_area=0.01", "score.smoothing=3", f"score.normalise={normalise}"]
    recipe, detector = read_recipe("cae", ["image.size=32", *fixed]), grey()
    assert choose(detector, recipe, EDGED, EDGED) == (recipe, None)
    assert detector.smoothing == 3
    assert (detector.typical is not None) == (normalise == "place")
    maps, _, _ = detector(torch.from_numpy(EDGED))
    assert (float(maps.mean()) == pytest.approx(1, abs=0.3)) == (normalise == "place")


def test_a_plainer_error_is_kept_unless_another_is_clearly_better() -> None:
    def rankings(third: float) -> dict[View, float]:
        return {(0, 1, "none"): 0.88, (0, 3, "none"): 0.90, (1, 1, "none"): 0.80, (2, 1, "place"): third}

    assert pick(rankings(0.91), 60) == (0, 3, "none")
    assert pick(rankings(0.98), 60) == (2, 1, "place")


def test_the_error_of_an_auroc_is_that_of_hanley_and_mcneils_worked_example() -> None:
    # their Table II: area 0.893 of 58 normal and 51 abnormal images has a standard error of 0.032
    assert auroc_error(0.893, 54) == pytest.approx(0.032, abs=0.001)
