"""Training repeats exactly, survives a kill, and overwrites nothing that is not its own."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from cobnut.data.dataset import Batch
from cobnut.errors import CobnutError, DataError
from cobnut.files import hash_file
from cobnut.options import TrainingOptions
from cobnut.recipe import Recipe, read_recipe
from cobnut.records import Sample, Split
from cobnut.runtime.bundle import Epoch, read_manifest
from cobnut.training.rebuilding import Rebuilding
from cobnut.training.run import run_folder
from cobnut.training.train import Listeners, train, without_copies
from program import TINY, same_detector

pytestmark = pytest.mark.slow


def test_the_same_seed_gives_the_same_detector_and_another_seed_another(
    samples: list[Sample], tiny_recipe: Recipe, bundle: Path, tmp_path: Path
) -> None:
    train(samples[::-1], tiny_recipe, tmp_path / "again.cobnut")
    assert same_detector(bundle, tmp_path / "again.cobnut")
    other = train(samples, tiny_recipe.model_copy(update={"seed": 1}), tmp_path / "other.cobnut")
    assert other.threshold != read_manifest(bundle).threshold


def test_losses_fall_and_pictures_and_logs_are_left_beside_the_bundle(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path
) -> None:
    heard: list[Epoch] = []
    training = tiny_recipe.training.model_copy(update={"epochs": 12, "picture_epochs": 5})
    out = tmp_path / "a.cobnut"
    recipe = tiny_recipe.model_copy(update={"training": training})
    train(samples, recipe, out, listeners=Listeners(on_epoch=lambda epoch, _: heard.append(epoch)))
    assert [epoch.epoch for epoch in heard] == list(range(1, 13))
    assert heard[-1].train_loss < heard[0].train_loss
    assert heard[-1].val_loss < heard[0].val_loss
    pictures = sorted(path.name for path in (run_folder(out) / "reconstructions").iterdir())
    assert pictures == ["epoch-0001.png", "epoch-0005.png", "epoch-0010.png"]
    assert list((run_folder(out) / "tensorboard").glob("events.out.tfevents.*"))
    assert not (run_folder(out) / "way-back.ckpt").exists()


def test_training_stops_early_and_keeps_the_best_epoch(samples: list[Sample], tmp_path: Path) -> None:
    recipe = read_recipe(
        "cae",
        ["image.size=32", "network.widths=[4, 4, 4]", "network.hidden=8", "network.latent=2", "training.patience=2",
         "training.learning_rate=0.2", "training.step_gamma=1", "training.epochs=60"],
    )  # fmt: skip
    manifest = train(samples, recipe, tmp_path / "a.cobnut")
    losses = [epoch.val_loss for epoch in manifest.history]
    assert len(losses) < 60
    assert manifest.best_epoch == losses.index(min(losses)) + 1


def test_the_learning_rate_falls_in_steps(samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path) -> None:
    options = {"epochs": 5, "learning_rate": 1e-3, "step_epochs": 2, "step_gamma": 0.1}
    training = tiny_recipe.training.model_copy(update=options)
    manifest = train(samples, tiny_recipe.model_copy(update={"training": training}), tmp_path / "a.cobnut")
    assert [epoch.learning_rate for epoch in manifest.history] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5])


def test_one_cycle_climbs_to_the_rate_and_falls_to_nothing(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path
) -> None:
    training = tiny_recipe.training.model_copy(update={"epochs": 8, "learning_rate": 1e-3, "schedule": "one-cycle"})
    manifest = train(samples, tiny_recipe.model_copy(update={"training": training}), tmp_path / "a.cobnut")
    rates = [epoch.learning_rate for epoch in manifest.history]
    highest = rates.index(max(rates))
    assert 0 < highest < 4
    assert rates[: highest + 1] == sorted(rates[: highest + 1])
    assert rates[highest:] == sorted(rates[highest:], reverse=True)
    assert rates[-1] < max(rates) / 20 < max(rates) <= 1e-3


@pytest.mark.parametrize("images", [1, 8, 9, 300, 301, 100_000])
def test_a_bound_of_steps_shortens_the_whole_schedule_alike(images: int) -> None:
    options = TrainingOptions(epochs=100, patience=30, step_epochs=40, batch_size=8, most_steps=1000)
    shortened = options.shortened(images)
    assert shortened.epochs == options.epochs_for(images)
    share = shortened.epochs / 100
    assert share * 30 <= shortened.patience < share * 30 + 1
    assert share * 40 <= shortened.step_epochs < share * 40 + 1
    assert shortened.epochs_for(images) == shortened.epochs
    assert shortened.epochs * options.batches_for(images) < 1000 + options.batches_for(images)
    assert shortened.epochs >= 4
    assert options.model_copy(update={"most_steps": 0}).shortened(images).patience == 30


def test_no_more_batches_train_than_the_bound_of_steps_however_many_images_there_are(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    step = Rebuilding.training_step

    def counted(module: Rebuilding, batch: Batch) -> Tensor:
        trained.append(len(batch.wanted))
        return step(module, batch)

    monkeypatch.setattr(Rebuilding, "training_step", counted)
    training = tiny_recipe.training.model_copy(update={"epochs": 50, "patience": 50, "batch_size": 4, "most_steps": 8})
    manifest = train(samples, tiny_recipe.model_copy(update={"training": training}), tmp_path / "a.cobnut", loggers=())
    assert len(manifest.fingerprint["train"]) > 2 * 4  # more than a quarter of the steps would see
    assert (len(manifest.history), len(trained)) == (4, 8)


def test_where_steps_bind_more_epochs_train_no_longer_and_stop_earlier_as_the_help_says() -> None:
    asked = [TrainingOptions(epochs=epochs, patience=30, most_steps=1000) for epochs in (100, 200, 400)]
    shortened = [each.shortened(800) for each in asked]
    assert [each.epochs for each in shortened] == [10, 10, 10]
    assert [each.patience for each in shortened] == [3, 2, 1]
    assert "raise most_steps instead" in str(TrainingOptions.model_fields["epochs"].description)


def test_a_shortened_training_lowers_its_rate_as_often_as_a_whole_one(
    bundle: Path, samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path
) -> None:
    options = tiny_recipe.training
    steps = -(-len(read_manifest(bundle).fingerprint["train"]) // options.batch_size)
    updates = {"epochs": 60, "learning_rate": 1e-3, "step_epochs": 20, "step_gamma": 0.1, "most_steps": 6 * steps}
    recipe = tiny_recipe.model_copy(update={"training": options.model_copy(update=updates)})
    manifest = train(samples, recipe, tmp_path / "a.cobnut")
    rates = [epoch.learning_rate for epoch in manifest.history]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])


def test_options_that_the_recipe_fixes_are_not_chosen(samples: list[Sample], tmp_path: Path) -> None:
    view = ["score.smoothing=1", "score.normalise=none"]
    fixed = ["calibration.q=99.5", "score.least_area=0.01", *view, "image.size=32", "training.epochs=1"]
    manifest = train(samples, read_recipe("cae", fixed), tmp_path / "a.cobnut")
    assert manifest.choice is None
    assert (manifest.recipe.calibration.q, manifest.recipe.score.least_area) == (99.5, 0.01)


def test_a_defect_among_the_good_images_is_split_off(samples: list[Sample], tmp_path: Path) -> None:
    recipe = read_recipe("robust", [*TINY, "robust.every_epochs=1", "robust.threshold=0.01", "training.epochs=2"])
    plain = read_recipe("cae", [*TINY, "training.epochs=2"])
    losses = [train(samples, each, tmp_path / each.name).history[-1].train_loss for each in (plain, recipe)]
    assert losses[1] < losses[0]


def test_what_is_not_a_bundle_is_never_overwritten(samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for out in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(CobnutError, match="exists and is not just a bundle"):
            train(samples, tiny_recipe, out)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_same_photograph_in_another_file_does_not_calibrate(
    samples: list[Sample], tiny_recipe: Recipe, bundle: Path, tmp_path: Path
) -> None:
    paths = {hash_file(sample.path): sample.path for sample in samples}
    copies = []
    for number, content in enumerate(read_manifest(bundle).fingerprint["train"][:6]):
        copy = tmp_path / f"{number}.bmp"
        Image.open(paths[content]).convert("RGB").save(copy)
        copies.append(Sample(copy, "train", "good", "good", None))
    split = tiny_recipe.split.model_copy(update={"calibration": 0.4})
    recipe = tiny_recipe.model_copy(update={"split": split})
    manifest = train([*samples, *copies], recipe, tmp_path / "copies.cobnut", loggers=())
    calibrating = set(manifest.seen["calibration"])
    assert not calibrating & {*manifest.seen["train"], *manifest.seen["validation"]}
    assert len(manifest.fingerprint["calibration"]) == len(manifest.calibration_scores) == len(calibrating)


def test_of_calibration_images_only_those_are_kept_that_stand_nowhere_else() -> None:
    different = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8)
    images: dict[Split, np.ndarray] = {
        "train": different[:3],
        "validation": different[3:5],
        "calibration": different[[1, 5, 6, 4, 6, 7]],
    }
    assert without_copies(images) == [1, 2, 5]
    with pytest.raises(DataError, match="1 good images for calibration are no copies of others, and 3 are needed"):
        without_copies({**images, "calibration": different[[1, 5, 5]]})


def test_a_promise_that_cannot_be_kept_leaves_no_folder_behind(samples: list[Sample], tmp_path: Path) -> None:
    recipe = read_recipe("cae", [*TINY, "calibration.method=conformal", "calibration.alpha=0.001"])
    with pytest.raises(CobnutError, match="alpha 0.001 needs 999 good calibration images"):
        train(samples, recipe, tmp_path / "a.cobnut")
    assert not list(tmp_path.iterdir())
