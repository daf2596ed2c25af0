"""The one picture of a data set: samples of each class, defects with their masks drawn (the study's Figs. 1 to 3)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cobnut.data.images import read_mask, read_photograph
from cobnut.errors import ImageError
from cobnut.pictures import Picture, letterboxed, outline, resized_mask, save_picture, tint
from cobnut.records import Sample

MOST = 6
CELL, GAP, MARGIN, LABEL = 200, 8, 24, 256
_GROUND, _BOX = 255, 238
_INK, _QUIET = (34, 32, 29), (107, 101, 92)


def write_sheet(samples: Sequence[Sample], path: Path) -> None:
    """Draw up to six samples of each class, good first, one class a row, and write them as one PNG.

    Images keep their shape; damaged ones are skipped; a class without a readable image says so.
    """
    save_picture(draw_sheet(samples), path)


def draw_sheet(samples: Sequence[Sample]) -> Picture:
    """The sheet as a picture, as wide as the longest row and one cell high for each class."""
    rows = [(name, members, _pictures(members)) for name, members in classes_of(samples).items()]
    columns = max([len(pictures) for _, _, pictures in rows] + [1])
    width = 2 * MARGIN + LABEL + columns * (CELL + GAP) - GAP
    height = 2 * MARGIN + max(len(rows), 1) * (CELL + GAP) - GAP
    sheet = Image.new("RGB", (width, height), (_GROUND,) * 3)
    for index, (name, members, pictures) in enumerate(rows):
        top = MARGIN + index * (CELL + GAP)
        _write_label(sheet, top, name, members, has_pictures=bool(pictures))
        for column, picture in enumerate(pictures):
            cell = letterboxed(picture, (CELL, CELL), _BOX)
            sheet.paste(Image.fromarray(cell), (MARGIN + LABEL + column * (CELL + GAP), top))
    return np.asarray(sheet)


def classes_of(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """The samples by class: good first, then each defect type in alphabetical order."""
    classes: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=lambda each: (each.is_defective, each.defect_type, str(each.path))):
        classes.setdefault(sample.defect_type, []).append(sample)
    return classes


def _pictures(members: Sequence[Sample]) -> list[Picture]:
    """Up to six of a class, evenly spread over it, drawn ones before those without a mask."""
    drawn = [sample for sample in members if sample.mask_path is not None]
    others = [sample for sample in members if sample.mask_path is None]
    pictures: list[Picture] = []
    for sample in _spread(drawn) + _spread(others):
        if len(pictures) == MOST:
            break
        try:
            pictures.append(_picture(sample))
        except ImageError:
            continue
    return pictures


def _spread(members: Sequence[Sample]) -> list[Sample]:
    """All members, those evenly spread over the list first."""
    first = dict.fromkeys(np.linspace(0, len(members) - 1, min(MOST, len(members))).round().astype(int).tolist())
    return [members[index] for index in first | dict.fromkeys(range(len(members)))]


def _picture(sample: Sample) -> Picture:
    """One image, shrunk to fit a cell, its defect tinted and outlined; raises :class:`ImageError`."""
    image = _fitted(read_photograph(sample.path, 2 * CELL))
    if sample.mask_path is None:
        return image
    try:
        mask = resized_mask(read_mask(sample.mask_path), (image.shape[0], image.shape[1]))
    except ImageError:
        return image
    return outline(tint(image, mask), mask)


def _fitted(image: Picture) -> Picture:
    """An image scaled, up or down, until its longer side is a cell's."""
    height, width = image.shape[:2]
    scale = CELL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def _write_label(sheet: Image.Image, top: int, name: str, members: Sequence[Sample], has_pictures: bool) -> None:
    draw = ImageDraw.Draw(sheet)
    drawn = sum(sample.mask_path is not None for sample in members)
    lines = [f"{len(members):,} image{'' if len(members) == 1 else 's'}"]
    if members[0].is_defective:
        lines.append("all with masks" if drawn == len(members) else f"{drawn:,} with masks" if drawn else "no masks")
    if not has_pictures:
        lines.append("none can be read")
    large, small = ImageFont.load_default(size=24), ImageFont.load_default(size=17)
    draw.text((MARGIN, top + 2), _fit_text(name, large), fill=_INK, font=large)
    for index, line in enumerate(lines):
        draw.text((MARGIN, top + 38 + 24 * index), line, fill=_QUIET, font=small)


def _fit_text(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """A name as one line that fits the label column, shortened with an ellipsis."""
    name = "".join(character if character.isprintable() else "?" for character in name)
    short = name
    while font.getlength(short) > LABEL - 16:
        name = name[:-1]
        short = f"{name}…"
    return short
