"""The automatic options are chosen on good validation images, the same way every time."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cobnut.data.region import paint
from cobnut.models.detector import Detector
from cobnut.options import ScoreOptions
from cobnut.recipe import Recipe, read_recipe
from cobnut.training import choose as choosing
from cobnut.training.choose import FEWEST_SYNTHETIC, choose, spoil, spoil_each

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
    first = choose(grey(), tiny_recipe, IMAGES, [IMAGES])
    assert first == choose(grey(), tiny_recipe, IMAGES, [IMAGES])
    recipe, choice = first
    assert choice is not None
    assert choice.synthetic_found > 0.3
    assert "auto" not in recipe.automatic().values()


def test_what_is_never_rebuilt_at_its_place_is_taken_for_usual(tiny_recipe: Recipe) -> None:
    detector = grey()
    recipe, choice = choose(detector, tiny_recipe, EDGED, [EDGED])
    assert recipe.score.normalise == "place"
    assert detector.typical is not None
    plain, found = choose(grey(), read_recipe("cae", ["image.size=32", "score.normalise=none"]), EDGED, [EDGED])
    assert plain.score.normalise == "none"
    assert choice is not None
    assert found is not None
    assert choice.synthetic_found > found.synthetic_found


@pytest.mark.parametrize("normalise", ["none", "place"])
def test_a_recipe_that_fixes_everything_is_left_as_it_is(normalise: str) -> None:
    fixed = ["calibration.q=99.0", "score.least_area=0.01", "score.smoothing=3", f"score.normalise={normalise}"]
    recipe, detector = read_recipe("cae", ["image.size=32", *fixed]), grey()
    assert choose(detector, recipe, EDGED, [EDGED]) == (recipe, None)
    assert detector.smoothing == 3
    assert (detector.typical is not None) == (normalise == "place")
    maps, _, _ = detector(torch.from_numpy(EDGED))
    assert (float(maps.mean()) == pytest.approx(1, abs=0.3)) == (normalise == "place")


def test_pasted_pixels_stay_within_every_fourth_image() -> None:
    greys = np.broadcast_to(np.arange(40, 120, 10, dtype=np.uint8)[:, None, None, None], (8, 64, 64, 3))
    spoilt = spoil_each(read_recipe("feature", ["score.synthetic=1"]), greys, None).reshape(8, -1, 4, 64, 64, 3)
    donors = (spoilt[:, :, :2].astype(int) - 40) // 10  # of patches and scars
    assert {int(each) for number in range(8) for each in np.unique(donors[number]) - number} == {-4, 0, 4}


def test_the_view_that_ranks_best_on_average_over_the_folds_wins(
    tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter([0.9, 0.8, 0.7, 0.95, 0.6, 0.9])
    monkeypatch.setattr(choosing, "_ranking", lambda shown, good, spoilt: next(told))
    score = tiny_recipe.score.model_copy(update={"normalise": "none"})
    monkeypatch.setattr(choosing, "SMOOTHINGS", (1, 3, 5))
    recipe, _ = choose(grey(), tiny_recipe.model_copy(update={"score": score}), IMAGES, [IMAGES, IMAGES])
    assert recipe.score.smoothing == 1  # 0.9 and 0.95 beat 0.8 and 0.6, and 0.7 and 0.9


def test_each_image_is_spoilt_by_every_kind_one_at_a_time_and_otherwise_than_where_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cobnut.training.choose.FEWEST_SPOILT", 2 * 4 * 5 - 3)
    recipe, images = read_recipe("feature", ["score.synthetic=1"]), EDGED[:5]
    region = np.zeros(images.shape[1:3], bool)
    region[:16] = True
    images = np.stack([paint(image, region) for image in images])
    spoilt = spoil_each(recipe, images, region)
    assert spoilt.shape == (5, 8, *images.shape[1:])
    for image, several in zip(images, spoilt, strict=True):
        changed = (several != image).any(axis=-1)
        assert not (changed & ~region).any()  # an encoder would see what lies beside the region
        assert (changed.mean(axis=(1, 2)) < 0.4).all()  # it is still that image
        assert (changed & region).any(axis=(1, 2)).mean() > 0.9
    assert not (spoilt[:, :4] == spoilt[:, 4:]).all(axis=(2, 3, 4)).any()
    chosen_with = spoil(recipe, images, 20, region)[1].reshape(5, 4, *images.shape[1:])
    assert not (spoilt[:, :4] == chosen_with).all(axis=(2, 3, 4)).any()
