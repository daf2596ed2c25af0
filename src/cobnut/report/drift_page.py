"""The page of a log: whether the parts still are what the promise was made for."""

from datetime import date
from pathlib import Path

from markupsafe import Markup

import cobnut
from cobnut.calibration.martingale import alarm_at
from cobnut.report import words
from cobnut.report.page import render_page, write_page
from cobnut.report.plots.drift import plot_evidence, plot_parts
from cobnut.runtime.bundle import Manifest
from cobnut.runtime.drift import Drift

_PHOTOGRAPHS = {"brightness": "brightness, grey levels", "sharpness": "sharpness, grey levels"}


def write_drift_page(drift: Drift, manifest: Manifest, name: str, path: Path) -> None:
    """Write the page of what a log tells to ``path``, whole or not at all."""
    judged = drift.rows
    plots = [plot_parts([float(row["score"]) for row in judged], "scores", "score", manifest.threshold)]
    for figure, label in _PHOTOGRAPHS.items():
        told = [float(row[figure]) for row in judged if row.get(figure)]
        if told:
            plots.append(plot_parts(told, figure, label))
    first, *rest = drift.sentences()
    values = {
        "title": name,
        "version": cobnut.__version__,
        "verdict": rest[0],
        "changes": rest[1:],
        "counts": first,
        "written_on": words.day(date.today()),
        "is_alarm": drift.alarm is not None,
        "level": f"{100 * drift.level:g}",
        "needed": f"{alarm_at(drift.level):g}",
        "evidence": Markup(plot_evidence(drift.capitals, alarm_at(drift.level), drift.alarm)),
        "plots": [Markup(plot) for plot in plots],
    }
    write_page(render_page("drift.html", values), path)
