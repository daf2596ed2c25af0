"""The figures against scikit-learn, and PRO against a slow reference that thresholds at every value."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label
from sklearn import metrics as sklearn_metrics

from cobnut.evaluation.metrics import Confusion, auroc, average_precision, classification_table, f1_max, pro

scores = st.lists(st.integers(0, 12).map(lambda value: value / 4), min_size=1, max_size=40).map(np.array)
Pair = tuple[np.ndarray, np.ndarray]


def as_truth(good: np.ndarray, defective: np.ndarray) -> Pair:
    return np.r_[np.zeros(len(good)), np.ones(len(defective))], np.r_[good, defective]


@given(scores, scores)
@settings(max_examples=200)
def test_auroc_and_average_precision_agree_with_scikit_learn(good: np.ndarray, defective: np.ndarray) -> None:
    truth = as_truth(good, defective)
    assert auroc(np.sort(good), defective) == pytest.approx(sklearn_metrics.roc_auc_score(*truth))
    assert average_precision(np.sort(good), defective) == pytest.approx(sklearn_metrics.average_precision_score(*truth))


@given(scores, scores, st.sampled_from([0.1, 0.3, 0.77]))
@settings(max_examples=200)
def test_partial_auroc_agrees_with_the_trapezoids_of_the_roc_curve(
    good: np.ndarray, defective: np.ndarray, limit: float
) -> None:
    false, found, _ = sklearn_metrics.roc_curve(*as_truth(good, defective), drop_intermediate=False)
    cut = np.unique(np.r_[false[false < limit], limit])
    area = 0.0
    for left, right in pairwise(np.r_[cut]):
        # on each open piece the curve is one straight line: from its last value at `left` to its first at `right`
        start = found[false <= left].max()
        end = (
            found[false == right].min()
            if (false == right).any()
            else np.interp(right, *last_and_next(false, found, right))
        )
        area += (right - left) * (start + end) / 2
    assert auroc(np.sort(good), defective, limit) == pytest.approx(area / limit)


def last_and_next(false: np.ndarray, found: np.ndarray, place: float) -> Pair:
    before, after = false[false < place].max(), false[false > place].min()
    return np.array([before, after]), np.array([found[false == before].max(), found[false == after].min()])


@given(scores, scores)
@settings(max_examples=100)
def test_f1_max_is_the_best_that_any_threshold_gives(good: np.ndarray, defective: np.ndarray) -> None:
    truth, values = as_truth(good, defective)
    best = max(sklearn_metrics.f1_score(truth, values >= threshold) for threshold in np.unique(values))
    f1, lowest = f1_max(np.sort(good), defective)
    assert f1 == pytest.approx(best)
    assert sklearn_metrics.f1_score(truth, values >= lowest) == pytest.approx(best)


def slow_pro(maps: np.ndarray, masks: np.ndarray, limit: float) -> float:
    """PRO as the paper tells it: at every threshold, the mean overlap of all regions; trapezoids up to the limit."""
    regions = []
    for index, mask in enumerate(masks):
        labels, count = label(mask, structure=np.ones((3, 3)))
        regions += [(index, labels == number) for number in range(1, count + 1)]
    curve = [(0.0, 0.0)]
    for threshold in np.unique(maps)[::-1]:
        called = maps >= threshold
        overlap = float(np.mean([called[index][region].mean() for index, region in regions]))
        curve.append((float(called[~masks].mean()), overlap))
    false, overlaps = np.array(curve).T
    inside = false <= limit
    if not inside.all():
        beyond = int(np.flatnonzero(~inside)[0])
        share = (limit - false[beyond - 1]) / (false[beyond] - false[beyond - 1])
        end = overlaps[beyond - 1] + share * (overlaps[beyond] - overlaps[beyond - 1])
        false, overlaps = np.r_[false[inside], limit], np.r_[overlaps[inside], end]
    return float(np.trapezoid(overlaps, false) / limit)


@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([0.05, 0.3, 1.0]))
@settings(max_examples=60)
def test_pro_agrees_with_a_slow_reference(seed: int, tied: bool, limit: float) -> None:
    random = np.random.default_rng(seed)
    masks = random.random((3, 12, 12)) < 0.08
    masks[0, 0, 0] = True
    maps = random.random(masks.shape) + 0.3 * masks
    if tied:
        maps = np.round(maps * 6) / 6
    regions = []
    for values, mask in zip(maps, masks, strict=True):
        labels, count = label(mask, structure=np.ones((3, 3)))
        regions += [values[labels == number] for number in range(1, count + 1)]
    assert pro(np.sort(maps[~masks]), regions, limit) == pytest.approx(slow_pro(maps, masks, limit), abs=1e-9)


def test_in_pro_a_small_region_weighs_as_much_as_a_large_one() -> None:
    good = np.arange(100.0)
    assert pro(good, [np.full(1000, 200.0), np.array([-1.0])]) == pytest.approx(0.5)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
@settings(max_examples=100)
def test_the_classification_table_agrees_with_scikit_learn(pairs: list[tuple[bool, bool]]) -> None:
    truth, called = np.array(pairs).T
    confusion = Confusion.of(truth, called)
    table = classification_table(confusion)
    reference = sklearn_metrics.classification_report(
        truth, called, labels=[False, True], target_names=["good", "defective"], output_dict=True, zero_division=np.nan
    )
    assert confusion.accuracy == pytest.approx(sklearn_metrics.accuracy_score(truth, called))
    for name in ("good", "defective"):
        assert table[name]["support"] == reference[name]["support"]
        for figure in ("precision", "recall"):
            value = table[name][figure]
            assert (value is None and np.isnan(reference[name][figure])) or value == pytest.approx(
                reference[name][figure]
            )
    if all(
        table[name][figure] is not None for name in ("good", "defective") for figure in ("precision", "recall", "f1")
    ):
        for ours, theirs in (("macro_average", "macro avg"), ("weighted_average", "weighted avg")):
            for figure, key in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
                assert table[ours][figure] == pytest.approx(reference[theirs][key])


def test_the_study_s_own_table_comes_out() -> None:
    table = classification_table(Confusion(true_positive=38, false_positive=7, false_negative=17, true_negative=26))
    rounded = {row: {name: round(value, 2) for name, value in cells.items()} for row, cells in table.items()}
    assert rounded["good"] == {"precision": 0.6, "recall": 0.79, "f1": 0.68, "support": 33}
    assert rounded["defective"] == {"precision": 0.84, "recall": 0.69, "f1": 0.76, "support": 55}
    assert rounded["macro_average"] == {"precision": 0.72, "recall": 0.74, "f1": 0.72, "support": 88}
    assert rounded["weighted_average"] == {"precision": 0.75, "recall": 0.73, "f1": 0.73, "support": 88}


def test_a_figure_without_its_truth_is_none() -> None:
    only_good = Confusion.of(np.zeros(3, bool), np.zeros(3, bool))
    assert only_good.recall is None
    assert only_good.miss_rate is None
    assert only_good.precision is None
    assert only_good.false_alarm_rate == 0
