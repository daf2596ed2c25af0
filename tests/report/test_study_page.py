"""The page of a study: self-contained, complete, and plain about what is missing."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cobnut.errors import BundleError
from cobnut.evaluation.outcome import Failure
from cobnut.evaluation.standing import Results, build_contests
from cobnut.report.gallery import Inspects
from cobnut.report.learning import choose_epochs
from cobnut.report.panels import build_scenes, choose_images
from cobnut.report.study_notes import write_notes
from cobnut.report.study_page import render_study, write_study_page
from cobnut.report.study_rows import build_loss_rows, build_rows, figure_text
from cobnut.report.verdicts import contest_verdict, difference_text, not_behind
from outcomes import leave_pictures, make_outcome


def outcomes_of(root: Path, category: str = "parts") -> list:
    skills = {"strong": 3.0, "alike": 2.9, "weakest": 0.1}
    return [make_outcome(root, name, skill, seed, category) for name, skill in skills.items() for seed in (0, 1)]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    outcomes = outcomes_of(tmp_path) + outcomes_of(tmp_path, "hazelnut")
    leave_pictures(outcomes[0])
    failure = Failure(category="parts", recipe="broken", seed=1, reason="training diverged <at once>")
    return Results(build_contests(outcomes), [failure], "cobnut study parts --out night")


def text_of(html: str) -> str:
    body = re.sub(r"<(style|script)>.*?</\1>|<svg.*?</svg>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", body))


def test_the_page_holds_all_it_shows_and_fetches_nothing(results: Results, judge: Inspects) -> None:
    html = render_study(results, lambda _: judge)
    references = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert all(each.startswith(("data:image/", "#")) for each in references)
    assert not re.search(r"url\((?!#)", html)
    ids = re.findall(r'\sid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert html.count("<section") == html.count("</section>")


def test_verdict_table_pictures_and_failures_are_told(results: Results, judge: Inspects) -> None:
    html = render_study(results, lambda _: judge)
    text = text_of(html)
    assert "3 recipes on hazelnut and parts" in text
    assert "By AUROC strong is best" in text or "By AUROC alike is best" in text
    assert "1 training failed" in text
    assert "training diverged &lt;at once&gt;" in html
    assert text.count("the study") >= 2, "its row of figures and its row of losses, for the hazelnuts alone"
    assert "cobnut study parts --out night" in text
    assert html.count("Anomaly map of") == 2 * 3 * 3, "categories × images × recipes"
    assert "originals; epochs 1, 3" in text
    assert html.count('<svg class="plot"') == 6


def test_a_recipe_that_rebuilds_no_pixels_gets_a_dash(results: Results, blind_judge: Inspects) -> None:
    html = render_study(results, lambda _: blind_judge)
    assert "<p>—</p>" in html
    assert "Reconstruction of" not in html


def test_what_is_gone_says_so_in_its_place(results: Results, judge: Inspects) -> None:
    def open_none(bundle: Path) -> Inspects:
        raise BundleError(f"{bundle}: no such bundle")

    contest = results.contests[1]
    assert build_scenes(contest, open_none)[0].panels[0].shots[0].words == "the detector cannot be read any more"
    image = choose_images(contest)[0]
    image.path.unlink()
    scene = build_scenes(contest, lambda _: judge)[0]
    assert scene.shots[0].words == "cannot be read any more"
    assert scene.panels[0].shots[0].words == "cannot be read any more"


def test_the_shown_images_are_chosen_by_rule(results: Results) -> None:
    chosen = choose_images(results.contests[0])
    assert [each.defect_type for each in chosen] == ["cut", "hole", "good"]
    assert [each.content for each in chosen] == [f"{number:064x}" for number in (0, 1, 2)]


def test_verdicts_say_what_is_more_than_chance(results: Results, tmp_path: Path) -> None:
    contest = results.contests[0]
    best = contest.standings[0].recipe
    other = {"strong": "alike", "alike": "strong"}[best]
    assert contest_verdict(contest)[0].endswith(
        f"It is significantly better than weakest; it cannot be told apart from {other}."
    )
    assert not_behind(contest, "auroc") == {"strong", "alike"}
    # the best by all that it judged may be behind on what all others have judged as well
    turned = [replace(each, first=each.second, second=each.first) for each in contest.comparisons]
    assert "weakest came out significantly ahead of it" in contest_verdict(replace(contest, comparisons=turned))[0]
    assert not_behind(replace(contest, comparisons=turned), "auroc") == {"strong", "alike", "weakest"}
    alone = build_contests([make_outcome(tmp_path)])[0]
    assert "there is no other recipe" in contest_verdict(alone)[0]
    assert not_behind(alone, "auroc") == {"cae"}
    many = build_contests([make_outcome(tmp_path, name) for name in ("a", "bb", "ccc", "dddd")])[0]
    assert contest_verdict(many)[0].endswith("It cannot be told apart from any of the 3 others.")


def test_the_study_stands_among_the_hazelnuts_only(results: Results) -> None:
    hazelnut, parts = results.contests
    assert [row.is_of_the_study for row in build_rows(hazelnut)] == [False, False, False, True]
    assert [entry.text for entry in build_rows(hazelnut)[-1].entries[1:5]] == [
        "73\u202f%", "0.76", "21\u202f%", "31\u202f%"
    ]  # fmt: skip
    assert [entry.text for entry in build_loss_rows(hazelnut)[-1].entries] == [
        "0.0429", "0.000789", "0.0402", "0.000744", "509"
    ]  # fmt: skip
    assert not any(row.is_of_the_study for row in build_rows(parts) + build_loss_rows(parts))


def test_a_recipe_with_fewer_seeds_says_so(tmp_path: Path) -> None:
    outcomes = [make_outcome(tmp_path, "a", seed=0), make_outcome(tmp_path, "a", seed=1), make_outcome(tmp_path, "b")]
    rows = {row.name: row.remark for row in build_rows(build_contests(outcomes)[0])}
    assert rows == {"a": "", "b": "1 seed of 2"}


def test_numbers_are_written_as_a_person_does(results: Results) -> None:
    assert figure_text("parameters", 2_220_000) == "2.22\u202fM"
    assert figure_text("parameters", 21_100) == "21.1\u202fk"
    assert figure_text("train_seconds", 75.0) == "75\u202fs"
    assert figure_text("pro", None) == "—"
    difference = results.contests[0].between("strong", "weakest").auroc
    assert difference_text(difference, first_is_row=True)[0] != difference_text(difference, first_is_row=False)[0]


def test_epochs_shown_are_the_first_a_middle_one_and_the_last_not_after_the_best() -> None:
    assert choose_epochs([1, 10, 20, 30, 40], 33) == [1, 20, 30]
    assert choose_epochs([1], 1) == [1]
    assert choose_epochs([10, 20], 4) == [10]
    assert choose_epochs([], 4) == []


def test_notes_are_markdown_tables(results: Results, tmp_path: Path) -> None:
    write_notes(results, tmp_path / "notes.md")
    lines = (tmp_path / "notes.md").read_text(encoding="utf-8").splitlines()
    assert "# hazelnut" in lines
    tables = [line for line in lines if line.startswith("| Recipe")]
    assert len(tables) == 2
    after = lines[lines.index(tables[0]) + 1 :][:5]
    assert {line.count("|") for line in after} == {tables[0].count("|")}


def test_a_study_in_which_all_failed_has_a_page_too(results: Results, tmp_path: Path) -> None:
    write_study_page(Results([], results.failures, "cobnut study"), tmp_path / "page.html")
    assert "1 training failed" in text_of((tmp_path / "page.html").read_text(encoding="utf-8"))


def test_names_of_any_characters_break_nothing(tmp_path: Path, judge: Inspects) -> None:
    outcomes = [make_outcome(tmp_path, category='<b>"&nuts'), make_outcome(tmp_path, "other", category='<b>"&nuts')]
    html = render_study(Results(build_contests(outcomes), [], "x"), lambda _: judge)
    assert "<b>&#34;" not in html
    assert "&lt;b&gt;&#34;&amp;nuts" in html
