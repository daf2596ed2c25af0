"""The tables of a study on the terminal."""

from typing import TYPE_CHECKING

from rich.markup import escape

from cobnut.cli.terminal import out

if TYPE_CHECKING:
    from rich.table import Table

    from cobnut.evaluation.standing import Contest, Results

WIDE = 120
_LEFT_OUT_WHERE_NARROW = ("parameters", "ms_per_image")


def print_standings(results: "Results") -> None:
    """Print a table for each category, and its verdict."""
    from cobnut.report.verdicts import contest_verdict

    for contest in results.contests:
        out.print(_table(contest, is_wide=out.width >= WIDE))
        for sentence in contest_verdict(contest):
            out.print(sentence, markup=False)


def _table(contest: "Contest", is_wide: bool) -> "Table":
    """The figures; a narrow terminal gets fewer of them, and no intervals."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from cobnut.report.study_rows import HEADINGS, build_rows
    from cobnut.report.words import count

    counts = f"{count(contest.good, 'good image')}, {count(contest.defective, 'defective image')}"
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title=escape(f"{contest.category}: {counts}"))
    table.title_justify = "left"
    table.add_column("recipe", no_wrap=True)
    kept = [place for place, name in enumerate(HEADINGS) if is_wide or name not in _LEFT_OUT_WHERE_NARROW]
    for place in kept:
        table.add_column(list(HEADINGS.values())[place], justify="right", no_wrap=True)
    for row in build_rows(contest):
        entries = [row.entries[place] for place in kept]
        name = f"{row.name}\n{row.remark}" if row.remark and is_wide else row.name
        cells = [f"{each.text}\n{each.interval}" if each.interval and is_wide else each.text for each in entries]
        table.add_row(escape(name), *cells)
    return table
