"""What is said of the smallest area is true of what was counted, and false of the world no more often than promised."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from cobnut.evaluation.intervals import lower_bound
from cobnut.evaluation.sizes import Defect, fewest_defects, smallest_area

DRAWS = 2000
IMAGE = 10_000


def defects(found: Sequence[bool] | NDArray[np.bool_], areas: Sequence[int] | None = None) -> list[Defect]:
    """From the largest down; without ``areas`` each a pixel smaller than the one before."""
    areas = areas or range(len(found), 0, -1)
    return [Defect(area, area / IMAGE, 1.0, bool(each)) for area, each in zip(areas, found, strict=True)]


@given(st.integers(1, 300), st.floats(0, 1), st.floats(0.5, 0.999))
@settings(max_examples=60)
def test_the_lower_bound_agrees_with_scipy(whole: int, share: float, confidence: float) -> None:
    part = round(share * whole)
    reference = stats.binomtest(part, whole, alternative="greater").proportion_ci(confidence, method="exact")
    assert lower_bound(part, whole, confidence) == pytest.approx(reference.low, abs=1e-9)


def test_so_many_defects_prove_nine_in_ten_and_one_less_does_not() -> None:
    for missed in range(12):
        tested = fewest_defects(missed)
        for whole, is_proved in ((tested, True), (tested - 1, False)):
            assert (stats.binomtest(whole - missed, whole, 0.9, alternative="greater").pvalue <= 0.05) == is_proved
    assert [fewest_defects(missed) for missed in range(3)] == [29, 46, 61]


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 30)), max_size=200), st.randoms())
def test_a_claim_is_proved_by_the_very_defects_that_are_at_least_so_large(
    drawn: list[tuple[int, int]], random: object
) -> None:
    given_defects = [Defect(area, area / IMAGE, 1.0, chance > 0) for area, chance in drawn]
    told = smallest_area(given_defects)
    random.shuffle(given_defects)  # type: ignore[attr-defined]
    assert smallest_area(given_defects) == told
    if told.pixels is None:
        assert told.sentence.startswith("No size is found reliably: ")
        return
    large = [each.is_found for each in given_defects if each.pixels >= told.pixels]
    assert (told.tested, told.found) == (len(large), sum(large))
    assert stats.binomtest(told.found, told.tested, 0.9, alternative="greater").pvalue <= 0.05
    assert f"from {told.pixels} marked pixel" in told.sentence


@pytest.mark.parametrize(
    "chances",
    [
        np.full(200, 0.899),  # no size at all is found often enough
        np.r_[np.full(40, 0.999), np.full(160, 0.70)],  # the large ones are, and then abruptly not
        1 / (1 + np.exp(-np.linspace(6, -4, 150))),  # ever fewer
        np.r_[np.full(50, 0.80), np.full(150, 1.0)],  # the small ones are, the large ones not
    ],
    ids=["none", "abrupt", "sloping", "upside-down"],
)
def test_a_false_claim_is_as_rare_as_promised(chances: NDArray[np.float64]) -> None:
    random, false = np.random.default_rng(0), 0
    true_rates = chances.cumsum() / np.arange(1, len(chances) + 1)
    for _ in range(DRAWS):
        told = smallest_area(defects(random.random(len(chances)) < chances))
        false += told.pixels is not None and true_rates[told.tested - 1] < 0.9
    assert false <= stats.binom.ppf(0.999, DRAWS, 0.05)


def test_a_size_that_is_found_is_mostly_told() -> None:
    random, chances = np.random.default_rng(0), np.r_[np.full(100, 0.99), np.full(50, 0.2)]
    told = [smallest_area(defects(random.random(150) < chances)) for _ in range(200)]
    reached = [each.tested for each in told if each.pixels is not None]
    assert len(reached) > 170
    assert 85 <= float(np.median(reached)) <= 110


def test_where_all_are_found_the_smallest_one_counts_and_29_suffice() -> None:
    told = smallest_area(defects([True] * 29))
    assert (told.pixels, told.share, told.found, told.tested) == (1, 1 / IMAGE, 29, 29)
    few = smallest_area(defects([True] * 28))
    assert (few.pixels, few.tested) == (None, 0)
    assert "takes 29 defects that are drawn, even if all are found, and this test has 28" in few.sentence
    assert smallest_area([]).pixels is None


def test_large_defects_do_not_carry_small_ones_that_are_missed() -> None:
    told = smallest_area(defects([True] * 128 + [False] * 7))
    assert stats.binomtest(128, 135, 0.9, alternative="greater").pvalue <= 0.05
    assert (told.found, told.tested) == (128, 129)
    among = smallest_area(defects([True] * 80 + [False] * 5 + [True] * 18 + [False] * 300))
    assert among.pixels is None
    assert "of the 103 largest defects 98 were found, but of the 29 smallest among these only 24" in among.sentence


def test_a_walk_that_has_failed_goes_no_further() -> None:
    told = smallest_area(defects([True] * 50 + [False] * 5 + [True] * 57))
    assert stats.binomtest(107, 112, 0.9, alternative="greater").pvalue <= 0.05
    assert (told.tested, told.found) == (46, 46)
    early = smallest_area(defects([False] * 2 + [True] * 98))
    assert (early.pixels, early.tested, early.found) == (None, 46, 44)
    assert "of the 46 largest defects 44 were found, which proves with 95 % confidence no more than 86 %" in (
        early.sentence
    )


@pytest.mark.parametrize("missed", range(46))
def test_one_odd_miss_among_enough_defects_does_not_end_the_walk(missed: int) -> None:
    for drawn in (46, 100):
        told = smallest_area(defects([number != missed for number in range(drawn)]))
        assert (told.pixels, told.tested, told.found) == (1, drawn, drawn - 1)


def test_equal_areas_are_tested_together_whatever_their_order() -> None:
    areas = [50] * 28 + [20] * 4 + [5]
    for missed in range(28, 32):
        told = smallest_area(defects([number != missed for number in range(33)], areas))
        assert (told.pixels, told.tested, told.found) == (None, 32, 31)


def test_equal_areas_are_small_together_whatever_their_order() -> None:
    areas = [90] * 10 + [50] * 80 + [20] * 13
    for found in ([True] * 100 + [False] * 3, [True] * 87 + [False] * 3 + [True] * 13):
        assert smallest_area(defects(found, areas)).pixels == (50 if not found[-1] else 20)
    turned = smallest_area(defects([True] * 10 + [False] * 3 + [True] * 90, areas))
    assert (turned.pixels, turned.found, turned.tested) == (20, 100, 103)


def test_images_of_several_sizes_have_no_common_share() -> None:
    mixed = [Defect(100 + n, (100 + n) / (IMAGE if n % 2 else 2 * IMAGE), 1.0, True) for n in range(40)]
    told = smallest_area(mixed)
    assert (told.pixels, told.share) == (100, None)
    assert "% of the image" not in told.sentence
