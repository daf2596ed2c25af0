"""Three layouts on disk, one list of samples."""

from collections import Counter
from pathlib import Path

import pytest

from cobnut.data.layouts import image_files, read_dataset
from cobnut.errors import DataError
from cobnut.records import Sample


def test_an_mvtec_folder_gives_every_image_its_split_type_and_mask(parts: Path) -> None:
    samples = read_dataset(parts)
    counts = Counter((sample.split, sample.defect_type) for sample in samples)
    assert counts["train", "good"] == 24
    assert counts["test", "good"] == 6
    assert all(counts["test", name] == 2 for name in ("crack", "cut", "hole", "print"))
    for sample in samples:
        assert sample.is_defective == (sample.mask_path is not None)


def test_a_pair_of_folders_takes_subfolders_as_defect_types(parts: Path, tmp_path: Path) -> None:
    defective = tmp_path / "bad"
    (defective / "dent").mkdir(parents=True)
    source = next((parts / "test" / "hole").iterdir())
    (defective / "dent" / "1.png").write_bytes(source.read_bytes())
    (defective / "2.png").write_bytes(source.read_bytes())
    samples = read_dataset(good=parts / "train", defective=defective)
    assert Counter(sample.defect_type for sample in samples) == {"good": 24, "dent": 1, "defective": 1}
    assert {sample.split for sample in samples if sample.is_defective} == {"test"}


def test_a_csv_manifest_is_read_relative_to_itself(parts: Path) -> None:
    manifest = parts.parent / "manifest.csv"
    manifest.write_text(
        "path,label,split,defect_type,mask\n"
        "parts/train/good/000.png,good,,,\n"
        "parts/train/good/001.png,good,calibration,,\n"
        "parts/test/hole/000.png,defective,,hole,parts/ground_truth/hole/000_mask.png\n"
        "parts/test/hole/001.png,defective,,,\n"
    )
    first, second, third, fourth = read_dataset(manifest)
    assert first == Sample(parts.parent / "parts/train/good/000.png", "train", "good")
    assert second.split == "calibration"
    assert (third.split, third.defect_type, third.mask_path is not None) == ("test", "hole", True)
    assert (fourth.defect_type, fourth.mask_path) == ("defective", None)


def test_hidden_and_foreign_files_are_passed_over(parts: Path, tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.mkdir()
    image = next((parts / "train" / "good").iterdir())
    for name in ("a.PNG", ".hidden.png", "notes.txt", "._a.png"):
        (good / name).write_bytes(image.read_bytes())
    assert [sample.path.name for sample in read_dataset(good=good)] == ["a.PNG"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("", "lacks the column label, path"),
        ("path\n", "lacks the column label"),
        ("path,label\nx.png,fine\n", "line 2: label 'fine' is not one of good, defective"),
        ("path,label,split\nx.png,good,dev\n", "line 2: split 'dev' is not one of train"),
        ("path,label,split\nx.png,defective,train\n", "line 2: a defective image in train"),
        ("path,label\nx.png,good\n", "line 2: no such image"),
        ("path,label,defect_type\nm.csv,defective,good\n", "line 2: defect_type 'good' on a defective image"),
        ("path,label\n", "holds no image"),
    ],
)
def test_a_wrong_manifest_names_its_line(tmp_path: Path, lines: str, told: str) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text(lines)
    with pytest.raises(DataError) as error:
        read_dataset(manifest)
    assert told in str(error.value)


def test_a_manifest_as_a_plant_s_spreadsheet_writes_it(parts: Path) -> None:
    manifest = parts.parent / "excel.csv"
    manifest.write_text("\ufeffPath; Label\r\nparts/train/good/000.png; Good\r\n", encoding="utf-8")
    assert [sample.label for sample in read_dataset(manifest)] == ["good"]


def test_masks_and_pictures_of_a_training_are_no_photographs(parts: Path, tmp_path: Path) -> None:
    image = next((parts / "train" / "good").iterdir())
    for name in ("a.png", "nut.run/reconstructions/epoch-0001.png", "ground_truth/hole/a_mask.png", "b.run/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(image.read_bytes())
    (tmp_path / "nut.run" / "run.json").touch()
    assert [path.name for path in image_files(tmp_path)] == ["a.png", "c.png"]


def test_a_data_set_may_hold_a_test_alone(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "test").symlink_to(parts / "test")
    assert {sample.split for sample in read_dataset(tmp_path)} == {"test"}


def test_a_folder_of_data_sets_lists_them(parts: Path) -> None:
    with pytest.raises(DataError, match="holds several data sets .parts.; name one"):
        read_dataset(parts.parent)


def test_defective_parts_may_not_train(tmp_path: Path) -> None:
    for name in ("good", "crack"):
        (tmp_path / "train" / name).mkdir(parents=True)
    with pytest.raises(DataError, match="holds crack, but only good parts may train"):
        read_dataset(tmp_path)
