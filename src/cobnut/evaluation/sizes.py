"""From which size on defects are found reliably, at the deployed threshold and no other.

The claim at an area A is «of defects at least as large as A, at least 90 % are found». Such claims are tested from the
largest area down, each by the exact one-sided 95 % bound of found / tested so far (Clopper & Pearson 1934), and the
walk ends with the first that fails. The order, the first test and the stops follow from areas and counts, never from
what was found. So this is a fixed-sequence procedure (Maurer, Hothorn & Lehmacher 1995; Westfall & Krishen 2001): to
claim anything false, the first false claim on the way must pass its own test. All that pass therefore hold together
with 95 % confidence, no level is shared out among them, and any of them may be chosen.

Each image is one trial, independent of the others; all its defects together are its area. Defects of different sizes
are found with different chances. The bound holds nevertheless: a count that is a whole image or more above its mean is
no likelier with unequal chances than with equal ones of the same mean (Hoeffding 1956, theorem 4).
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count, takewhile
from operator import neg
from typing import Any

from cobnut.evaluation.intervals import lower_bound

WANTED, CONFIDENCE = 0.9, 0.95
# The first test takes this share of the defects, and where they suffice so many that it forgives a miss: one large
# defect that is missed for another reason than its size shall not end the walk at its start.
FIRST_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Defect:
    """A defective image whose defect is drawn: marked pixels of the photograph, their share of it, and the answer."""

    pixels: int
    share: float
    score: float
    is_found: bool


@dataclass(frozen=True, slots=True)
class SmallestArea:
    """The smallest marked area from which on defects are found reliably; ``None`` where none is, with the reason.

    With 95 % confidence at least 90 % of the defects are found that are marked by ``pixels`` or more, if their sizes
    are distributed as the ``tested`` ones'; ``found`` of these were. Promised is that mean and no more: neither every
    size or defect type by itself, nor parts, photographs or persons who draw masks that are unlike the test's. Of equal
    areas, all or none are tested. ``share`` is the area's share of the image, ``None`` where images differ in size.
    """

    pixels: int | None
    share: float | None
    found: int
    tested: int
    drawn: int
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """The figures for machines."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {**named, "wanted": WANTED, "confidence": CONFIDENCE}


def smallest_area(defects: Sequence[Defect]) -> SmallestArea:
    """Walk from the largest defect down; see :class:`SmallestArea` for what the outcome promises.

    Of the claims that pass, the one of the smallest area is chosen at which the 29 smallest defects were found at the
    wanted rate as well, so that large defects cannot carry small ones that are missed.
    """
    ordered = sorted(defects, key=lambda each: -each.pixels)
    passed = []
    tested = 0
    for tested in _stops([each.pixels for each in ordered]):
        if lower_bound(_found(ordered[:tested]), tested, CONFIDENCE) < WANTED:
            break
        passed.append(tested)
    for stop in reversed(passed):
        if _found_of_smallest(ordered[:stop]) >= WANTED * fewest_defects(0):
            return _reached(ordered, stop)
    tested = passed[0] if passed else tested
    found = _found(ordered[:tested])
    return SmallestArea(None, None, found, tested, len(ordered), f"No size is found reliably: {_why(ordered, tested)}.")


@cache
def fewest_defects(missed: int) -> int:
    """The fewest defects that prove the wanted rate although so many are missed: 29 with none, 46 with one, …"""
    tested = fewest_defects(missed - 1) + 1 if missed else 1
    while lower_bound(tested - missed, tested, CONFIDENCE) < WANTED:
        tested += 1
    return tested


def _stops(areas: Sequence[int]) -> list[int]:
    """After how many areas, from the largest down, is tested: wherever one more miss is forgiven, and at the end."""
    fewest = list(takewhile(lambda tested: tested <= len(areas), map(fewest_defects, count())))
    first = max(FIRST_SHARE * len(areas), *fewest[:2], 0)
    stops = {bisect_right(areas, -areas[tested - 1], key=neg) for tested in fewest if tested >= first}
    return sorted(stops | {len(areas)}) if fewest else []


def _found_of_smallest(ordered: Sequence[Defect]) -> float:
    """How many of the last 29 were found; where equal areas are parted there, they count by their share that was."""
    least = fewest_defects(0)
    border = ordered[-least].pixels
    smaller = [each for each in ordered if each.pixels < border]
    equal = [each for each in ordered if each.pixels == border]
    return _found(smaller) + (least - len(smaller)) * _found(equal) / len(equal)


def _found(defects: Sequence[Defect]) -> int:
    return sum(each.is_found for each in defects)


def _reached(ordered: Sequence[Defect], tested: int) -> SmallestArea:
    found, smallest = _found(ordered[:tested]), ordered[tested - 1]
    sizes = {round(each.pixels / each.share) for each in ordered}
    share = smallest.share if len(sizes) == 1 else None
    told = f" ({100 * share:.2g} % of the image)" if share is not None else ""
    sentence = (
        f"Defects are found reliably from {_pixels(smallest.pixels)} on{told}: of the {tested:,} that are so "
        f"large {found:,} were found, so with {100 * CONFIDENCE:g} % confidence at least {100 * WANTED:g} % of such "
        "defects are."
    )
    return SmallestArea(smallest.pixels, share, found, tested, len(ordered), sentence)


def _pixels(number: int) -> str:
    return f"{number:,} marked pixel{'' if number == 1 else 's'}"


def _why(ordered: Sequence[Defect], tested: int) -> str:
    """Why no claim passed, where ``tested`` is what the first test took, 0 where there was none."""
    least = fewest_defects(0)
    if not tested:
        return (
            f"to prove {100 * WANTED:g} % takes {least} defects that are drawn, even if all are found, and this test "
            f"has {len(ordered)}"
        )
    found = _found(ordered[:tested])
    proved = lower_bound(found, tested, CONFIDENCE)
    told = f"of the {tested:,} largest defects {found:,} were found"
    if proved >= WANTED:
        return f"{told}, but of the {least} smallest among these only {_found_of_smallest(ordered[:tested]):.3g}"
    return (
        f"{told}, which proves with {100 * CONFIDENCE:g} % confidence no more than {math.floor(100 * proved)} % where "
        f"{100 * WANTED:g} % is wanted"
    )
