"""Outcomes drawn together."""

from pathlib import Path

import pytest

from cobnut.errors import DataError
from cobnut.evaluation.outcome import read_outcome, write_outcome
from cobnut.evaluation.standing import build_contests
from outcomes import make_outcome


def test_an_outcome_comes_back_as_it_was_written_wherever_its_folder_is_moved(tmp_path: Path) -> None:
    outcome = make_outcome(tmp_path / "a")
    write_outcome(outcome, tmp_path / "a" / "figures.json")
    assert read_outcome(tmp_path / "a" / "figures.json") == outcome
    (tmp_path / "a").rename(tmp_path / "b")
    assert read_outcome(tmp_path / "b" / "figures.json").bundle == tmp_path / "b" / "cae.cobnut"


def test_a_damaged_outcome_is_told_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "figures.json").write_text('{"category": ')
    with pytest.raises(DataError, match="figures.json: is damaged .*; remove the file"):
        read_outcome(tmp_path / "figures.json")


def test_recipes_are_ranked_and_their_seeds_averaged(tmp_path: Path) -> None:
    outcomes = [
        make_outcome(tmp_path, name, skill, seed) for name, skill in (("b", 0.2), ("aa", 2.5)) for seed in (1, 0)
    ]
    (contest,) = build_contests(outcomes)
    assert [each.recipe for each in contest.standings] == ["aa", "b"]
    best = contest.standings[0]
    assert [each.recipe.seed for each in best.outcomes] == [0, 1]
    areas = [each.figures["image_auroc"] or 0 for each in best.outcomes]
    assert best.figures["image_auroc"] == pytest.approx(sum(areas) / 2)
    assert best.intervals["pro"] == (0.5, 0.5)
    assert best.figures["pixel_auroc"] is None
    assert contest.between("b", "aa").auroc.is_significant
    assert (contest.good, contest.defective, contest.left_out) == (12, 24, 0)


def test_only_images_that_all_judged_are_compared(tmp_path: Path) -> None:
    whole, partial = make_outcome(tmp_path, "whole"), make_outcome(tmp_path, "partial")
    partial = partial.model_copy(update={"images": partial.images[5:]})
    (contest,) = build_contests([whole, partial])
    assert len(contest.contents) == 31
    assert contest.left_out == 5


def test_each_category_is_a_contest_of_its_own(tmp_path: Path) -> None:
    outcomes = [make_outcome(tmp_path, category=name) for name in ("nuts", "bolts")]
    contests = build_contests(outcomes)
    assert [each.category for each in contests] == ["bolts", "nuts"]
    assert contests[0].comparisons == []
