"""Two bundles are told apart only where the images say so."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from cobnut.errors import DataError
from cobnut.evaluation.duel import delong, duel
from cobnut.records import Sample
from cobnut.runtime.inspect import Inspector
from cobnut.runtime.versions import calibrate


def draw(random: np.random.Generator, good: int, defective: int, gap: float) -> NDArray[np.float64]:
    return np.concatenate([random.normal(size=good), random.normal(gap, size=defective)])


@given(good=st.integers(3, 12), defective=st.integers(3, 12), seed=st.integers(0, 500))
def test_the_variance_is_the_jackknifes_and_the_areas_are_scikit_learns(good: int, defective: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = np.arange(good + defective) >= good
    first, second = (np.round(draw(random, good, defective, 1.0), 1) for _ in range(2))
    found = delong(first, second, truth)
    assert found.first == pytest.approx(roc_auc_score(truth, first))
    assert found.second == pytest.approx(roc_auc_score(truth, second))
    # The structural components are the pseudo-values of leaving out one image: brute force gives the same variance.
    variance = 0.0
    for label, n in ((False, good), (True, defective)):
        left_out = []
        for place in np.flatnonzero(truth == label):
            kept = np.arange(len(truth)) != place
            left_out.append(roc_auc_score(truth[kept], first[kept]) - roc_auc_score(truth[kept], second[kept]))
        variance += (n - 1) / n * float(np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    low, high = found.interval
    assert -1 <= low <= high <= 1
    if low > -1 and high < 1:
        assert (high - low) / 2 / 1.959964 == pytest.approx(np.sqrt(variance), abs=1e-6)


def test_where_nothing_differs_the_p_value_is_as_likely_one_as_another() -> None:
    random, truth = np.random.default_rng(0), np.arange(80) >= 40
    found = [delong(draw(random, 40, 40, 1.0), draw(random, 40, 40, 1.0), truth).p_value for _ in range(1000)]
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 1000))


def test_the_same_scores_cannot_be_told_apart_and_opposite_ones_can() -> None:
    scores, truth = np.arange(40.0), np.arange(40) >= 20
    assert delong(scores, scores, truth).p_value == 1.0
    opposite = delong(scores, -scores, truth)
    assert (opposite.first, opposite.second) == (1.0, 0.0)
    assert opposite.p_value < 1e-9
    few = delong(scores[18:22], -scores[18:22], truth[18:22])
    assert few.p_value == 0.125
    assert few.interval == (1.0, 1.0)


@pytest.fixture
def loose(bundle: Path, tmp_path: Path, samples: list[Sample]) -> Path:
    """The bundle with a threshold that rejects about half of the good parts."""
    copy = Path(shutil.copytree(bundle, tmp_path / "loose.cobnut"))
    calibrate(
        copy,
        [s.path for s in samples if s.split == "test" and not s.is_defective],
        {"method": "conformal", "alpha": 0.5},
    )
    return copy


def test_decisions_are_counted_where_they_differ(bundle: Path, loose: Path, samples: list[Sample]) -> None:
    told = duel(Inspector(bundle), Inspector(loose), ("a", "b"), samples, allow_leaks=True)
    assert told.ranking is not None
    assert told.ranking.difference == 0
    assert told.good.only_first > told.good.only_second == 0
    expected = binomtest(told.good.only_first, told.good.only_first + told.good.only_second).pvalue
    assert told.good.p_value == pytest.approx(expected)
    assert told.defective.only_second > told.defective.only_first == 0  # the looser one finds what the other misses
    words = told.sentences()
    assert "cannot be told apart" in words[0]
    assert f"a passes {told.good.both + told.good.only_first}" in words[1]


def test_an_image_that_made_one_of_them_is_refused(bundle: Path, loose: Path, samples: list[Sample]) -> None:
    with pytest.raises(DataError, match="has seen this test image"):
        duel(Inspector(bundle), Inspector(loose), ("a", "b"), samples)
