"""The page of a tuning: self-contained, and plain about what was chosen, how, and what that was worth."""

import re
from dataclasses import replace

import pytest

from cobnut.evaluation.trials import TrialRow, Tuning
from cobnut.recipe import read_recipe
from cobnut.report.tune_page import render_tuning
from cobnut.report.tune_words import choice_sentence, few_images, setting_text, tracking_sentence

RECIPE = read_recipe("cae")


def row(number: int, truth: float | None = None) -> TrialRow:
    settings = {"network.widths": [8, 16, 32 + number % 2], "training.learning_rate": 1e-3 * (number + 1)}
    objective = 0.6 + 0.03 * ((number * 7) % 10)
    return TrialRow(
        number, "finished", settings, objective, objective, 0.05, 0.5, truth, 20, 3.0, ((5, 0.5), (10, objective))
    )


@pytest.fixture
def tuning() -> Tuning:
    rows = [row(number, truth=0.5 + 0.04 * ((number * 7) % 10)) for number in range(10)]
    rows.append(replace(row(10), outcome="pruned", objective=None, epochs=10))
    rows.append(
        replace(row(11), outcome="failed", objective=None, epochs=None, reports=(), reason="diverged <at once>")
    )
    scales = {"network.widths": "choices", "training.learning_rate": "log"}
    return Tuning("hazel <nuts>", "cae", rows, scales, {"training.learning_rate": 0.8, "network.widths": 0.2}, 40, 240)


def text_of(html: str) -> str:
    body = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", body))


def test_the_page_holds_all_it_shows_and_runs_no_script(tuning: Tuning) -> None:
    html = render_tuning(tuning, RECIPE)
    assert "<script" not in html
    assert all(each.startswith("#") for each in re.findall(r'(?:src|href)="([^"]*)"', html))
    assert not re.search(r"url\((?!#)", html)
    ids = re.findall(r'\sid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert html.count("<svg") == 4 + len(tuning.scales)


def test_choice_truth_and_every_trial_are_told(tuning: Tuning) -> None:
    text = text_of(render_tuning(tuning, RECIPE))
    assert "Trial 7 is the best: objective 0.8700 against 0.6000 of the recipe as it was (+0.2700)." in text
    assert "The objective tracked the truth well: rank correlation 1.00" in text
    assert "The choice was made before the test was looked at" in text
    assert "12 trials: 10 finished, 1 pruned, 1 failed" in text
    assert "40 good validation images and 240 synthetic defects" in text
    assert "pruned after 10 epochs" in text
    assert "diverged &lt;at once&gt;" in text
    assert "hazel &lt;nuts&gt;" in text
    places = [text.index(each) for each in ("7 · chosen", "0 · as it was")]
    assert places == sorted(places)


def test_what_is_not_known_is_left_out(tuning: Tuning) -> None:
    rows = [replace(row(number), reports=()) for number in range(2)]
    html = render_tuning(replace(tuning, rows=rows, importance={}, validation=5), RECIPE)
    assert html.count("<svg") == 1 + len(tuning.scales)
    text = text_of(html)
    assert "Image AUROC on the test" not in text
    assert "The truth was not looked at" in text
    assert "rests on 5 good validation images only" in text


def test_sentences_fit_what_happened(tuning: Tuning) -> None:
    alone = replace(tuning, rows=[row(0, truth=0.9)])
    assert choice_sentence(alone) == "No trial was better than the recipe as it was; it stays as it is."
    assert tracking_sentence(None, alone).startswith("The truth is known of 1 trial only")
    assert few_images(tuning) == ""
    assert [setting_text(value) for value in (None, 0.00123456, [8, 16], {"mse": 1.0}, "auto")] == [
        "—",
        "0.00123",
        "8 · 16",
        "mse 1",
        "auto",
    ]
