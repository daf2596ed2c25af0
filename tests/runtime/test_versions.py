"""A bundle can be calibrated anew and go back, and nothing of it is ever lost."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cobnut.calibration.conformal import conformal_threshold
from cobnut.calibration.costs import Costs, LeastCost
from cobnut.data.sample_parts import write_sample_parts
from cobnut.errors import BundleError, CobnutError, DataError
from cobnut.evaluation import evaluate as evaluation
from cobnut.files import hash_file
from cobnut.records import Sample, Verdict
from cobnut.runtime.bundle import read_manifest
from cobnut.runtime.inspect import Inspector
from cobnut.runtime.logs import images_of, read_log
from cobnut.runtime.replay import replay
from cobnut.runtime.versions import calibrate, defective_scores, roll_back, versions
from cobnut.training.train import train


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Good images that no bundle was made with."""
    folder = write_sample_parts(tmp_path_factory.mktemp("fresh"), good=24, test_good=1, defective=1, side=64, seed=7)
    return sorted((folder / "train" / "good").iterdir())


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy.cobnut"))


PROMISED = {"method": "conformal", "alpha": 0.1}


def test_a_new_calibration_is_a_new_version_with_its_own_threshold(copy: Path, fresh: list[Path]) -> None:
    before = read_manifest(copy)
    made = calibrate(copy, fresh, PROMISED)
    assert made == read_manifest(copy)
    assert (before.version, made.version, versions(copy)) == (1, 2, [1, 2])
    scores = [v.score for v in Inspector(copy).inspect_files(fresh) if isinstance(v, Verdict)]
    assert made.threshold == conformal_threshold(np.array(scores), 0.1)
    assert (made.recipe.calibration.method, made.recipe.calibration.alpha) == tuple(PROMISED.values())
    assert len(made.fingerprint["calibration"]) == len(fresh)
    assert read_manifest(copy, 1) == before


def test_there_is_a_way_back_and_forth(copy: Path, fresh: list[Path]) -> None:
    first = read_manifest(copy)
    second = calibrate(copy, fresh, PROMISED)
    assert roll_back(copy) == first == read_manifest(copy)
    assert roll_back(copy, 2) == second == read_manifest(copy)
    third = calibrate(copy, fresh[:-2], PROMISED)
    assert (third.version, versions(copy)) == (3, [1, 2, 3])
    with pytest.raises(BundleError, match="has no version 9"):
        roll_back(copy, 9)


def test_what_was_asked_for_is_asked_for_again(copy: Path, fresh: list[Path]) -> None:
    calibrate(copy, fresh, PROMISED)
    assert calibrate(copy, fresh).recipe.calibration.alpha == PROMISED["alpha"]
    assert read_manifest(copy).asked["alpha"] == PROMISED["alpha"]


def test_a_damaged_record_can_be_rolled_back_and_odd_files_do_no_harm(copy: Path, fresh: list[Path]) -> None:
    calibrate(copy, fresh, PROMISED)
    (copy / "history" / "0001 (copy).json").write_text("{}")
    (copy / "manifest.json").write_text("{")
    assert roll_back(copy, 1).version == 1
    assert read_manifest(copy).version == 1
    shutil.copy(copy / "history" / "0002.json", copy / "history" / "0007.json")
    with pytest.raises(BundleError, match="holds version 2"):
        read_manifest(copy, 7)


def test_without_its_history_a_bundle_still_counts_on(copy: Path, fresh: list[Path]) -> None:
    calibrate(copy, fresh, PROMISED)
    shutil.rmtree(copy / "history")
    assert calibrate(copy, fresh, PROMISED).version == 3


def test_without_a_version_before_there_is_no_way_back(copy: Path) -> None:
    with pytest.raises(BundleError, match="version 1 is its first"):
        roll_back(copy)


def test_images_that_the_detector_learned_by_may_not_calibrate_it(copy: Path, samples: list[Sample]) -> None:
    before = read_manifest(copy)
    with pytest.raises(DataError, match="has learned or chosen by this image"):
        calibrate(copy, [sample.path for sample in samples if sample.split == "train"])
    assert read_manifest(copy) == before
    assert versions(copy) == []


def test_images_that_were_saved_as_other_files_may_not_calibrate_it_either(
    copy: Path, fresh: list[Path], samples: list[Sample], tmp_path: Path
) -> None:
    trained = set(read_manifest(copy).fingerprint["train"])
    seen = next(sample.path for sample in samples if hash_file(sample.path) in trained)
    Image.open(seen).save(tmp_path / "seen.bmp")
    with pytest.raises(DataError, match=r"seen.bmp: the detector has learned or chosen by this image \(1 such\)"):
        calibrate(copy, [*fresh, tmp_path / "seen.bmp"], PROMISED)


