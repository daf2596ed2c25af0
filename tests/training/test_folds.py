"""A training over folds: what a fold left out never made its detector, and the bundle counts by the definition."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cobnut.data.images import read_image
from cobnut.data.sample_parts import write_sample_parts
from cobnut.errors import CobnutError, DataError, RecipeError
from cobnut.evaluation.evaluate import evaluate
from cobnut.models import build_detector, build_network
from cobnut.recipe import Recipe, read_recipe
from cobnut.records import Sample
from cobnut.report.making import choice_text, decision_text, promise_text, threshold_text
from cobnut.runtime.bundle import Manifest, read_manifest
from cobnut.runtime.inspect import Inspector
from cobnut.runtime.versions import calibrate
from cobnut.runtime.watch import LogWatch
from cobnut.study.tune import build_task
from cobnut.training import folds as made_of_folds
from cobnut.training.folds import deal_folds, make_folds, pool
from cobnut.training.made import One
from cobnut.training.run import run_folder
from cobnut.training.train import Listeners, train
from program import TINY, Run

FOLDS = 3
SETTINGS = (
    *TINY,
    "calibration.method=conformal",
    f"calibration.folds={FOLDS}",
    "score.smoothing=3",
    "score.least_area=0.01",
)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return read_recipe("cae", SETTINGS)


@pytest.fixture(scope="module")
def made(samples: list[Sample], recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """A bundle of folds, killed in its second fold and gone on with, read only."""
    out, heard = tmp_path_factory.mktemp("folds") / "parts.cobnut", []

    def kill(epoch: object, best_epoch: int) -> None:  # noqa: ARG001
        if heard[-1] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        listeners = Listeners(on_fold=lambda number, _: heard.append(number), on_epoch=kill)
        train(samples, recipe, out, listeners=listeners, loggers=())
    with pytest.raises(CobnutError, match="interrupted; go on with --resume"):
        train(samples, recipe, out, loggers=())
    told: list[int] = []
    epochs: list[int] = []
    listeners = Listeners(on_fold=lambda number, _: told.append(number), on_epoch=lambda *_: epochs.append(told[-1]))
    train(samples, recipe, out, resume=True, listeners=listeners, loggers=())
    assert told == [1, 2, 3]
    assert 1 not in epochs  # what was done is not done again
    assert {2, 3} <= set(epochs)
    assert not list(run_folder(out).rglob("*.ckpt"))
    return out, read_manifest(out)


def test_a_killed_training_ends_as_one_that_was_not(
    made: tuple[Path, Manifest], samples: list[Sample], recipe: Recipe, tmp_path: Path
) -> None:
    whole = train(samples[::-1], recipe, tmp_path / "a.cobnut", loggers=())
    left = {"created", "seconds", "history", "files"}
    assert whole.model_dump(exclude=left) == made[1].model_dump(exclude=left)
    weights = [load_file(out / "model.safetensors") for out in (made[0], tmp_path / "a.cobnut")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


def test_a_score_counts_the_left_out_images_that_its_fold_finds_less_odd(
    made: tuple[Path, Manifest], samples: list[Sample], recipe: Recipe
) -> None:
    out, manifest = made
    hashes = manifest.seen["train"]
    images = {made_of_folds.hash_pixels(read_image(s.path, recipe.image)): s.path for s in samples}
    dealt = deal_folds(hashes, recipe)
    weights = load_file(out / "model.safetensors")
    test = [sample.path for sample in samples if sample.split == "test"]
    counts = np.zeros(len(test))
    for number, fold in enumerate(dealt, start=1):
        named = {name: value for name, value in weights.items() if name.startswith(f"fold-{number}.")}
        detector = build_detector(build_network(recipe), manifest.recipe).eval()
        own = {name.partition(".")[2]: value for name, value in named.items()}
        detector.typical = own.get("typical")
        detector.load_state_dict(own)

        def judge(paths: list[Path], by: torch.nn.Module = detector) -> np.ndarray:
            stack = np.stack([read_image(path, recipe.image) for path in paths])
            with torch.inference_mode():
                return by(torch.from_numpy(stack))[1].numpy()

        left_out = judge([images[hashes[place]] for place in fold.left_out])
        counts += (left_out[None, :] < judge(test)[:, None] * (1 - 1e-6)).sum(axis=1)
    inspector = Inspector(out)
    verdicts = [inspector.inspect(path) for path in test]
    np.testing.assert_array_equal([np.floor(verdict.score) for verdict in verdicts], counts)
    assert manifest.calibration_scores == list(range(1, len(manifest.calibration_scores) + 1))
    assert verdicts[0].reconstruction is not None


def test_maps_are_told_in_a_unit_in_which_the_level_is_the_threshold(made: tuple[Path, Manifest]) -> None:
    assert made[1].level == pytest.approx(made[1].threshold)


def test_every_fold_is_left_out_once_and_made_nothing_of_its_detector(recipe: Recipe) -> None:
    contents = [f"{number:064x}" for number in range(32)]
    dealt = deal_folds(contents, recipe)
    left_out = np.concatenate([fold.left_out for fold in dealt])
    assert len(set(left_out)) == len(left_out) == 30  # equal folds; the other two only train
    for fold in dealt:
        assert sorted([*fold.train, *fold.validation, *fold.left_out]) == list(range(32))
    shuffled = contents[::-1]
    again = deal_folds(shuffled, recipe)
    for one, two in zip(dealt, again, strict=True):
        assert {contents[place] for place in one.train} == {shuffled[place] for place in two.train}


def test_an_image_saved_twice_calibrates_once_and_no_detector_sees_its_own_fold(recipe: Recipe, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (31, 32, 32, 3), dtype=np.uint8)
    images[30] = images[0]
    seen: list[set[bytes]] = []

    def make(own: Recipe, train: np.ndarray, validation: np.ndarray, folder: Path) -> One:  # noqa: ARG001
        assert own.calibration.folds == 0
        seen.append({image.tobytes() for image in (*train, *validation)})
        return One(build_detector(build_network(own), own), own, None, [], 0, {})

    made = make_folds(recipe, recipe, images, [], tmp_path, make, lambda *_: None)
    _, folds, kept, _ = made.export.args  # type: ignore[attr-defined]
    dealt = [{kept[place].tobytes() for place in fold.left_out} for fold in folds]
    assert len(set.union(*dealt)) == sum(map(len, dealt)) == 30
    assert all(not left_out & others for left_out, others in zip(dealt, seen, strict=True))
    assert len(made.seen["train"]) == 30


def test_images_whose_sizes_would_choose_another_size_in_another_fold_are_refused(
    recipe: Recipe, tmp_path: Path, write_image: Callable[..., Path]
) -> None:
    random = np.random.default_rng(0)
    paths = [write_image(f"{n}.png", np.zeros((128 + 64 * (n % 2),) * 2, np.uint8)) for n in range(30)]
    images = random.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    asked = recipe.model_copy(update={"image": recipe.image.model_copy(update={"follow": True, "size": 512})})
    with pytest.raises(
        DataError, match=r"the good images differ in size.*set image.follow=false, image.size=32 and image.aspect=1"
    ):
        make_folds(asked, recipe, images, paths, tmp_path, lambda *_: pytest.fail("trains"), lambda *_: None)


def test_copies_count_once_and_the_test_stays_apart() -> None:
    parts = {name: [Path(each) for each in each_list] for name, each_list in
             {"train": ["b", "a", "c"], "validation": ["d"], "calibration": ["e"], "test": ["t"]}.items()}  # fmt: skip
    hashes = {Path(name): content for name, content in zip("abcdet", "211345", strict=True)}
    pooled = pool(parts, hashes)  # type: ignore[arg-type]
    assert [hashes[path] for path in pooled["train"]] == ["1", "2", "3", "4"]
    assert pooled["calibration"] == pooled["train"]
    assert (pooled["validation"], pooled["test"]) == ([], [Path("t")])


def test_no_good_image_of_the_folds_is_a_test_or_calibrates_again(
    made: tuple[Path, Manifest], samples: list[Sample], tmp_path: Path
) -> None:
    out, manifest = made
    used = set(manifest.fingerprint["train"])
    evaluation = evaluate(Inspector(out), samples, "parts")
    assert evaluation.held_out == len(manifest.fingerprint["test"]) > 0
    copy = Path(shutil.copytree(out, tmp_path / "copy.cobnut"))
    good = [sample for sample in samples if sample.split == "train"]
    trained = [s.path for s in good if made_of_folds.hash_pixels(read_image(s.path, manifest.recipe.image))
               in manifest.seen["train"]]  # fmt: skip
    assert len(trained) == len(used)
    with pytest.raises(DataError, match="the detector has learned or chosen by this image"):
        calibrate(copy, trained[:5])


def test_fresh_images_calibrate_it_like_any_other(made: tuple[Path, Manifest], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made[0], tmp_path / "copy.cobnut"))
    fresh = (
        write_sample_parts(tmp_path / "fresh", good=24, test_good=1, defective=1, side=64, seed=7) / "train" / "good"
    )
    again = calibrate(copy, sorted(fresh.iterdir()), {"alpha": 0.1, "confidence": 0.5})
    assert (again.recipe.calibration.folds, again.folds) == (0, FOLDS)
    inspector = Inspector(copy)
    scores = sorted(inspector.inspect(path).score for path in fresh.iterdir())
    np.testing.assert_allclose(sorted(again.calibration_scores), scores, rtol=1e-5)
    assert again.threshold in again.calibration_scores
    assert promise_text(again).startswith("With 50\u202f% confidence, at most 10\u202f% of good parts are rejected")


def test_it_is_told_what_is_proved_of_folds_and_no_more(made: tuple[Path, Manifest]) -> None:
    manifest = made[1]
    images = len(manifest.calibration_scores)
    least = 1 / (images // FOLDS + 1)
    assert least <= float(manifest.recipe.calibration.alpha) < 1.1 * least
    text = promise_text(manifest)
    assert f"as long as they are like the good images of the {FOLDS} folds" in text
    assert "judged by a detector that was made without it" in threshold_text(manifest)
    assert f"each to that of the {FOLDS} detectors which was made without it" in decision_text(manifest)
    assert "each fold's detector chose" in choice_text(manifest)


def test_the_program_tells_which_fold_it_is_at_and_the_whole_way_works(
    run: Callable[..., Run], parts: Path, tmp_path: Path
) -> None:
    out, settings = tmp_path / "a.cobnut", [word for setting in TINY for word in ("--set", setting)]
    done = run("train", parts, "--out", out, "--recipe", "cae", *settings, "--folds", "2", "--logger", "none")
    assert done.code == 0, done.err
    assert [line for line in done.err.splitlines() if line.startswith("fold")] == ["fold 1 of 2", "fold 2 of 2"]
    assert "defective when odder than that many left-out images to the 2 detectors" in done.out
    assert "in the first of 2 folds" in done.out
    log = tmp_path / "line.jsonl"
    commands = [
        ["evaluate", out, parts, "--report", tmp_path / "a.html"],
        ["inspect", out, parts / "test", "--log", log],
        ["drift", out, log],
        ["replay", out, out, log],
    ]
    for words in commands:
        done = run(*words)
        assert done.code in (0, 3), done.err
    assert "as long as they are like the good images of the 2 folds" in (tmp_path / "a.html").read_text(
        encoding="utf-8"
    )


def test_a_log_is_watched_against_itself_and_rejections_against_what_is_proved(made: tuple[Path, Manifest]) -> None:
    watch = LogWatch(made[1], 0.01, 0.0)
    size = len(made[1].calibration_scores) // FOLDS
    assert watch.limit == pytest.approx(1 - 0.005 ** (1 / size))  # above the highest of one fold's
    assert not watch.state()["scores"]


def test_a_search_does_not_go_over_folds(samples: list[Sample], recipe: Recipe) -> None:
    with pytest.raises(
        RecipeError, match=r"calibration.folds = 3: a search chooses by good images, which then may not calibrate"
    ):
        build_task(samples, recipe, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--folds", "3", "--confidence", "0.9"], "with folds nothing is proved of one very set; leave out confidence"),
        (["--folds", "3", "--alpha", "0.01"], "alpha 0.01 with 3 folds needs 297 good images; you have"),
        (["--folds", "1"], "must be 0, or 2 at the least"),
        (["--folds", "90"], "90 folds of"),
    ],
)
def test_what_folds_cannot_do_is_refused_in_one_line(
    run: Callable[..., Run], parts: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    done = run("train", parts, "--out", tmp_path / "a.cobnut", "--recipe", "cae", "--set", "image.size=32", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "a.cobnut").exists()
