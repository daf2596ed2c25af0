import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from cobnut.options import RegionOptions
from cobnut.report.html import render_report, write_report

VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """Collects what the tests ask about, and fails where tags do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.tags: Counter[str] = Counter()
        self.references: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        values = dict(attrs)
        self.ids.update(value for name, value in attrs if name == "id" and value)
        self.references += [str(values[name]) for name in ("src", "href", "xlink:href", "action") if name in values]
        if tag == "img":
            self.images.append(values)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"[ \n]+", " ", " ".join(self.words)).strip()


@pytest.fixture
def parts(draw):
    return [
        draw("good/0.png", 0.010),
        draw("good/1.png", 0.019),
        draw("good/2.png", 0.030),
        draw("cut/0.png", 0.018, "cut", has_mask=True),
        draw("cut/1.png", 0.004, "cut"),
        draw("cut/2.png", 0.090, "cut", has_mask=True),
        draw("hole/0.png", 0.2, "hole", has_mask=True),
    ]


def test_report_is_one_file_without_references(parts, evaluate_by_hand, judge, tmp_path):
    path = tmp_path / "deep" / "report.html"
    write_report(evaluate_by_hand(parts), judge, path)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert all(reference.startswith(("data:image/", "#")) for reference in page.references if reference)
    assert not re.search(r"(?:src|href|action)\s*=\s*[\"']?\s*(?:https?:)?//", text)
    assert not re.search(r"url\(\s*[\"']?(?!#)", text)
    assert "@import" not in text
    assert {reference[1:] for reference in page.references if reference.startswith("#")} <= set(page.ids)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_ids_are_unique_across_the_plots(parts, evaluate_by_hand, judge):
    page = Page(render_report(evaluate_by_hand(parts), judge))
    assert page.tags["svg"] == 5
    assert [name for name, count in page.ids.items() if count > 1] == []


def test_same_evaluation_gives_same_report(parts, evaluate_by_hand, judge):
    assert render_report(evaluate_by_hand(parts), judge) == render_report(evaluate_by_hand(parts), judge)


def test_report_says_what_happened(parts, evaluate_by_hand, judge):
    text = Page(render_report(evaluate_by_hand(parts), judge)).text
    assert "Of 4 defective parts 2 were found; 1 of 3 good ones was rejected." in text
    assert "recipe cae, trained 9 March 2026" in text
    for heading in (
        "Image AUROC",
        "Accuracy",
        "False alarm rate",
        "Miss rate",
        "Pixel AUROC",
        "PRO",
        "Weighted average",
    ):
        assert heading in text
    assert "more than 0.05\u202f% of the image lies above the threshold of 0.0200" in text
    assert "the 99.9th percentile of the pixel errors of 2 good calibration images" in text
    assert "found 75\u202f% of the synthetic defects" in text
    assert "training.learning_rate" in text


def test_a_part_of_the_image_is_called_so_where_only_that_is_inspected(parts, evaluate_by_hand, judge):
    whole = evaluate_by_hand(parts)
    region = RegionOptions(inspect="0,0 9,0 9,9")
    recipe = whole.manifest.recipe.model_copy(update={"region": region})
    partly = replace(whole, manifest=whole.manifest.model_copy(update={"recipe": recipe}))
    text = Page(render_report(partly, judge)).text
    assert "more than 0.05\u202f% of what is inspected lies above" in text
    assert "a part of each image: region.inspect = 0,0 9,0 9,9" in text
    assert "a part of each image" not in Page(render_report(whole, judge)).text


def test_worst_mistake_comes_first(parts, evaluate_by_hand, judge):
    text = Page(render_report(evaluate_by_hand(parts), judge)).text
    order = ["Mistakes", "cut/1.png", "good/2.png", "cut/0.png", "Right, but only just"]
    places = [text.index(word, text.index("All of them, the worst first.") - 20) for word in order]
    assert places == sorted(places)


def test_hostile_names_stay_text(draw, evaluate_by_hand, judge):
    hostile = "<script>alert(1)</script>"
    name = "\"><img src=x onerror='alert(1)'>&amp;\u202e.png"
    judged = [
        draw("good/a.png", 0.01),
        draw(name, 0.001, "</svg><script>alert(2)</script>$x_{$"),
        draw("b.png", 0.1, "$\\frac{$ --> 螺丝"),
    ]
    evaluation = replace(evaluate_by_hand(judged, [f"{hostile}: damaged"]), data=hostile)
    text = render_report(evaluation, judge)
    page = Page(text)
    assert page.tags["script"] == 1
    assert "alert(1)</script>" not in text
    assert "alert(2)</script>" not in text
    assert all(str(image.get("src", "data:")).startswith("data:") for image in page.images)
    assert not any("onerror" in image for image in page.images)
    assert "\u202e" not in text
    assert hostile in page.text


def test_file_name_that_is_not_utf8(draw, evaluate_by_hand, judge, tmp_path):
    judged = [draw("good/a.png", 0.01), draw("c\udcff.png", 0.5, "cut")]
    write_report(evaluate_by_hand(judged, ["x\udcff.png: empty"]), judge, tmp_path / "report.html")
    assert "c�.png" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_without_masks_pixel_figures_say_why(draw, evaluate_by_hand, judge):
    judged = [draw("good/a.png", 0.01), draw("cut/a.png", 0.5, "cut")]
    text = Page(render_report(evaluate_by_hand(judged), judge)).text
    assert "Pixel AUROC — no defect is drawn: there are no masks" in text
    assert "not drawn" in text
    assert "Pixel figures rest on the 0 of 1 defective image" in text


def test_without_defective_images(draw, evaluate_by_hand, judge):
    judged = [draw(f"good/{n}.png", 0.01 + n / 1000) for n in range(3)]
    page = Page(render_report(evaluate_by_hand(judged), judge))
    assert "None of 3 good ones was rejected; there was no defective part to find." in page.text
    assert "Image AUROC — needs good and defective test images" in page.text
    assert "The test holds no defective image." in page.text
    assert "The detector made no mistake in this test." in page.text
    assert page.tags["svg"] == 2


def test_without_good_images(draw, evaluate_by_hand, judge):
    page = Page(render_report(evaluate_by_hand([draw("cut/a.png", 0.5, "cut")]), judge))
    assert "The one defective part was found; there was no good part to judge." in page.text
    assert "False alarm rate — no good test image" in page.text


def test_without_reconstruction_the_column_is_left_out(parts, evaluate_by_hand, judge, blind_judge):
    assert "Reconstruction" in Page(render_report(evaluate_by_hand(parts), judge)).text
    assert "Reconstruction" not in Page(render_report(evaluate_by_hand(parts), blind_judge)).text


def test_every_picture_has_an_alternative_text(parts, evaluate_by_hand, judge):
    page = Page(render_report(evaluate_by_hand(parts), judge))
    embedded = [image for image in page.images if image.get("src")]
    assert len(embedded) == 4 * len(parts) + 3
    assert all(image.get("alt") for image in embedded)


def test_unreadable_files_are_listed(parts, evaluate_by_hand, judge):
    text = Page(render_report(evaluate_by_hand(parts, ["bad.png: the file is empty; copy it again"]), judge)).text
    assert "1 file could not be used as it is" in text
    assert "bad.png: the file is empty; copy it again" in text


def test_an_image_that_vanished_is_said_so(parts, evaluate_by_hand, judge):
    parts[4].sample.path.unlink()
    assert "cannot be read any more" in Page(render_report(evaluate_by_hand(parts), judge)).text


def test_script_matches_its_policy(parts, evaluate_by_hand, judge):
    import base64
    import hashlib

    text = render_report(evaluate_by_hand(parts), judge)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert script is not None
    expected = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{expected}'" in text


def test_report_imports_no_torch():
    import subprocess
    import sys

    code = "import sys, cobnut.report.html, cobnut.report.sheet; print({'torch', 'lightning'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_the_further_figures_stand_with_their_intervals(parts, evaluate_by_hand, judge):
    text = Page(render_report(evaluate_by_hand(parts), judge)).text
    for heading in ("Precision", "Recall", "F1-max", "Image AP", "Pixel AP"):
        assert heading in text


def test_the_size_that_is_found_reliably_is_told_with_its_picture(draw, evaluate_by_hand, judge):
    judged = [draw(f"cut/{n}.png", 0.1, "cut", has_mask=True) for n in range(29)]
    text = Page(render_report(evaluate_by_hand(judged), judge)).text
    assert "Defects are found reliably from 70 marked pixels on (5.8\u202f% of the image): of the 29 that are" in text
    assert "found reliably from 70 on" in text
    fewer = Page(render_report(evaluate_by_hand(judged[1:]), judge)).text
    assert "No size is found reliably: to prove 90\u202f% takes 29 defects that are drawn" in fewer
    assert "found reliably from" not in fewer


def test_where_no_defect_is_drawn_nothing_is_said_of_sizes(draw, evaluate_by_hand, judge):
    page = Page(render_report(evaluate_by_hand([draw("cut/a.png", 0.5, "cut"), draw("good/a.png", 0.01)]), judge))
    assert "sizes" not in page.ids
    assert "found reliably" not in page.text


def test_sizes_need_no_threshold_above_zero(draw, evaluate_by_hand, judge):
    evaluation = evaluate_by_hand([draw("cut/a.png", 0.5, "cut", has_mask=True)])
    evaluation = replace(evaluation, manifest=evaluation.manifest.model_copy(update={"threshold": 0.0}))
    page = Page(render_report(evaluation, judge))
    assert "sizes" in page.ids
    assert page.tags["svg"] == 2
