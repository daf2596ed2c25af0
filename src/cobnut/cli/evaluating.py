"""`cobnut evaluate` and `cobnut compare`: images whose truth is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cobnut.cli import options
from cobnut.cli.figures import print_figures
from cobnut.cli.terminal import check_target, out, progress, remark

if TYPE_CHECKING:
    from cobnut.evaluation.evaluate import Evaluation
    from cobnut.records import Sample
    from cobnut.runtime.inspect import Inspector


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command("evaluate")(evaluate)
    app.command("compare")(compare)


def evaluate(
    bundle: options.Bundle,
    data: options.Data = None,
    good: options.Good = None,
    defective: options.Defective = None,
    json_file: options.JsonFile = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE.html", help="Write a report to look at, one HTML file.", show_default=False
        ),
    ] = None,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Judge even test images that the detector was made with.")
    ] = False,
    require_signature: options.RequireSignature = None,
) -> None:
    """Judge images whose truth is known and tell how right the detector was, with 95 % intervals.

    Judged are the data set's test images, and the good ones that the detector has not seen (held out for the test).

    Example: cobnut evaluate hazelnut.cobnut photos/hazelnut --json figures.json --report report.html
    """
    from cobnut.data.layouts import read_dataset
    from cobnut.errors import CobnutError

    check_target(json_file, "--json")
    check_target(report, "--report")
    if report is not None and json_file is not None and report.absolute() == json_file.absolute():
        raise CobnutError(f"--json and --report both name {report}; give each its own file")
    samples = read_dataset(data, good, defective)
    run_evaluation(bundle, samples, options.name_of(data, good), json_file, report, allow_leaks, require_signature)


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A bundle, or a version of it: BUNDLE@1.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another bundle or version.")],
    data: options.Data = None,
    good: options.Good = None,
    defective: options.Defective = None,
    json_file: options.JsonFile = None,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Judge even test images that one of them was made with.")
    ] = False,
    require_signature: options.RequireSignature = None,
) -> None:
    """Judge the same test images by two bundles and tell which is better, as far as the images can tell.

    Ranking by DeLong's test of the AUROCs, decisions by McNemar's exact test; both are paired, image by image.

    Example: cobnut compare old.cobnut new.cobnut photos/hazelnut
    """
    from cobnut.data.layouts import read_dataset
    from cobnut.evaluation.duel import duel

    check_target(json_file, "--json")
    samples = read_dataset(data, good, defective)
    bundles = options.open_inspector(first, require_signature), options.open_inspector(second, require_signature)
    names = (first.name, second.name) if first.name != second.name else (str(first), str(second))
    with progress("judging twice") as bar:
        bar.update(bar.task_ids[0], total=sum(sample.split == "test" for sample in samples))
        told = duel(*bundles, names, samples, allow_leaks, lambda count: bar.advance(bar.task_ids[0], count))
    for line in told.unreadable:
        remark(f"left out: {line}")
    for sentence in told.sentences():
        out.print(sentence, markup=False)
    if json_file is not None:
        write_json(told.as_dict(), json_file)
        out.print(f"figures  {json_file}", markup=False)


def run_evaluation(
    bundle: Path,
    samples: "Sequence[Sample]",
    data: str,
    json_file: Path | None = None,
    report: Path | None = None,
    allow_leaks: bool = False,
    require_signature: list[Path] | None = None,
) -> None:
    """Evaluate with the terminal's bar, print the table and write what was asked for."""
    from cobnut.errors import require_extra

    require_extra("scipy", "report", "evaluation")
    from cobnut.evaluation.evaluate import evaluate
    from cobnut.report.making import promise_text

    inspector = options.open_inspector(bundle, require_signature)
    with progress("judging") as bar:
        bar.update(bar.task_ids[0], total=sum(sample.split == "test" for sample in samples))
        evaluation = evaluate(inspector, samples, data, allow_leaks, lambda count: bar.advance(bar.task_ids[0], count))
    for line in evaluation.unreadable:
        remark(f"left out: {line}")
    if json_file is not None:
        write_json(evaluation.as_dict(), json_file)
    if report is not None:
        _write_report(evaluation, inspector, report)
    print_figures(evaluation)
    if evaluation.defects:
        out.print(f"sizes    {evaluation.smallest.sentence}", markup=False)
    if evaluation.manifest.recipe.calibration.method == "conformal":
        out.print(f"promise  {promise_text(evaluation.manifest)}", markup=False)
    for name, place in (("figures", json_file), ("report", report)):
        if place is not None:
            out.print(f"{name:<8} {place}", markup=False)


def write_json(content: dict[str, Any], path: Path) -> None:
    """Write figures for machines, whole or not at all."""
    import json

    from cobnut.files import write_whole

    with write_whole(path) as partial:
        partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _write_report(evaluation: "Evaluation", inspector: "Inspector", path: Path) -> None:
    from cobnut.errors import require_extra

    require_extra("jinja2", "report", "the report")
    from cobnut.report.html import write_report

    with progress("drawing the report"):
        write_report(evaluation, inspector, path)
