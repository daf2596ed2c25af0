"""Labels that contradict the look of an image are found."""

import shutil
from pathlib import Path

import pytest

from cobnut.data.sample_parts import write_sample_parts
from cobnut.records import Sample
from cobnut.training.suspects import _fold_of, find_suspects


def test_wrong_labels_are_found_in_both_directions(tmp_path: Path) -> None:
    parts = write_sample_parts(tmp_path / "parts", good=40, test_good=1, defective=4, side=128)
    good = [Sample(path, "train", "good") for path in sorted((parts / "train" / "good").iterdir())]
    defective = [
        Sample(path, "test", "defective", folder.name)
        for folder in sorted((parts / "test").iterdir()) if folder.name != "good"
        for path in sorted(folder.iterdir())
    ]  # fmt: skip
    hidden = Path(shutil.copy(parts / "test" / "hole" / "000.png", tmp_path / "hidden.png"))
    spare = Path(shutil.copy(parts / "test" / "good" / "000.png", tmp_path / "spare.png"))
    suspects = find_suspects(
        [*good, *defective, Sample(hidden, "train", "good"), Sample(spare, "test", "defective", "hole")]
    )
    assert suspects[0].sample.path == hidden
    assert suspects[0].deviation > 4
    assert [each.sample.path for each in suspects if each.sample.is_defective] == [spare]


def test_a_handful_of_images_is_not_judged(parts: Path) -> None:
    assert (
        find_suspects([Sample(path, "train", "good") for path in sorted((parts / "train" / "good").iterdir())[:5]])
        == []
    )


@pytest.mark.parametrize("different", [1, 2])
def test_copies_of_few_images_are_no_fault(different: int, parts: Path, tmp_path: Path) -> None:
    images = samples(sorted((parts / "train" / "good").iterdir()))
    of_folds = {int(fold): image.path for fold, image in zip(_fold_of(images), images, strict=True)}
    shown = list(of_folds.values())[:different]  # so two of the folds hold nothing at all
    copies = [Path(shutil.copy(path, tmp_path / f"{number}-{path.name}")) for path in shown for number in range(9)]
    assert len(find_suspects(samples(copies))) < len(copies)


def samples(paths: list[Path]) -> list[Sample]:
    return [Sample(path, "train", "good") for path in paths]
