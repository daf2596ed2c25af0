from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobnut.evaluation.evaluate import Judged
from cobnut.options import ImageOptions
from cobnut.records import Sample
from cobnut.report import gallery

THRESHOLD = 0.02
SCORES = st.lists(st.tuples(st.floats(0, 10), st.sampled_from(["good", "cut", "hole"])), max_size=60)


def judged_of(drawn: list[tuple[float, str]]) -> list[Judged]:
    return [
        Judged(
            Sample(Path(f"/data/{n}.png"), "test", "good" if kind == "good" else "defective", kind),
            score,
            score > THRESHOLD,
        )
        for n, (score, kind) in enumerate(drawn)
    ]


def wrongness(each: Judged) -> float:
    low, high = sorted((max(each.score, 1e-12), THRESHOLD))
    return high / low


@given(SCORES)
def test_mistakes_are_all_the_wrong_ones_the_worst_first(drawn):
    judged = judged_of(drawn)
    mistakes = gallery.order_mistakes(judged, THRESHOLD)
    assert {each.sample.path for each in mistakes} == {each.sample.path for each in judged if not each.is_right}
    ratios = [wrongness(each) for each in mistakes]
    assert all(a >= b * (1 - 1e-9) for a, b in pairwise(ratios))


@given(SCORES)
def test_right_ones_are_right_and_shown_once(drawn):
    hard, typical = gallery.choose_right(judged_of(drawn), THRESHOLD)
    shown = [each.sample.path for each in hard + typical]
    assert len(set(shown)) == len(shown) <= gallery.MOST_HARD + gallery.MOST_TYPICAL
    assert all(each.is_right for each in hard + typical)
    assert len({each.sample.defect_type for each in typical}) == len(typical)


def test_groups_are_capped(draw, judge):
    judged = [draw(f"{n}.png", 0.001 + n / 10000, "cut", size=(8, 8)) for n in range(30)]
    judged += [draw(f"g{n}.png", 0.01, size=(8, 8)) for n in range(9)]
    groups = gallery.build_groups(judged, judge, THRESHOLD, ImageOptions(size=16))
    assert [len(group.cards) for group in groups] == [24, 4, 1]
    assert groups[0].remark == "The 24 worst of 30, the worst first."
    assert groups[0].cards[0].name == "0.png"


def test_card_tells_truth_and_decision(draw, judge):
    judged = [draw("good/a.png", 0.03), draw("cut/a.png", 0.005, "cut", has_mask=True)]
    missed, alarm = gallery.build_groups(judged, judge, THRESHOLD, ImageOptions(size=16))[0].cards
    assert (missed.outcome, alarm.outcome) == ("missed", "false alarm")
    assert (missed.name, missed.ratio, alarm.ratio) == ("cut/a.png", "0.25", "1.50")
    assert [shot.heading for shot in missed.shots] == [
        "Image",
        "Truth",
        "Reconstruction",
        "Anomaly map",
        "Marked",
    ]
    assert missed.shots[1].url.startswith("data:image/jpeg;base64,")
    assert (alarm.shots[1].url, alarm.shots[1].words) == ("", "good")


def test_mask_that_cannot_be_read(draw, judge):
    judged = [draw("cut/a.png", 0.005, "cut", has_mask=True)]
    judged[0].sample.mask_path.write_bytes(b"no image")
    card = gallery.build_groups(judged, judge, THRESHOLD, ImageOptions(size=16))[0].cards[0]
    assert card.shots[1].words == "mask cannot be read"


@pytest.mark.parametrize(("name", "expected"), [("a/b.png", "a/b.png"), ("a\n\x00b.png", "a��b.png")])
def test_short_name(name, expected):
    assert gallery.short_name(Path("/data") / name, Path("/data")) == expected