def test_a_bundle_of_before_there_were_hashes_of_pixels_knows_its_files(
    copy: Path, fresh: list[Path], samples: list[Sample]
) -> None:
    content = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
    assert content.pop("seen")
    content.pop("digest")
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (copy / "manifest.json").write_text(json.dumps({**content, "digest": digest}), encoding="utf-8")
    assert read_manifest(copy).seen == {}
    with pytest.raises(DataError, match="has learned or chosen by this image"):
        calibrate(copy, [sample.path for sample in samples if sample.split == "train"])
    assert len(calibrate(copy, fresh, PROMISED).seen["calibration"]) == len(fresh)


@pytest.mark.parametrize("harm", ["too few", "unreadable"])
def test_what_cannot_be_calibrated_leaves_the_bundle_as_it_was(
    copy: Path, fresh: list[Path], tmp_path: Path, harm: str
) -> None:
    before, images = read_manifest(copy), list(fresh)
    if harm == "unreadable":
        (tmp_path / "bad.png").write_bytes(b"no image")
        images.append(tmp_path / "bad.png")
    options = {"method": "conformal", "alpha": 0.001} if harm == "too few" else PROMISED
    with pytest.raises(CobnutError, match="needs 999" if harm == "too few" else "calibrate without it"):
        calibrate(copy, images, options)
    assert read_manifest(copy) == before


def test_a_copy_of_an_image_counts_once(copy: Path, fresh: list[Path], tmp_path: Path) -> None:
    twin = Path(shutil.copy(fresh[0], tmp_path / "twin.png"))
    Image.open(fresh[0]).save(tmp_path / "saved-anew.bmp")
    made = calibrate(copy, [*fresh, twin, tmp_path / "saved-anew.bmp"], PROMISED)
    assert len(made.calibration_scores) == len(fresh)
    assert made.fingerprint["calibration"] == sorted(hash_file(path) for path in fresh)


def test_an_altered_version_is_refused(copy: Path, fresh: list[Path]) -> None:
    calibrate(copy, fresh, PROMISED)
    kept = copy / "history" / "0001.json"
    kept.write_text(kept.read_text().replace('"threshold": ', '"threshold": 1'))
    with pytest.raises(BundleError, match="0001.json: was altered"):
        read_manifest(copy, 1)


def test_a_calibrated_bundle_may_be_trained_over(copy: Path, fresh: list[Path], samples: list[Sample]) -> None:
    recipe = calibrate(copy, fresh, {"method": "conformal", "alpha": 0.3}).recipe
    again = train(samples, recipe, copy, loggers=())
    assert (again.version, versions(copy)) == (1, [])


def test_replaying_shows_the_very_images_whose_verdict_changes(
    copy: Path, fresh: list[Path], samples: list[Sample], tmp_path: Path
) -> None:
    calibrate(copy, fresh, {"method": "conformal", "alpha": 0.5})
    (tmp_path / "bad.png").write_bytes(b"no image")
    images = [*(sample.path for sample in samples if sample.split == "test"), tmp_path / "bad.png"]
    old, new = Inspector(copy, version=1), Inspector(copy)
    assert old.manifest.threshold != new.manifest.threshold
    replayed = list(replay(old, new, images))
    assert replayed[-1].error
    low, high = sorted((old.manifest.threshold, new.manifest.threshold))
    for each in replayed[:-1]:
        assert each.old is not None
        assert each.is_changed == (low < each.old.score <= high)


