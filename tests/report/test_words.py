from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobnut.evaluation.metrics import Confusion
from cobnut.report import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.0001, "< 0.1"),
        (0.0123, "1.2"),
        (0.05, "5"),
        (0.325, "33"),
        (0.9985, "99.9"),
        (0.9999, "> 99.9"),
        (1.0, "100"),
    ],
)
def test_percent(value, text):
    assert words.percent(value) == f"{text}\u202f%"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (0.325, "0.33"), (0.941, "0.94"), (0.998, "0.998"), (0.99999, "> 0.999"), (1.0, "1.00")],
)
def test_share(value, text):
    assert words.share(value) == text


@pytest.mark.parametrize(
    ("low", "high", "text"), [(0.81, 0.97, "0.81–0.97"), (0.999, 0.9999, "0.999 to > 0.999"), (1, 1, "1.00–1.00")]
)
def test_an_interval_never_reads_as_an_arrow(low: float, high: float, text: str) -> None:
    assert words.share_range(low, high) == text


@given(st.floats(0, 1))
def test_only_a_whole_looks_whole(value):
    assert (words.share(value) == "1.00") == (value == 1)
    assert (words.percent(value) == "100\u202f%") == (value == 1)
    assert (words.percent(value) == "0\u202f%") == (value == 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.001234, "0.00123"),
        (0.0333, "0.0333"),
        (33.61, "33.6"),
        (12345.6, "12346"),
        (1.2e-6, "1.20\u202f×\u202f10⁻⁶"),
    ],
)
def test_amount(value, text):
    assert words.amount(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.52, "1.5\u202fs"), (48, "48\u202fs"), (300, "5\u202fmin"), (12000, "3\u202fh 20\u202fmin")]
)
def test_duration(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [(date(2026, 3, 9), "9 March 2026"), ("2026-11-23T23:26:16+00:00", "23 November 2026"), ("soon", "soon")],
)
def test_day(moment, text):
    assert words.day(moment) == text


@pytest.mark.parametrize(
    ("confusion", "sentence"),
    [
        (Confusion(58, 1, 5, 19), "Of 63 defective parts 58 were found; 1 of 20 good ones was rejected."),
        (Confusion(63, 0, 0, 20), "All of 63 defective parts were found; none of 20 good ones was rejected."),
        (Confusion(0, 20, 3, 0), "None of 3 defective parts was found; all of 20 good ones were rejected."),
        (Confusion(0, 1, 1, 0), "The one defective part was missed; the one good part was rejected."),
        (Confusion(0, 0, 0, 2), "None of 2 good ones was rejected; there was no defective part to find."),
    ],
)
def test_verdict(confusion, sentence):
    assert words.verdict(confusion) == sentence
