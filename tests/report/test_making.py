"""The promise and its origin, in words that a quality engineer can hold against what happens."""

import pytest

from cobnut.options import CalibrationOptions, ScoreOptions
from cobnut.report.making import choice_text, promise_text, threshold_text
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
