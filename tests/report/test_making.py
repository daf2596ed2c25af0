"""The promise and its origin, in words that a quality engineer can hold against what happens."""

import pytest

from cobnut.options import CalibrationOptions, ScoreOptions
from cobnut.recipe import read_recipe
from cobnut.report.making import (
    agreement_text,
    choice_text,
    fact_rows,
    promise_text,
    reach_text,
    threshold_text,
    working_text,
)
from cobnut.runtime.agreement import Agreement
from cobnut.runtime.bundle import Manifest


@pytest.fixture
def promised(manifest: Manifest) -> Manifest:
    recipe = manifest.recipe.model_copy(
        update={
            "calibration": CalibrationOptions(alpha=0.05),
            "score": ScoreOptions(normalise="place", smoothing=3, least_area=0.001),
        }
    )
    update = {"recipe": recipe, "calibration_scores": [n / 1000 for n in range(40)], "threshold": 0.038}
    return manifest.model_copy(update=update)


def test_the_promise_is_told_with_what_luck_may_make_of_it(promised: Manifest) -> None:
    text = promise_text(promised)
    assert "On average at most 5\u202f% of good parts are rejected" in text
    # Beta(2, 39): the 95 % quantile of the share above the second highest of 40 is 11.3 %
    assert "rejects at most 12\u202f%" in text
    assert "The 40 good calibration images that bear this promise" in threshold_text(promised)


def test_with_confidence_the_promise_is_for_this_very_set(promised: Manifest) -> None:
    calibration = CalibrationOptions(alpha=0.1, confidence=0.95)
    sure = promised.model_copy(update={"recipe": promised.recipe.model_copy(update={"calibration": calibration})})
    assert promise_text(sure).startswith("With 95\u202f% confidence, at most 10\u202f% of good parts are rejected")


def test_the_working_size_is_told_with_the_defect_that_covers_a_feature(manifest: Manifest) -> None:
    thin = read_recipe("feature", ["image.size=128", "image.aspect=0.25"])
    assert working_text(manifest.recipe, None) == "at 128 × 128 pixels"
    assert working_text(thin, 37.04) == (
        "at 64 × 256 pixels, where a defect 37 pixels wide in the photographs covers one feature"
    )
    update = {"recipe": thin, "finest_defect": 37.04}
    assert ("Works", working_text(thin, 37.04)) in fact_rows(manifest.model_copy(update=update), 1, 1)


@pytest.mark.parametrize(
    ("finest", "best", "cure"),
    [
        (7.0, 768, "--effort best makes it so"),  # 5 / 7 of 512 are 717 pixels
        (7.0, 512, "--set image.size=768 (slower) or crop the photographs to 71\u202f% of their sides"),
        (25.0, 768, "crop the photographs to 20\u202f% of their sides"),  # no image may have 2560 pixels
    ],
)
def test_what_lets_a_defect_cover_a_feature_is_told(finest: float, best: int, cure: str) -> None:
    recipe = read_recipe("feature", ["image.smallest_defect=5"])
    assert reach_text(recipe, finest, best) == (
        f"a defect 5 pixels wide does not cover one feature at so few pixels: {cure}"
    )


def test_what_was_chosen_is_named_and_what_was_fixed_is_not(promised: Manifest) -> None:
    asked = dict.fromkeys(("error", "normalise", "smoothing", "least_area"), "auto")
    text = choice_text(promised.model_copy(update={"asked": asked}))
    fixed = choice_text(promised.model_copy(update={"asked": {"normalise": "auto"}}))
    assert "usual at their place" in fixed
    assert "squared" not in fixed
    assert "3 × 3" not in fixed
    assert "finds" not in fixed
    for part in (
        "squared",
        "multiples of what is usual at their place",
        "3 × 3 places",
        "0.1\u202f%",
        "75\u202f% of them are found",
    ):
        assert part in text


def test_how_closely_the_deployed_model_agrees_is_told_where_it_is_known(manifest: Manifest) -> None:
    told = agreement_text(manifest.model_copy(update={"agreement": Agreement(images=21, difference=2e-5)}))
    assert told.startswith("decides 21 calibration images as the trained one does")
    assert told.endswith("scores differ by at most 0.00200\u202f% of their spread")
    turned = Agreement(images=21, turned=1, difference=2e-5)
    told = agreement_text(manifest.model_copy(update={"agreement": turned}))
    assert told.startswith("decides 20 of 21 calibration images as the trained one does (the rest set the threshold,")
    assert not agreement_text(manifest.model_copy(update={"agreement": None}))
