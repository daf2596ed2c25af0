"""A study as Markdown, to paste into notes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cobnut.evaluation.standing import Contest, Results
from cobnut.files import write_whole
from cobnut.report.study_rows import HEADINGS, LOSS_HEADINGS, StudyRow, build_loss_rows, build_rows
from cobnut.report.verdicts import contest_verdict
from cobnut.report.words import count


def write_notes(results: Results, path: Path) -> None:
    """Write verdicts and tables of a study as Markdown, whole or not at all."""
    with write_whole(path) as partial:
        partial.write_bytes(("\n".join(_lines(results)) + "\n").encode("utf-8", errors="replace"))


def _lines(results: Results) -> Iterator[str]:
    for contest in results.contests:
        yield f"# {_plain(contest.category)}"
        yield ""
        images = f"{count(contest.good, 'good image')}, {count(contest.defective, 'defective image')}"
        yield f"{images}; means over seeds, 95 % intervals over seeds and images (PRO: lowest and highest seed)."
        yield ""
        for sentence in contest_verdict(contest):
            yield f"- {_plain(sentence)}"
        yield ""
        yield from _table(["Recipe", *HEADINGS.values()], build_rows(contest))
        yield from _table(["Best epoch", *LOSS_HEADINGS.values(), "epochs"], build_loss_rows(contest))
        yield from _pairs(contest)
    for each in results.failures:
        yield f"- failed: {_plain(f'{each.category}, {each.recipe}, seed {each.seed}: {each.reason}')}"
    yield ""
    yield f"Made with `{results.command}`"


def _table(headings: Sequence[str], rows: Sequence[StudyRow]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|---|{'---:|' * (len(headings) - 1)}"
    for row in rows:
        cells = [f"{each.text} ({each.interval})" if each.interval else each.text for each in row.entries]
        name = f"{row.name} ({row.remark})" if row.remark else row.name
        yield f"| {' | '.join(map(_plain, [name, *cells]))} |"
    yield ""


def _pairs(contest: Contest) -> Iterator[str]:
    if not contest.comparisons:
        return
    yield "| Pair | AUROC difference | p (Holm) | accuracy difference | p (Holm) |"
    yield "|---|---:|---:|---:|---:|"
    for each in contest.comparisons:
        cells = [
            text
            for difference in (each.auroc, each.accuracy)
            for text in (
                f"{difference.value:+.3f} ({difference.interval[0]:+.3f} to {difference.interval[1]:+.3f})",
                f"{difference.adjusted:.3f}{' *' if difference.is_significant else ''}",
            )
        ]
        yield f"| {each.first} − {each.second} | {' | '.join(cells)} |"
    yield ""


def _plain(text: str) -> str:
    """Text that no Markdown table takes for its own."""
    return " ".join(text.replace("|", "\\|").split("\n"))