def test_images_are_found_in_logs_and_folders_each_once(tmp_path: Path, fresh: list[Path]) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(f'{{"path": "{fresh[0]}", "score": 1.0}}\n{{"path": "{fresh[1]}", "score": 2.0}}\n{{"path": "br')
    assert [row["score"] for row in read_log(log)] == [1.0, 2.0]
    assert images_of([log, fresh[0], fresh[0].parent])[:2] == fresh[:2]
    assert len(images_of([log, fresh[0].parent])) == len(fresh)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "no json\n", "is no log of Cobnut's"),
        ("a.csv", "a,b\n1,2\n", "row 1 has no path and score"),
        ("a.parquet", "PAR0", "is no log of Cobnut's"),
    ],
)
def test_another_file_is_no_log(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_log(tmp_path / name)
    with pytest.raises(DataError, match="no such log"):
        read_log(tmp_path / f"other-{name}")


def by_cost(bundle: Path, faulty: list[Path], fresh: list[Path]) -> LeastCost:
    return LeastCost(Costs(30.0, 1.0, 0.05), defective_scores(bundle, faulty, fresh))


@pytest.fixture(scope="module")
def faulty(samples: list[Sample]) -> list[Path]:
    return [sample.path for sample in samples if sample.is_defective]


def test_images_that_choose_alpha_by_cost_calibrate_nothing(copy: Path, fresh: list[Path], faulty: list[Path]) -> None:
    before, chosen = read_manifest(copy), by_cost(copy, faulty, fresh)
    made = calibrate(copy, fresh, by_cost=chosen)
    calibrating = set(made.fingerprint["calibration"])
    defects = {hash_file(path) for path in faulty}
    assert defects < set(made.fingerprint["validation"])
    choosing = set(made.fingerprint["validation"]) - set(before.fingerprint["validation"]) - defects
    assert (len(choosing), len(calibrating), len(choosing & calibrating)) == (12, 12, 0)
    assert chosen.chose == 12
    paths = {hash_file(path): path for path in fresh}
    scores = {content: Inspector(copy).inspect(path).score for content, path in paths.items()}
    assert sorted(made.calibration_scores) == sorted(scores[content] for content in calibrating)
    again = LeastCost(chosen.costs, chosen.defective)
    assert made.recipe.calibration.alpha == again.choose(np.array([scores[c] for c in choosing], np.float32), 12, 0.0)
    assert made.threshold == conformal_threshold(np.array(made.calibration_scores), again.best.alpha)


def test_images_that_chose_an_alpha_may_calibrate_for_another(
    copy: Path, fresh: list[Path], faulty: list[Path], samples: list[Sample]
) -> None:
    first = calibrate(copy, fresh, by_cost=by_cost(copy, faulty, fresh))
    second = calibrate(copy, fresh[::-1], by_cost=by_cost(copy, faulty, fresh))
    assert second.fingerprint == first.fingerprint  # neither the order of the files nor what was before plays a part
    with pytest.raises(DataError, match="has learned or chosen by this image"):
        calibrate(copy, [s.path for s in samples if s.split == "train"], by_cost=by_cost(copy, faulty, fresh))
    assert read_manifest(copy) == second
    asked = read_manifest(copy, 1).asked["alpha"]
    assert calibrate(copy, fresh).asked["alpha"] == asked  # and no alpha is handed on that they have chosen
    third = calibrate(copy, fresh, PROMISED)
    assert set(third.fingerprint["calibration"]) == {hash_file(path) for path in fresh}
    assert third.fingerprint["validation"] == read_manifest(copy, 1).fingerprint["validation"]


def test_labelled_defects_that_are_no_defects_are_refused(
    copy: Path, fresh: list[Path], faulty: list[Path], samples: list[Sample], tmp_path: Path
) -> None:
    calibrate(copy, fresh, by_cost=by_cost(copy, faulty, fresh))
    for split in ("train", "validation"):
        used = set(read_manifest(copy, 1).fingerprint[split])
        seen = next(sample.path for sample in samples if hash_file(sample.path) in used)
        with pytest.raises(DataError, match="was made with this image as a good one .1 such"):
            defective_scores(copy, [*faulty, seen], [])
    with pytest.raises(DataError, match="stands among the good images as well .1 such"):
        defective_scores(copy, [*faulty, fresh[0]], fresh)
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="calibrate without it"):
        defective_scores(copy, [tmp_path / "bad.png"], fresh)


def test_a_copy_of_a_labelled_defect_counts_once(copy: Path, faulty: list[Path], tmp_path: Path) -> None:
    twin = Path(shutil.copy(faulty[0], tmp_path / "twin.png"))
    assert len(defective_scores(copy, [*faulty, twin], [])) == len(faulty) == 8


def test_defects_that_have_chosen_are_no_test(
    copy: Path, fresh: list[Path], faulty: list[Path], samples: list[Sample]
) -> None:
    calibrate(copy, fresh, by_cost=by_cost(copy, faulty, fresh))
    with pytest.raises(DataError, match="has seen this test image while it was made .8 such"):
        evaluation.test_samples(samples, Inspector(copy), allow_leaks=False)
    assert len(evaluation.test_samples(samples, Inspector(copy, version=1), allow_leaks=False)[0]) > 8
