"""The program itself: its verbs, and how a mistake is told in one line with exit code 2."""

import errno
import os
import re
import sys
from typing import Annotated, Any

import typer

import cobnut
from cobnut.cli import (
    auditing,
    batching,
    calibrating,
    data,
    drifting,
    evaluating,
    exporting,
    inspecting,
    recipes,
    signing,
    study,
    training,
    tuning,
)
from cobnut.cli.terminal import complain
from cobnut.errors import CobnutError

_INTERRUPTED = 130
_GOES_ON = {
    "train": "`cobnut train … --resume` goes on with a training",
    "study": "the same command goes on with the study where it was",
    "batch": "the same command goes on with the batch where it was",
    "tune": "the same command goes on with the tuning where it was",
}
# Typer brings a click of its own in newer versions: this is the UsageError of whichever it uses.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]

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
evaluating.register(app)
inspecting.register(app)
batching.register(app)
calibrating.register(app)
exporting.register(app)
drifting.register(app)
signing.register(app)
study.register(app)
tuning.register(app)
data.register(app)
auditing.register(app)
recipes.register(app)


def main() -> None:
    """Run the program; whatever the user can mend becomes one line on standard error and exit code 2."""
    try:
        code = app(_spread_settings(sys.argv[1:]), prog_name="cobnut", standalone_mode=False)
    except CobnutError as error:
        complain(str(error))
        code = 2
    except _UsageError as error:
        code = _complain_of_usage(error)
    except OSError as error:
        _complain_of_system(error)
        code = 2
    if code == _INTERRUPTED:
        verb = sys.argv[1] if len(sys.argv) > 1 else ""
        complain(f"interrupted; what was written is whole, and {_GOES_ON.get(verb, _GOES_ON['train'])}")
    sys.exit(code)


def _spread_settings(words: list[str]) -> list[str]:
    """``--set a=1 b=2`` as ``--set a=1 --set b=2``: every further key=value belongs to the --set before it."""
    spread: list[str] = []
    for place, word in enumerate(words):
        is_setting = re.fullmatch(r"[a-z_]+(\.[a-z_0-9]+)*=.*", word) is not None
        if is_setting and place > 1 and words[place - 1] != "--set" and spread[-2] == "--set":
            spread.append("--set")
        spread.append(word)
    return spread


def _complain_of_usage(error: Any) -> int:
    """A wrong option or command lists the valid ones; no arguments at all show the help."""
    command: Any = error.ctx.command if error.ctx else app
    path = error.ctx.command_path if error.ctx else "cobnut"
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return 2
    names: list[str] = []
    if hasattr(error, "option_name"):
        names = [parameter.opts[0] for parameter in command.params if parameter.opts[0].startswith("-")]
    elif "No such command" in error.format_message():
        names = list(command.commands)
    valid = f"; valid are {', '.join(names)}" if names else ""
    complain(f"{error.format_message().rstrip('.?')}{valid}; `{path} --help` tells more")
    return 2


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
