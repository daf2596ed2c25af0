import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from cobnut.report.plots.evaluation import plot_loss, plot_precision_recall, plot_roc, plot_scores
from cobnut.runtime.bundle import Epoch

GOOD, DEFECTIVE = [0.010, 0.012, 0.019, 0.030], [0.011, 0.05, 0.3]


def epoch(number: int, loss: float) -> Epoch:
    return Epoch(
        epoch=number,
        train_loss=loss,
        val_loss=1.1 * loss,
        train_mse=loss,
        val_mse=loss,
        learning_rate=0.001,
        seconds=0.5,
    )


def plots() -> dict[str, str]:
    return {
        "loss": plot_loss([epoch(n, 0.2 / n) for n in range(1, 30)], best_epoch=20),
        "scores": plot_scores({"good": GOOD, "cut": DEFECTIVE}, 0.02),
        "roc": plot_roc(GOOD, DEFECTIVE, 0.02, 0.75),
        "precision-recall": plot_precision_recall(GOOD, DEFECTIVE, 0.02, 0.8),
    }


def test_plots_are_well_formed_named_and_alike_each_time():
    first = plots()
    for name, text in first.items():
        ET.fromstring(text)
        assert text.startswith("<svg ")
        assert all(found.startswith(f"{name}-") for found in re.findall(r'\sid="([^"]*)"', text))
        ids = set(re.findall(r'\sid="([^"]*)"', text))
        assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', text)) <= ids
    assert plots() == first


def test_colours_are_the_page_s():
    for text in plots().values():
        assert "var(--ink" in text
        assert not re.search(r"#0101\d\d", text)
        assert "<metadata" not in text
        assert "font-family" not in text


def test_settings_do_not_leak():
    before = dict(mpl.rcParams)
    plots()
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    "scores",
    [
        {"good": [0.01]},
        {"cut": [0.5, 0.5]},
        {"good": [0.02, 0.02], "cut": [0.02]},
        {"good": [0.0, 0.0], "cut": [0.0]},
        {"good": [0.01], "$\\frac{ </text> & --> 螺丝" * 4: [0.03]},
        {"good": [-0.5, 1.0], "cut": [2.0]},
    ],
)
def test_scores_of_odd_data(scores):
    assert ET.fromstring(plot_scores(scores, 0.02)).tag.endswith("svg")


def test_many_scores_are_thinned():
    few, many = (plot_scores({"good": np.linspace(0.01, 0.02, n)}, 0.02) for n in (300, 30_000))
    assert len(many) < 1.2 * len(few)


def test_loss_of_one_epoch():
    assert ET.fromstring(plot_loss([epoch(1, 0.1)], best_epoch=1)).tag.endswith("svg")


def test_roc_marks_the_threshold_and_tells_its_area():
    text = plot_roc(GOOD, DEFECTIVE, 0.02, 0.75)
    assert "AUROC 0.75" in text
    assert "at the threshold" in text
