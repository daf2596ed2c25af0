"""The plots of a study hold what they are told, in the page's own colours."""

from pathlib import Path

import pytest

from cobnut.evaluation.standing import Contest, build_contests
from cobnut.report.plots.study import plot_losses, plot_ranking, plot_speed
from outcomes import make_outcome


@pytest.fixture
def contest(tmp_path: Path) -> Contest:
    names = ["a<b>", "second", "third", "fourth", "fifth"]
    return build_contests([make_outcome(tmp_path, "cae", seed=0).model_copy(update={"recipe": recipe}) for recipe in [
        make_outcome(tmp_path, name).recipe for name in names
    ]])[0]  # fmt: skip


def test_every_recipe_is_named_once_in_every_plot(contest: Contest) -> None:
    level = {"image_auroc": {"second"}, "accuracy": {"third"}}
    for svg in (
        plot_ranking("ranking", contest.standings, level, study_accuracy=0.73),
        plot_losses("losses", contest.standings),
        plot_speed("speed", contest.standings),
    ):
        assert svg.count("a&lt;b&gt;") == 1
        assert svg.count("fifth") == 1
        assert "#0101" not in svg, "colours are the page's"


def test_the_studys_line_is_drawn_only_where_it_belongs(contest: Contest) -> None:
    level: dict[str, set[str]] = {"image_auroc": set(), "accuracy": set()}
    assert "the study" in plot_ranking("ranking", contest.standings, level, study_accuracy=0.73)
    assert "the study" not in plot_ranking("ranking", contest.standings, level)


def test_a_detector_that_learned_without_epochs_has_an_empty_panel(tmp_path: Path) -> None:
    silent = make_outcome(tmp_path).model_copy(update={"history": [], "best_epoch": 0})
    (contest,) = build_contests([silent])
    assert "cae" in plot_losses("losses", contest.standings)
