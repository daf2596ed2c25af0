"""Draw the pictures of the documentation, all from rendered parts: run by `make docs`."""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from cobnut.data.images import read_full_image, read_mask, resize_map
from cobnut.data.layouts import read_dataset
from cobnut.data.sample_parts import DEFECT_TYPES, write_sample_parts
from cobnut.pictures import Picture, grid, heat, outline, overlay, save_picture
from cobnut.recipe import read_recipe
from cobnut.report.sheet import write_sheet
from cobnut.runtime.inspect import Inspector
from cobnut.training.train import train

PICTURES = Path(__file__).parent / "pictures"
SIDE = 180


def main() -> None:
    """Render parts, train the default recipe on them, and draw both."""
    with tempfile.TemporaryDirectory() as folder:
        parts = write_sample_parts(Path(folder) / "parts")
        samples = read_dataset(parts)
        write_sheet(samples, Path(folder) / "sheet.png")
        _save_jpeg(Image.open(Path(folder) / "sheet.png"), PICTURES / "parts.jpg", width=1100)
        bundle = Path(folder) / "parts.cobnut"
        train(samples, read_recipe("feature"), bundle)
        rows = [_panel(Inspector(bundle), parts, name) for name in DEFECT_TYPES]
        save_picture(grid(rows), Path(folder) / "found.png")
        _save_jpeg(Image.open(Path(folder) / "found.png"), PICTURES / "found.jpg", width=1100)


def _panel(inspector: Inspector, parts: Path, defect_type: str) -> list[Picture]:
    """Image, truth, anomaly map and overlay of one defective part."""
    path = parts / "test" / defect_type / "000.png"
    verdict = inspector.inspect(path)
    image = read_full_image(path, inspector.manifest.recipe.image, SIDE)
    mask = read_mask(parts / "ground_truth" / defect_type / "000_mask.png")
    small_mask = resize_map(mask.astype(np.float32), image.shape[:2]) > 0.3
    values = resize_map(verdict.anomaly_map, image.shape[:2])
    return [
        image,
        outline(image, small_mask),
        heat(values, 0, 2 * verdict.threshold),
        overlay(image, values, verdict.threshold),
    ]


def _save_jpeg(image: Image.Image, path: Path, width: int) -> None:
    path.parent.mkdir(exist_ok=True)
    image = image.convert("RGB")
    image.thumbnail((width, width * 4))
    image.save(path, quality=85, optimize=True)


if __name__ == "__main__":
    main()
