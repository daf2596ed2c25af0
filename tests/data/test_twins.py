"""Images of one part are found, whatever was done to the file; different parts are left alone."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from cobnut.data.twins import NEAR_COPY, find_twins, fingerprint
from cobnut.records import Sample


@pytest.fixture
def good(parts: Path) -> list[Sample]:
    return [Sample(path, "train", "good") for path in sorted((parts / "train" / "good").iterdir())]


def test_different_parts_are_no_twins(good: list[Sample]) -> None:
    assert find_twins(good) == []


@pytest.mark.parametrize("change", ["copied", "saved as JPEG", "made brighter", "made smaller"])
def test_the_same_picture_is_found_whatever_was_done_to_it(good: list[Sample], tmp_path: Path, change: str) -> None:
    twin = tmp_path / "twin.png"
    with Image.open(good[3].path) as image:
        picture = image.convert("RGB")
    if change == "copied":
        shutil.copy(good[3].path, twin)
    elif change == "saved as JPEG":
        twin = tmp_path / "twin.jpg"
        picture.save(twin, quality=80)
    elif change == "made brighter":
        ImageEnhance.Brightness(picture).enhance(0.8).save(twin)
    else:
        picture.resize((56, 56), Image.Resampling.LANCZOS).save(twin)
    found = find_twins([*good, Sample(twin, "test", "defective", "hole")])
    assert [(each.first.path, each.second.path) for each in found] == [(good[3].path, twin)]
    assert found[0].likeness == ("copy" if change == "copied" else found[0].likeness)
    assert found[0].crosses
    assert found[0].contradicts


def test_a_part_that_was_photographed_again_in_other_light_is_alike(good: list[Sample], tmp_path: Path) -> None:
    with Image.open(good[3].path) as image:
        pixels = np.asarray(image.convert("RGB"))
    shaded = np.rint(pixels * np.linspace(0.8, 1.0, pixels.shape[1])[None, :, None]).astype(np.uint8)
    Image.fromarray(shaded).save(tmp_path / "again.png")
    found = find_twins([*good, Sample(tmp_path / "again.png", "train", "good")])
    assert [each.likeness for each in found] == ["alike"]
    assert not found[0].crosses


def test_a_still_scene_makes_no_twins_of_different_photographs(tmp_path: Path) -> None:
    random, scene = np.random.default_rng(0), np.random.default_rng(1).integers(40, 200, (64, 64))
    samples = []
    for number in range(12):
        noisy = np.clip(scene + random.normal(0, 4, scene.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(tmp_path / f"{number}.png")
        samples.append(Sample(tmp_path / f"{number}.png", "train" if number < 6 else "test", "good"))
    assert find_twins(samples) == []


def test_copies_of_a_black_image_are_copies(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (20, 20)).save(tmp_path / name)
    found = find_twins([Sample(tmp_path / name, "train", "good") for name in ("a.png", "b.png", "c.png")])
    assert [each.likeness for each in found] == ["copy", "copy"]


def test_unreadable_images_are_left_out(good: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    seen: list[int] = []
    assert find_twins([*good[:3], Sample(tmp_path / "bad.png", "test", "good")], seen.append) == []
    assert sum(seen) == 4


def test_a_fingerprint_of_one_colour_is_a_fingerprint(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), (90, 90, 90)).save(tmp_path / "grey.png")
    assert np.abs(fingerprint(tmp_path / "grey.png")).max() < NEAR_COPY
