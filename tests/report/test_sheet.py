from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cobnut.records import Sample
from cobnut.report.sheet import CELL, GAP, LABEL, MARGIN, MOST, classes_of, draw_sheet, write_sheet

RED = (200, 30, 30)


@pytest.fixture
def make(tmp_path: Path):
    def make_one(name: str, kind: str = "good", size: tuple[int, int] = (60, 60), masked: bool = False) -> Sample:
        path = tmp_path / name
        Image.new("RGB", size, RED).save(path)
        mask = None
        if masked:
            mask = tmp_path / f"mask-{name}"
            marked = Image.new("L", size)
            marked.paste(255, (20, 20, 40, 40))
            marked.save(mask)
        return Sample(path, "test", "good" if kind == "good" else "defective", kind, mask)

    return make_one


def cell(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    top, left = MARGIN + row * (CELL + GAP), MARGIN + LABEL + column * (CELL + GAP)
    return sheet[top : top + CELL, left : left + CELL]


def test_rows_are_classes_good_first(make):
    samples = [make("z.png", "hole"), make("a.png", "cut"), make("b.png"), make("c.png", "cut")]
    assert [(name, len(members)) for name, members in classes_of(samples).items()] == [
        ("good", 1),
        ("cut", 2),
        ("hole", 1),
    ]
    sheet = draw_sheet(samples)
    assert sheet.shape == (2 * MARGIN + 3 * (CELL + GAP) - GAP, 2 * MARGIN + LABEL + 2 * (CELL + GAP) - GAP, 3)
    assert (cell(sheet, 1, 1) == RED).all()
    assert (cell(sheet, 2, 1) == 255).all()
    for row in range(3):  # each class is labelled
        top = MARGIN + row * (CELL + GAP)
        assert (sheet[top : top + CELL, MARGIN : MARGIN + LABEL] < 128).any()


def test_at_most_six_a_class(make):
    sheet = draw_sheet([make(f"{n}.png", size=(8, 8)) for n in range(MOST + 3)])
    assert sheet.shape[1] == 2 * MARGIN + LABEL + MOST * (CELL + GAP) - GAP


@pytest.mark.parametrize(("size", "axis"), [((80, 40), 0), ((40, 80), 1), ((800, 400), 0)])
def test_unequal_sizes_are_letterboxed(make, size, axis):
    box = np.moveaxis(cell(draw_sheet([make("a.png", size=size)]), 0, 0), axis, 0)
    assert (box[: CELL // 4] == 238).all()
    assert (box[-CELL // 4 :] == 238).all()
    assert (box[CELL // 4 : -CELL // 4] == RED).all()


def test_defects_are_tinted_and_outlined(make):
    with_mask, without = (cell(draw_sheet([make(f"{m}.png", "cut", masked=m)]), 0, 0) for m in (True, False))
    assert (without == RED).all()
    assert (with_mask[CELL // 2, CELL // 2] != RED).any()
    assert (with_mask[0, 0] == RED).all()
    assert len(np.unique(with_mask.reshape(-1, 3), axis=0)) == 4  # ground, tint, line and its dark rim


def test_damaged_images_are_skipped(make):
    samples = [make(f"{n}.png") for n in range(3)] + [make("x.png", "cut")]
    samples[1].path.write_bytes(b"not an image")
    samples[3].path.write_bytes(b"")
    sheet = draw_sheet(samples)
    assert sheet.shape[1] == 2 * MARGIN + LABEL + 2 * (CELL + GAP) - GAP
    assert (cell(sheet, 1, 0) == 255).all()


def test_damaged_mask_leaves_the_image(make):
    sample = make("a.png", "cut", masked=True)
    sample.mask_path.write_bytes(b"no")
    assert (cell(draw_sheet([sample]), 0, 0) == RED).all()


def test_dark_twelve_bit_image_can_be_seen(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((20, 20), 3000, np.uint16)).save(path)
    assert cell(draw_sheet([Sample(path, "test", "good")]), 0, 0).mean() > 150


def test_long_and_strange_names_fit(make, tmp_path):
    sheet = draw_sheet([make("a.png", "x" * 300), make("b.png", "line\nbreak\x00")])
    assert (sheet[:, MARGIN + LABEL - 8 : MARGIN + LABEL] == 255).all()
    write_sheet([], tmp_path / "empty.png")


def test_sheet_is_a_png(make, tmp_path):
    write_sheet([make("a.png")], tmp_path / "new" / "sheet.png")
    with Image.open(tmp_path / "new" / "sheet.png") as image:
        assert image.format == "PNG"
