"""The page of a log: whether the parts still are what the promise was made for, and as few rejected."""

from datetime import date
from pathlib import Path

from markupsafe import Markup

import cobnut
from cobnut.calibration.conformal import round_up
from cobnut.report import words
from cobnut.report.page import render_page, write_page
from cobnut.report.plots.drift import plot_evidence, plot_parts
from cobnut.runtime.bundle import Manifest
from cobnut.runtime.drift import Drift

_PHOTOGRAPHS = {"brightness": "brightness, grey levels", "sharpness": "sharpness, grey levels"}


def write_drift_page(drift: Drift, manifest: Manifest, name: str, path: Path) -> None:
    """Write the page of what a log tells to ``path``, whole or not at all."""
    judged, watch = drift.rows, drift.watch
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
        "level": f"{100 * watch.level:g}",
        "needed": f"{watch.drift.needed:g}",
        "evidence": Markup(plot_evidence(drift.capitals, watch.drift.needed, drift.alarm, "drift", "watched parts")),
        "limit": None if watch.limit is None else f"{100 * round_up(watch.limit):g}",
        "defect_rate": f"{100 * watch.defect_rate:g}",
        "rejection_needed": f"{watch.rejections.needed:g}",
        "rejections": Markup(
            plot_evidence(
                drift.rejection_capitals, watch.rejections.needed, drift.rejection_alarm, "too many rejections", "parts"
            )
        ),
        "plots": [Markup(plot) for plot in plots],
    }
    write_page(render_page("drift.html", values), path)
