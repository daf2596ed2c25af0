"""`cobnut drift`: whether the parts of a log still are what the promise was made for, and as few rejected."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cobnut.cli import options
from cobnut.cli.terminal import check_target, out, progress, remark

if TYPE_CHECKING:
    from cobnut.runtime.bundle import Manifest

DRIFT, REJECTIONS = 4, 5


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command("drift")(drift)


def drift(
    bundle: options.Bundle,
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="What `cobnut inspect --log` wrote, or rows of --out, in order.")
    ],
    level: Annotated[
        float, typer.Option("--level", min=1e-9, max=0.5, help="The chance that an alarm is ever false, at most.")
    ] = 0.01,
    defect_rate: options.DefectRate = 0.0,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.html", help="Draw it, as one HTML file.", show_default=False),
    ] = None,
    require_signature: options.RequireSignature = None,
) -> None:
    """Tell whether parts, or the photographs of them, have drifted from what the detector was calibrated for.

    And whether more of them are rejected than was promised, which defects may explain as well as drift. Exit code 0:
    nothing is proved, 4: drift is, 5: too many rejections are, and no drift.

    Example: cobnut drift hazelnut.cobnut line1.jsonl --report drift.html
    """
    from cobnut.errors import require_extra
    from cobnut.runtime.drift import watch_log
    from cobnut.runtime.logs import read_log

    check_target(report, "--report")
    if report is not None:
        require_extra("jinja2", "report", "the report")
    manifest = options.open_inspector(bundle, require_signature).manifest
    told = watch_log(manifest, read_log(log), level, defect_rate)
    for sentence in told.sentences():
        out.print(sentence, markup=False)
    if report is not None:
        with progress("drawing the report"):
            from cobnut.report.drift_page import write_drift_page

            write_drift_page(told, manifest, log.name, report)
        out.print(f"report   {report}", markup=False)
    if told.alarm is not None:
        raise typer.Exit(DRIFT)
    if told.rejection_alarm is not None:
        raise typer.Exit(REJECTIONS)


def remark_on_drift(manifest: "Manifest", log: Path, defect_rate: float) -> None:
    """Say after an inspection when its log proves a drift, or too many rejections."""
    from cobnut.errors import DataError
    from cobnut.runtime.drift import watch_on

    try:
        told = watch_on(manifest, log, defect_rate=defect_rate)
    except DataError:  # not one image could be judged; their rows say why
        return
    if told.alarm is not None or told.rejection_alarm is not None:
        for sentence in told.sentences():
            remark(sentence)
        remark(f"`cobnut drift BUNDLE {log} --report drift.html` draws it")
