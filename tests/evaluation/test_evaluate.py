"""An evaluation judges what it should, counts what it judged, and leaks nothing."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from cobnut.data.layouts import read_dataset
from cobnut.errors import DataError
from cobnut.evaluation.evaluate import Evaluation, evaluate
from cobnut.files import hash_file
from cobnut.records import Sample
from cobnut.runtime.bundle import read_manifest
from cobnut.runtime.inspect import Inspector

CONTRACT = (
    "image_auroc", "image_ap", "f1", "accuracy", "precision", "recall", "false_alarm_rate", "miss_rate", "pixel_auroc",
    "pro", "threshold", "per_type", "intervals", "n_good", "n_defective", "recipe", "seconds", "ms_per_image",
)  # fmt: skip


@pytest.fixture(scope="module")
def evaluation(bundle: Path, samples: list[Sample]) -> Evaluation:
    return evaluate(Inspector(bundle), samples, "parts")


def test_the_keys_of_the_contract_are_there(evaluation: Evaluation) -> None:
    figures = evaluation.as_dict()
    assert [key for key in CONTRACT if key not in figures] == []
    assert set(figures["per_type"]) == {"crack", "cut", "hole", "print"}


def test_judged_are_the_test_images_and_those_held_out(
    evaluation: Evaluation, bundle: Path, samples: list[Sample]
) -> None:
    held_out = len(read_manifest(bundle).fingerprint["test"])
    assert held_out > 0
    assert evaluation.held_out == held_out
    assert evaluation.confusion.good == 6 + held_out
    assert evaluation.confusion.defective == 8
    judged = {each.sample.path for each in evaluation.judged}
    assert judged >= {sample.path for sample in samples if sample.split == "test"}


def test_the_figures_agree_with_the_verdicts_one_by_one(evaluation: Evaluation, bundle: Path) -> None:
    inspector = Inspector(bundle)
    truth = [each.sample.is_defective for each in evaluation.judged]
    verdicts = [inspector.inspect(each.sample.path) for each in evaluation.judged]
    assert evaluation.figures["image_auroc"] == pytest.approx(roc_auc_score(truth, [v.score for v in verdicts]))
    right = np.mean([verdict.is_defective == label for verdict, label in zip(verdicts, truth, strict=True)])
    assert evaluation.figures["accuracy"] == pytest.approx(right)


def test_every_drawn_defect_has_its_area_in_pixels_of_the_photograph(evaluation: Evaluation) -> None:
    drawn = {each.sample.path: each for each in evaluation.judged if each.sample.mask_path}
    assert len(drawn) == len(evaluation.defects) == 8
    for defect, each in zip(evaluation.defects, drawn.values(), strict=True):
        mask = np.asarray(Image.open(each.sample.mask_path))
        assert (defect.pixels, defect.share) == (np.count_nonzero(mask), np.mean(mask > 0))
        assert (defect.score, defect.is_found) == (each.score, each.is_rejected)
    told = evaluation.as_dict()["found_reliably"]
    assert (told["pixels"], told["drawn"], told["wanted"], told["confidence"]) == (None, 8, 0.9, 0.95)
    assert "takes 29 defects" in told["sentence"]


def test_every_figure_lies_in_its_interval(evaluation: Evaluation) -> None:
    for each in (evaluation, *evaluation.per_type.values()):
        for name, (low, high) in each.intervals.items():
            value = each.figures[name]
            assert value is not None
            assert low - 0.02 <= value <= high + 0.02, name


def test_the_same_evaluation_twice_gives_the_same_figures(
    evaluation: Evaluation, bundle: Path, samples: list[Sample]
) -> None:
    first, second = evaluation.as_dict(), evaluate(Inspector(bundle), samples[::-1], "parts").as_dict()
    for figures in (first, second):
        for timed in ("seconds", "ms_per_image"):
            figures.pop(timed)
    assert first == second


def test_without_defective_images_their_figures_are_none(bundle: Path, samples: list[Sample]) -> None:
    figures = evaluate(Inspector(bundle), [sample for sample in samples if not sample.is_defective], "parts").as_dict()
    for name in ("image_auroc", "image_ap", "recall", "miss_rate", "pixel_auroc", "pro"):
        assert figures[name] is None
    assert figures["false_alarm_rate"] is not None
    assert figures["per_type"] == {}


def test_images_without_a_mask_count_for_the_image_figures_only(bundle: Path, parts: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(parts, tmp_path / "parts"))
    shutil.rmtree(root / "ground_truth" / "print")
    evaluation = evaluate(Inspector(bundle), read_dataset(root), "parts")
    assert evaluation.per_type["print"].count == 2
    assert evaluation.per_type["print"].drawn == 0
    assert evaluation.per_type["print"].figures["pro"] is None
    assert evaluation.per_type["print"].figures["image_auroc"] is not None
    assert evaluation.figures["pro"] is not None


def test_damaged_images_and_masks_are_left_out_and_told(bundle: Path, parts: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(parts, tmp_path / "parts"))
    (root / "test" / "hole" / "000.png").write_bytes(b"broken")
    (root / "ground_truth" / "print" / "000_mask.png").write_bytes(b"broken")
    evaluation = evaluate(Inspector(bundle), read_dataset(root), "parts")
    assert evaluation.per_type["hole"].count == 1
    assert evaluation.per_type["print"].drawn == 1
    assert len(evaluation.unreadable) == 2


def test_a_test_image_that_trained_is_refused_unless_leaks_are_allowed(
    bundle: Path, parts: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(parts, tmp_path / "parts"))
    trained = read_manifest(bundle).fingerprint["train"][0]
    leaked = next(path for path in (root / "train" / "good").iterdir() if hash_file(path) == trained)
    shutil.copy(leaked, root / "test" / "good" / "leaked.png")
    with pytest.raises(DataError, match="has seen this test image while it was made .1 such"):
        evaluate(Inspector(bundle), read_dataset(root), "parts")
    assert evaluate(Inspector(bundle), read_dataset(root), "parts", allow_leaks=True).confusion.good > 6


def test_a_training_image_that_was_saved_as_another_file_is_known_again(
    bundle: Path, parts: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(parts, tmp_path / "parts"))
    trained = set(read_manifest(bundle).fingerprint["train"])
    leaked = [path for path in (root / "train" / "good").iterdir() if hash_file(path) in trained][:2]
    for path in leaked:
        Image.open(path).save(root / "test" / "good" / f"{path.stem}.bmp")
    with pytest.raises(DataError, match=r"test image, saved as another file, while it was made .2 such"):
        evaluate(Inspector(bundle), read_dataset(root), "parts")


def test_a_training_folder_that_was_saved_anew_is_not_judged_as_unseen(
    bundle: Path, parts: Path, tmp_path: Path, evaluation: Evaluation
) -> None:
    root = Path(shutil.copytree(parts, tmp_path / "parts"))
    for path in (root / "train" / "good").iterdir():
        Image.open(path).save(path, compress_level=9)
        assert hash_file(path) != hash_file(parts / "train" / "good" / path.name)
    assert evaluate(Inspector(bundle), read_dataset(root), "parts").confusion == evaluation.confusion


def test_good_images_that_the_detector_has_not_seen_are_judged(bundle: Path, parts: Path, tmp_path: Path) -> None:
    shutil.copytree(parts / "test" / "good", tmp_path / "new")
    evaluation = evaluate(Inspector(bundle), read_dataset(good=tmp_path / "new"), "new")
    assert (evaluation.confusion.good, evaluation.held_out) == (6, 0)


def test_a_copy_of_an_image_is_judged_once(bundle: Path, parts: Path, tmp_path: Path, evaluation: Evaluation) -> None:
    root = Path(shutil.copytree(parts, tmp_path / "parts"))
    shutil.copy(root / "test" / "good" / "000.png", root / "test" / "good" / "copy.png")
    assert evaluate(Inspector(bundle), read_dataset(root), "parts").confusion == evaluation.confusion


def test_a_mask_of_another_size_is_left_out_and_told(bundle: Path, parts: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(parts, tmp_path / "parts"))
    Image.fromarray(np.full((32, 100), 255, np.uint8)).save(root / "ground_truth" / "hole" / "000_mask.png")
    evaluation = evaluate(Inspector(bundle), read_dataset(root), "parts")
    assert evaluation.per_type["hole"].drawn == 1
    assert "is 100 × 32 pixels, its image 64 × 64" in evaluation.unreadable[0]


def test_without_a_test_image_there_is_nothing_to_evaluate(bundle: Path, samples: list[Sample]) -> None:
    trained = set(read_manifest(bundle).fingerprint["train"])
    seen = [sample for sample in samples if hash_file(sample.path) in trained]
    with pytest.raises(DataError, match="there is no test image"):
        evaluate(Inspector(bundle), seen, "good")
