"""The program itself: its verbs, and how a mistake is told in one line with exit code 2."""

import errno
import os
import sys
from typing import Annotated

import typer

import cobnut
from cobnut.cli import data, inspecting, recipes, training
from cobnut.cli.terminal import complain
from cobnut.errors import CobnutError

app = typer.Typer(
    name="cobnut",
    help="Learn from photographs of good products only; find, show and prove the defective ones.\n\n"
    "Start with `cobnut demo`; then `cobnut train DATA --out BUNDLE` on your own images.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cobnut {cobnut.__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


training.register(app)
inspecting.register(app)
data.register(app)
recipes.register(app)


def main() -> None:
    """Run the program; a :class:`CobnutError` or a failing disk becomes one line on standard error and exit code 2."""
    try:
        app(prog_name="cobnut")
    except CobnutError as error:
        complain(str(error))
        sys.exit(2)
    except OSError as error:
        _complain_of_system(error)
        sys.exit(2)
    except KeyboardInterrupt:
        complain("interrupted; what was written is whole, and `cobnut train --resume` goes on with a training")
        sys.exit(130)


def _complain_of_system(error: OSError) -> None:
    if error.errno == errno.EPIPE:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    place = f"{error.filename}: " if error.filename else ""
    cures = {
        errno.ENOSPC: "free some space (the cache of images is $COBNUT_CACHE) and run the same command again",
        errno.EACCES: "choose a place that you may write to, or ask for the permission",
        errno.EROFS: "choose a place that can be written to",
    }
    complain(
        f"{place}{(error.strerror or str(error)).lower()}; {cures.get(error.errno or 0, 'mend this and try again')}"
    )
