"""The report: one HTML file that holds all it shows, needs no network and can be sent to a customer."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cobnut.evaluation.evaluate import Evaluation
from cobnut.report import words
from cobnut.report.gallery import Inspects, build_groups
from cobnut.report.making import choice_text, decision_text, fact_rows, option_values, promise_text, threshold_text
from cobnut.report.page import render_page, write_page
from cobnut.report.plots.evaluation import plot_loss, plot_precision_recall, plot_roc, plot_scores
from cobnut.report.plots.sizes import plot_sizes
from cobnut.report.tables import (
    FURTHER,
    MEANINGS,
    TILES,
    TYPE_COLUMNS,
    build_class_rows,
    build_figures,
    build_matrix,
    build_type_rows,
    drawn_remark,
)


def write_report(evaluation: Evaluation, inspector: Inspects, path: Path) -> None:
    """Write the report of ``evaluation`` to ``path``, whole or not at all.

    ``inspector`` (an :class:`~cobnut.runtime.inspect.Inspector` of the same bundle) judges the few images of the
    gallery once more, for their anomaly maps.
    """
    write_page(render_report(evaluation, inspector), path)


def render_report(evaluation: Evaluation, inspector: Inspects) -> str:
    """The report as text."""
    values = {
        "evaluation": evaluation,
        "manifest": evaluation.manifest,
        **_head(evaluation),
        **_tables(evaluation),
        "plots": {name: Markup(svg) for name, svg in _plots(evaluation)},
        "groups": build_groups(
            evaluation.judged, inspector, evaluation.manifest.threshold, evaluation.manifest.recipe.image
        ),
        **_making(evaluation),
    }
    return render_page("report.html", values)


def scores_by_class(evaluation: Evaluation) -> dict[str, list[float]]:
    """Scores of the good images, then of each defect type in alphabetical order."""
    scores: dict[str, list[float]] = {}
    for each in sorted(evaluation.judged, key=lambda each: (each.sample.is_defective, each.sample.defect_type)):
        scores.setdefault(each.sample.defect_type, []).append(each.score)
    return scores


def _head(evaluation: Evaluation) -> dict[str, Any]:
    confusion, held_out = evaluation.confusion, evaluation.held_out
    is_promised = evaluation.manifest.recipe.calibration.method == "conformal"
    held = f", {held_out:,} of them held out of the training folder" if held_out else ""
    good, defective = words.count(confusion.good, "good image"), words.count(confusion.defective, "defective image")
    return {
        "title": evaluation.data,
        "verdict": words.verdict(confusion),
        "judged_on": words.day(date.today()),
        "trained_on": words.day(evaluation.manifest.created),
        "counts": f"{good}{held}; {defective}",
        "inspected": evaluation.manifest.recipe.region.told(),
        "threshold": words.amount(evaluation.manifest.threshold),
        "promise": promise_text(evaluation.manifest) if is_promised else "",
        "sizes": evaluation.smallest.sentence.replace(" %", f"{words.THIN}%"),
        "mistakes": confusion.false_positive + confusion.false_negative,
        "count": words.count,
    }


def _tables(evaluation: Evaluation) -> Mapping[str, Any]:
    return {
        "tiles": build_figures(evaluation, TILES),
        "further": build_figures(evaluation, FURTHER),
        "class_rows": list(build_class_rows(evaluation.confusion)),
        "matrix": build_matrix(evaluation.confusion),
        "type_rows": build_type_rows(evaluation),
        "type_columns": [MEANINGS[name] for name in TYPE_COLUMNS],
        "drawn_remark": drawn_remark(evaluation),
    }


def _making(evaluation: Evaluation) -> Mapping[str, Any]:
    manifest = evaluation.manifest
    return {
        "decision": decision_text(manifest),
        "origin": threshold_text(manifest),
        "choice": choice_text(manifest),
        "facts": list(fact_rows(manifest, evaluation.ms_per_image, evaluation.seconds)),
        "options": list(option_values(manifest.recipe)),
    }


def _plots(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    """The plots that this evaluation has the truth for."""
    manifest, figures, scores = evaluation.manifest, evaluation.figures, scores_by_class(evaluation)
    yield "scores", plot_scores(scores, manifest.threshold)
    good = scores.get("good", [])
    defective = [score for name, members in scores.items() if name != "good" for score in members]
    area, precision = figures["image_auroc"], figures["image_ap"]
    if area is not None and precision is not None:
        yield "roc", plot_roc(good, defective, manifest.threshold, area)
        yield "precision_recall", plot_precision_recall(good, defective, manifest.threshold, precision)
    if evaluation.defects and manifest.threshold > 0:
        yield "sizes", plot_sizes(evaluation.defects, evaluation.smallest, manifest.threshold)
    if manifest.history:
        yield "loss", plot_loss(manifest.history, manifest.best_epoch)
