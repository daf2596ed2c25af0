"""The paired comparison against outside oracles, and what must hold for any answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test
from sklearn.metrics import roc_auc_score

from cobnut.evaluation.answers import Answers, Draws
from cobnut.evaluation.comparison import bootstrap_p_value, compare, holm, right_counts, sign_flip_p_value


def answers(seed: int, skill: float, good: int = 20, defective: int = 40, seeds: int = 2) -> Answers:
    """A detector whose defective images score ``skill`` higher; the images' own difficulty is the same for all."""
    truth = np.arange(good + defective) >= good
    difficulty = np.random.default_rng(0).normal(size=len(truth))
    noise = np.random.default_rng([1, seed]).normal(size=(seeds, len(truth)))
    scores = difficulty + 0.5 * noise + skill * truth
    return Answers(scores, scores > skill / 2, truth)


def test_the_table_of_pairs_gives_the_auroc_of_scikit_learn() -> None:
    each = answers(0, 1.0)
    tied = Answers(np.round(each.scores, 0), each.is_rejected, each.is_defective)
    for one in (each, tied):
        expected = [roc_auc_score(one.is_defective, row) for row in one.scores]
        assert one.wins().mean(axis=(1, 2)) == pytest.approx(expected)


def test_a_draw_gives_the_auroc_of_the_drawn_images() -> None:
    each = answers(0, 1.0, seeds=1)
    draws = Draws.of(each.is_defective, 5)
    for number, area in enumerate(draws.aurocs(each.wins()[0])):
        weights = np.empty(len(each.is_defective))
        weights[~each.is_defective], weights[each.is_defective] = draws.good[number], draws.defective[number]
        assert area == pytest.approx(roc_auc_score(each.is_defective, each.scores[0], sample_weight=weights))


@given(better=st.integers(0, 40), worse=st.integers(0, 40), same=st.integers(0, 5))
def test_with_one_seed_it_is_mcnemars_exact_test(better: int, worse: int, same: int) -> None:
    differences = np.repeat([1, -1, 0], [better, worse, same]).astype(np.int64)
    expected = binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert sign_flip_p_value(differences) == pytest.approx(expected)


@settings(max_examples=10)
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=9))
def test_with_several_seeds_it_counts_all_signs(values: list[int]) -> None:
    done = permutation_test(
        (np.array(values),), lambda x, axis: np.abs(x.sum(axis)), vectorized=True,
        permutation_type="samples", n_resamples=np.inf, alternative="greater",
    )  # fmt: skip
    assert sign_flip_p_value(np.array(values)) == pytest.approx(done.pvalue)


def test_many_images_overflow_nothing() -> None:
    assert sign_flip_p_value(np.repeat([1, -1], [3000, 2000])) < 1e-10


def test_holm_as_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert len(holm([])) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_only_raises_and_lies_between_alone_and_bonferroni(values: list[float]) -> None:
    adjusted = holm(values)
    assert (adjusted >= np.array(values)).all()
    assert (adjusted <= np.minimum(1, len(values) * np.array(values)) + 1e-12).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


def test_a_far_better_detector_is_told_apart_and_an_equal_one_is_not() -> None:
    done = compare({"strong": answers(1, 3.0), "weak": answers(2, 0.2), "also weak": answers(3, 0.2)})
    by_pair = {(each.first, each.second): each for each in done}
    ahead = by_pair["strong", "weak"]
    assert ahead.auroc.is_significant
    assert ahead.accuracy.is_significant
    assert ahead.auroc.interval[0] > 0
    assert ahead.auroc.interval[0] <= ahead.auroc.value <= ahead.auroc.interval[1]
    assert not by_pair["weak", "also weak"].auroc.is_significant


def test_a_detector_is_not_better_than_itself() -> None:
    (itself,) = compare({"a": answers(1, 1.0), "b": answers(1, 1.0)}, draws=200)
    assert (itself.auroc.value, itself.auroc.p_value, itself.accuracy.p_value) == (0, 1, 1)


def test_the_order_of_two_only_turns_the_sign() -> None:
    a, b = answers(1, 1.5), answers(2, 1.0)
    (one,), (other,) = compare({"a": a, "b": b}), compare({"b": b, "a": a})
    assert one.auroc.value == pytest.approx(-other.auroc.value)
    assert one.auroc.p_value == other.auroc.p_value
    assert one.auroc.interval == pytest.approx(tuple(-bound for bound in other.auroc.interval[::-1]))
    assert one.accuracy.p_value == other.accuracy.p_value


def test_pairing_sees_what_two_intervals_apart_do_not() -> None:
    """Both share the images' difficulty, so the difference is far narrower than either figure."""
    truth = answers(0, 1.0).is_defective
    base = answers(0, 1.0, seeds=1).scores
    better = base + 0.4 * truth
    (done,) = compare({"a": Answers(better, better > 1, truth), "b": Answers(base, base > 1, truth)})
    alone = Draws.of(truth).aurocs(Answers(base, base > 1, truth).wins()[0])
    assert done.auroc.interval[1] - done.auroc.interval[0] < np.ptp(np.percentile(alone, [2.5, 97.5])) / 2
    assert done.auroc.is_significant


def test_different_numbers_of_seeds_are_brought_to_one_denominator() -> None:
    a, b = answers(1, 1.0, seeds=2), answers(2, 1.0, seeds=3)
    expected = 6 * (a.is_right.mean(axis=0) - b.is_right.mean(axis=0))
    assert right_counts(a, b) == pytest.approx(expected)


def test_a_bootstrap_never_claims_more_than_its_draws_can_show() -> None:
    assert bootstrap_p_value(np.ones(999)) == pytest.approx(2 / 1000)


def test_one_detector_alone_is_compared_with_nothing() -> None:
    assert compare({"a": answers(1, 1.0)}) == []
