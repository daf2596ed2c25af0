"""`cobnut audit`: what would make a figure flatter, before anything is trained."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cobnut.cli import options
from cobnut.cli.terminal import check_target, out, progress, remark

if TYPE_CHECKING:
    from cobnut.records import Sample
    from cobnut.report.audit_page import Finding

_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command("audit")(audit)


def audit(
    data: options.Data = None,
    good: options.Good = None,
    defective: options.Defective = None,
    alpha: Annotated[
        float, typer.Option("--alpha", min=1e-6, max=0.5, help="The promise that the good images shall bear.")
    ] = 0.05,
    confidence: Annotated[float, typer.Option("--confidence", min=0.0, max=0.999, help="And its confidence.")] = 0.0,
    looks: Annotated[
        bool, typer.Option("--looks/--no-looks", help="Also find images that look other than they are called (slower).")
    ] = True,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.html", help="Show the images of each finding.", show_default=False),
    ] = None,
) -> None:
    """Find what would make figures flatter or promises fail: leaks, twins, wrong labels, odd photographs.

    It looks at whole images, as squares, and counts calibration images as a training without folds has them. Nothing is
    changed. Exit code 0: nothing was found, 3: something to look at.

    Example: cobnut audit photos/hazelnut --alpha 0.01 --report audit.html
    """
    from cobnut.data.layouts import read_dataset
    from cobnut.errors import require_extra

    check_target(report, "--report")
    if report is not None:
        require_extra("jinja2", "report", "the report")
    samples = read_dataset(data, good, defective)
    findings = [*_first_looks(samples, alpha, confidence), *(_suspects(samples) if looks else ())]
    for each in findings:
        out.print(each.text, markup=False)
        for text, row in each.rows[:_SHOWN]:
            out.print(f"  {text}: {'  '.join(str(sample.path) for sample in row)}", markup=False)
        if len(each.rows) > _SHOWN:
            out.print(f"  and {len(each.rows) - _SHOWN} more")
        out.print(f"  → {each.advice}", style="dim", markup=False)
    if not findings:
        out.print(f"{len(samples)} images: nothing was found that would make a figure flatter")
    if report is not None:
        _write_page(findings, samples, options.name_of(data, good), report)
    if findings:
        raise typer.Exit(3)


def _first_looks(samples: "list[Sample]", alpha: float, confidence: float) -> "Iterator[Finding]":
    from cobnut.data.photographs import take_photographs
    from cobnut.data.split import content_hashes, split_samples
    from cobnut.data.twins import find_twins
    from cobnut.options import SplitOptions
    from cobnut.report.audit_page import photograph_findings, promise_finding, twin_findings

    with progress("comparing images") as bar:
        bar.update(bar.task_ids[0], total=2 * len(samples))
        twins = find_twins(samples, lambda count: bar.advance(bar.task_ids[0], count))
        photographs = take_photographs(samples, lambda count: bar.advance(bar.task_ids[0], count))
    yield from twin_findings(twins)
    yield from photograph_findings(photographs)
    hashes = content_hashes(samples)
    dealt = split_samples(samples, SplitOptions.model_validate({}), 0, hashes)
    calibrating = {hashes[sample.path] for sample in dealt if sample.split == "calibration"}
    yield from promise_finding(len(calibrating), alpha, confidence)
    unread = len(samples) - len(photographs)
    if unread:
        remark(f"{unread} images could not be read and were left out; `cobnut data` tells why")


def _suspects(samples: "list[Sample]") -> "Iterator[Finding]":
    from cobnut.errors import CobnutError, require_extra
    from cobnut.report.audit_page import suspect_findings

    try:
        require_extra("torch", "train", "looking for wrong labels")
    except CobnutError as error:
        remark(f"not looked for wrong labels: {error}")
        return
    with progress("loading the training software"):
        from cobnut.training.suspects import find_suspects
    with progress("judging images by the others") as bar:
        bar.update(bar.task_ids[0], total=len(samples))
        suspects = find_suspects(samples, lambda count: bar.advance(bar.task_ids[0], count))
    yield from suspect_findings([(each.sample, each.deviation) for each in suspects])


def _write_page(findings: "list[Finding]", samples: "list[Sample]", name: str, report: Path) -> None:
    from cobnut.report.audit_page import write_audit_page

    defective = sum(sample.is_defective for sample in samples)
    with progress("drawing the report"):
        write_audit_page(findings, name, f"{len(samples) - defective} good, {defective} defective", report)
    out.print(f"report   {report}", markup=False)
