"""The findings of an audit in words, and as one page with the images that they speak of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import cobnut
from cobnut.calibration.conformal import images_needed, least_promise, round_up
from cobnut.data.images import read_photograph
from cobnut.data.photographs import Photograph, groups_apart, odd_ones
from cobnut.data.twins import Twins
from cobnut.errors import ImageError
from cobnut.records import Sample
from cobnut.report import words
from cobnut.report.gallery import common_folder, embed, short_name
from cobnut.report.page import render_page, write_page

MOST_SHOWN = 24
SIDE = 256


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is worth a look: what, what to do, and the images, with those in a row that belong together."""

    text: str
    advice: str
    rows: list[tuple[str, list[Sample]]] = field(default_factory=list)


def twin_findings(twins: Sequence[Twins]) -> Iterator[Finding]:
    """What pairs of like images mean."""
    contradicting = [each for each in twins if each.contradicts and each.likeness != "alike"]
    crossing = [each for each in twins if each.crosses and not each.contradicts]
    within = [each for each in twins if not each.crosses and not each.contradicts]
    kinds = (
        (contradicting, "is called good here and defective there", "Look at them: one of the two labels is wrong."),
        (
            crossing,
            "stands in two splits, so that the test flatters",
            "Take one of each out of the test, or both out of training.",
        ),
        (
            within,
            "was photographed twice within a split",
            "They do no harm to a test, but promises and intervals take them for two parts.",
        ),
    )
    for pairs, what, advice in kinds:
        if pairs:
            counts = [f"{len(each)} {kind if len(each) == 1 else plural}" for kind, plural, each in _by_likeness(pairs)]
            text = f"{words.count(len(pairs), 'pair')} of images: one part, it seems, {what} ({', '.join(counts)})."
            yield Finding(text, advice, [(each.likeness, [each.first, each.second]) for each in pairs])


def photograph_findings(photographs: Sequence[Photograph]) -> Iterator[Finding]:
    """What the camera alone gives away."""
    apart = list(groups_apart(photographs))
    if apart:
        yield Finding(
            " ".join(apart),
            "A detector could tell them apart by the photograph instead of the part, and a test could flatter or fail "
            "for it: take all images alike, or mistrust figures of this test.",
        )
    odd = list(odd_ones(photographs))
    if odd:
        yield Finding(
            f"{words.count(len(odd), 'good image')} taken unlike the other good ones.",
            "Take them out if the camera was set wrongly; leave them if the line produces such photographs.",
            [(text, [each.sample]) for each, text in odd],
        )


def promise_finding(images: int, alpha: float, confidence: float) -> Iterator[Finding]:
    """Whether so many images, which would calibrate, suffice for a promise."""
    needed = images_needed(alpha, confidence)
    if images < needed:
        least = round_up(least_promise(max(images, 1), confidence))
        yield Finding(
            f"{words.count(images, 'good image')} would calibrate; to promise alpha {alpha:g}"
            f"{f' with confidence {confidence:g}' if confidence else ''} takes {needed}.",
            f"Add {words.count(needed - images, 'good image')} for calibration (`cobnut calibrate`), or promise "
            f"alpha {least:g}.",
        )


def suspect_findings(suspects: Sequence[tuple[Sample, float]]) -> Iterator[Finding]:
    """What images that look other than they are called mean; each with its deviation from good ones."""
    good = [(f"{value:.1f} deviations above", [sample]) for sample, value in suspects if not sample.is_defective]
    if good:
        yield Finding(
            words.count(len(good), "good image that looks defective", "good images that look defective")
            + " beside the others.",
            "Look at them: a defect among the good images teaches the detector to pass it.",
            good,
        )
    defective = [(f"{-value:.1f} deviations below", [sample]) for sample, value in suspects if sample.is_defective]
    if defective:
        yield Finding(
            words.count(len(defective), "defective image that looks", "defective images that look")
            + " better than half of the good ones.",
            "Look at them: a wrong label, a defect out of sight, or one too small for the first look of an audit.",
            defective,
        )


def write_audit_page(findings: Sequence[Finding], name: str, counts: str, path: Path) -> None:
    """Write the findings with their images to ``path``, whole or not at all."""
    samples = [sample for each in findings for _, row in each.rows for sample in row]
    root = common_folder(sample.path for sample in samples) if samples else Path()
    values = {
        "title": name,
        "version": cobnut.__version__,
        "counts": counts,
        "written_on": words.day(date.today()),
        "findings": [
            {
                "text": each.text,
                "advice": each.advice,
                "more": max(0, len(each.rows) - MOST_SHOWN),
                "rows": [
                    (remark, [(short_name(s.path, root), _split_of(s), _picture(s)) for s in row])
                    for remark, row in each.rows[:MOST_SHOWN]
                ],
            }
            for each in findings
        ],
    }
    write_page(render_page("audit.html", values, ["audit.css"]), path)


def _by_likeness(twins: Sequence[Twins]) -> Iterator[tuple[str, str, list[Twins]]]:
    for kind, plural in (("copy", "copies"), ("near copy", "near copies"), ("alike", "alike")):
        members = [each for each in twins if each.likeness == kind]
        if members:
            yield kind, plural, members


def _split_of(sample: Sample) -> str:
    return f"{sample.split}, {sample.defect_type}"


def _picture(sample: Sample) -> str:
    try:
        return embed(read_photograph(sample.path, SIDE))
    except ImageError:
        return ""
