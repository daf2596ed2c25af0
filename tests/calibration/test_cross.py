"""What is promised of folds is what is proved: by linear programmes, tournaments, the published bound, simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import linprog

from cobnut.calibration.conformal import conformal_threshold, images_needed, p_values
from cobnut.calibration.cross import (
    cross_promise,
    cross_rank,
    cross_shortfall,
    cross_worst,
    least_cross_promise,
)
from cobnut.calibration.decision import check_promise, decide, settle
from cobnut.errors import CobnutError
from cobnut.options import CalibrationOptions

DRAWS = 2000


def count_outscored(good: NDArray[np.float64], new: float, folds: int) -> int:
    """By the definition: left-out points that lie nearer to the mean of the other folds than a new one does."""
    parts, outscored = np.split(good, folds), 0
    for fold in range(folds):
        mean = np.concatenate(parts[:fold] + parts[fold + 1 :]).mean()
        outscored += int(sum(abs(each - mean) < abs(new - mean) for each in parts[fold]))
    return outscored


@pytest.mark.parametrize(("images", "folds", "alpha"), [(40, 5, 0.15), (40, 2, 0.1), (60, 3, 0.05), (20, 20, 0.05)])
@pytest.mark.parametrize("is_tied", [False, True])
def test_good_parts_are_rejected_no_more_often_than_promised(
    images: int, folds: int, alpha: float, is_tied: bool
) -> None:
    random, rejected, rank = np.random.default_rng(1), 0, cross_rank(images, folds, alpha)
    for _ in range(DRAWS):
        points = random.normal(size=images + 1)
        points = np.round(points) if is_tied else points
        rejected += count_outscored(points[:-1], float(points[-1]), folds) >= rank
    assert rejected <= stats.binom.ppf(0.999, DRAWS, alpha)


@pytest.mark.parametrize(("folds", "size"), [(2, 4), (2, 9), (3, 3), (4, 2)])
def test_no_way_in_which_the_ranks_hang_together_breaks_the_promise(folds: int, size: int) -> None:
    ranks = np.array(list(itertools.product(range(1, size + 2), repeat=folds)))
    marginals = np.array([ranks[:, fold] == rank for fold in range(folds) for rank in range(1, size + 2)])
    for above in range(size):
        worst = linprog(
            -(ranks.sum(axis=1) <= folds + above).astype(float),
            A_eq=marginals.astype(float),
            b_eq=np.full(len(marginals), 1 / (size + 1)),
        )
        by_pairs = (size + 2 * above) / (size * (folds + 1))
        assert min(-worst.fun, by_pairs) <= cross_promise(folds * size, folds, above) + 1e-9
        if above == 0:
            assert cross_promise(folds * size, folds, 0) == pytest.approx(min(-worst.fun, by_pairs))


@given(folds=st.integers(2, 6), size=st.integers(1, 4), above=st.integers(0, 5), seed=st.integers(0, 1000))
def test_so_many_at_most_outscore_all_but_a_few_of_the_other_folds(
    folds: int, size: int, above: int, seed: int
) -> None:
    random, fold_of = np.random.default_rng(seed), np.repeat(np.arange(folds + 1), size)
    # for each pair of folds a detector that saw neither; it scores their points as it likes, ties too
    wins = np.zeros(len(fold_of), int)
    favoured = random.permutation(folds + 1)
    for one, two in itertools.combinations(range(folds + 1), 2):
        scores = random.integers(0, 4, len(fold_of)) + 2 * favoured[fold_of]
        for a, b in itertools.product(np.flatnonzero(fold_of == one), np.flatnonzero(fold_of == two)):
            wins[a] += scores[a] > scores[b]
            wins[b] += scores[b] > scores[a]
    strange = int((wins >= folds * size - above).sum())
    assert strange <= size + 2 * above


@given(folds=st.integers(2, 30), size=st.integers(1, 60), above=st.integers(0, 200))
def test_no_less_is_promised_than_the_published_theorem_lets(folds: int, size: int, above: int) -> None:
    images = folds * size
    level = (above + 1) / (images + 1)
    # Barber, Candès, Ramdas & Tibshirani 2021, theorem 4
    published = 2 * level + min(2 * (1 - 1 / folds) / (size + 1), (1 - folds / images) / (folds + 1))
    assert level - 1e-12 <= cross_promise(images, folds, min(above, images)) or published >= 1
    assert cross_promise(images, folds, above) <= published + 1e-12


@given(
    scores=st.lists(st.integers(0, 6), min_size=24, max_size=24),
    new=st.lists(st.integers(0, 6), min_size=3, max_size=3),
    rest=st.floats(0.001, 0.999),
)
def test_a_count_with_a_fraction_gives_exactly_the_rule_through_the_plain_functions(
    scores: list[int], new: list[int], rest: float
) -> None:
    left_out = np.array(scores).reshape(3, 8)
    outscored = int((left_out < np.array(new)[:, None]).sum())
    counted, score = np.arange(1.0, 25.0), outscored + rest
    by_definition = (1 + (left_out >= np.array(new)[:, None]).sum()) / 25
    assert p_values(counted, np.array([score]))[0] == pytest.approx(by_definition)
    for above in range(24):
        threshold = conformal_threshold(counted, (above + 1) / 25)
        assert (score > threshold) == (by_definition <= (above + 1) / 25 + 1e-12)


@pytest.mark.parametrize(
    ("images", "folds", "least"),
    # one point a fold: the jackknife+, of which 1 / (n + 1) is proved; few folds: 1 / (m + 1)
    [(19, 19, 1 / 20), (40, 40, 1 / 41), (95, 5, 1 / 20), (99, 5, 1 / 20), (40, 2, 1 / 21)],
)
def test_the_least_promise_of_so_many_images(images: int, folds: int, least: float) -> None:
    assert least_cross_promise(images, folds) == pytest.approx(least)
    assert cross_rank(images, folds, least) == images // folds * folds


@given(images=st.integers(4, 300), folds=st.integers(2, 40), alpha=st.sampled_from([0.01, 0.05, 0.1, 0.2]))
def test_what_is_offered_instead_can_be_kept(images: int, folds: int, alpha: float) -> None:
    if folds > images:
        with pytest.raises(CobnutError, match=f"set --folds {images}"):
            cross_rank(images, folds, alpha)
        return
    if least_cross_promise(images, folds) <= alpha:
        assert cross_promise(images, folds, images // folds * folds - cross_rank(images, folds, alpha)) <= alpha + 1e-9
        return
    with pytest.raises(CobnutError, match="add good images, or set --alpha") as caught:
        cross_rank(images, folds, alpha)
    words = str(caught.value).split()
    offers = dict.fromkeys(["--alpha", "--folds"], 0.0) | {
        name: float(value) for name, value in itertools.pairwise(words) if name in ("--alpha", "--folds")
    }
    cross_rank(images, folds, offers["--alpha"])
    for value in [int(after) for before, after in itertools.pairwise(words) if before == "--folds"]:
        cross_rank(images, value, alpha)
    needed = int(words[words.index("needs") + 1])
    cross_rank(needed, folds, alpha)
    with pytest.raises(CobnutError):
        cross_rank(needed - 1, folds, alpha)


def test_the_shortfall_says_what_there_is_to_do() -> None:
    assert cross_shortfall(40, 5, 0.05) == (
        "alpha 0.05 with 5 folds needs 95 good images; you have 40, and the least you can promise is 12 %: add good "
        "images, or set --alpha 0.12 or --folds 2 or --folds 19"
    )
    assert images_needed(0.05) == 19


def test_of_one_very_set_no_more_is_said_than_one_fold_proves() -> None:
    above = 200 - cross_rank(200, 5, 0.05)
    assert cross_worst(200, 5, 0.05, 0.95) == pytest.approx(stats.beta.ppf(0.95, above + 1, 40 - above), abs=1e-9)
    assert cross_worst(60, 30, 0.2, 0.95) == 1.0


def test_an_automatic_alpha_is_the_usual_one_or_the_least_that_folds_can_promise() -> None:
    options = CalibrationOptions(folds=5)
    assert settle(options, 95).alpha == 0.05
    assert settle(options, 40).alpha == 0.12
    assert check_promise(options, 40) == 40
    scores = np.arange(1, 41, dtype=np.float32)
    assert decide(options, scores[:, None, None] * 2, scores).threshold == 40
    assert decide(options, scores[:, None, None] * 2, scores).level == 80
