import re
import xml.etree.ElementTree as ET

import pytest

from cobnut.evaluation.sizes import Defect, smallest_area
from cobnut.report.plots.sizes import plot_sizes


def draw(defects):
    return plot_sizes(defects, smallest_area(defects), 2.0)


def defects(count, missed=()):
    return [Defect(10 + 7 * n, 0.001, 0.5 if n in missed else 3.0 + n, n not in missed) for n in range(count)]


def test_found_and_missed_are_counted_and_the_line_is_named():
    text = draw(defects(70, missed=(0, 1, 2, 3)))
    ET.fromstring(text)
    assert "found (66)" in text
    assert "missed (4)" in text
    assert re.search(r"found reliably from \d+ on", text)
    assert "threshold" in text
    assert not re.search(r"#0101\d\d", text)


def test_every_defect_stands_in_the_picture():
    some = defects(9, missed=(0,))
    few, more = (draw(each).count("<use") for each in (some, [*some, *some[3:7]]))
    assert more - few == 4


@pytest.mark.parametrize(
    "odd",
    [
        [Defect(5, 0.1, 0.0, False)],
        [Defect(5, 0.1, 2.0, False)] * 3,
        [Defect(1, 1e-9, 1e9, True), Defect(10**8, 1.0, 1e-9, False)],
    ],
)
def test_odd_sizes_and_scores_are_drawn_too(odd):
    text = draw(odd)
    assert ET.fromstring(text).tag.endswith("svg")
    assert "found reliably" not in text
