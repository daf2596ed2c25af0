"""A training that was killed or stopped goes on to the very detector that it would have made."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cobnut.errors import CobnutError
from cobnut.recipe import Recipe, read_recipe
from cobnut.records import Sample
from cobnut.runtime.bundle import Epoch, read_manifest
from cobnut.training.run import run_folder
from cobnut.training.train import Listeners, train
from program import TINY, same_detector

pytestmark = pytest.mark.slow


KILLABLE = """
import sys, time
from pathlib import Path
from cobnut.data.layouts import read_dataset
from cobnut.recipe import Recipe
from cobnut.training import callbacks
from cobnut.training.checks import check_recipe
from cobnut.training.train import Listeners, train
callbacks.WayBack.__init__.__defaults__ = (0.0,)
recipe = Recipe.model_validate_json(sys.argv[2])
def tell(epoch, best):
    print(epoch.epoch, flush=True)
    time.sleep(0.05)
train(read_dataset(Path(sys.argv[1])), recipe, Path(sys.argv[3]), "resume" in sys.argv, Listeners(on_epoch=tell))
"""


@pytest.mark.parametrize("schedule", ["step", "one-cycle"])
def test_a_killed_training_resumes_to_the_very_same_detector(
    samples: list[Sample], tiny_recipe: Recipe, parts: Path, tmp_path: Path, schedule: str
) -> None:
    options = {"epochs": 8, "step_epochs": 3, "schedule": schedule}
    training = tiny_recipe.training.model_copy(update=options)
    recipe = tiny_recipe.model_copy(update={"training": training})
    whole, broken = tmp_path / "whole.cobnut", tmp_path / "broken.cobnut"
    train(samples, recipe, whole)
    command = [sys.executable, "-c", KILLABLE, str(parts), recipe.model_dump_json(), str(broken)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 5:
                os.kill(process.pid, signal.SIGKILL)
                break
    assert not broken.exists()
    assert (run_folder(broken) / "way-back.ckpt").exists()
    done = subprocess.run([*command, "resume"], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] in ("5", "6"), "epochs that were done are not done again"
    assert same_detector(whole, broken)


SMALL_NETWORK = ["image.size=32", "network.widths=[4, 8]", "network.layers=1"]


KINDS = {
    "feature": ["image.size=64", "network.prototypes=8", "training.most_steps=0"],
    "selfsup": SMALL_NETWORK,
    "upsampling": [*SMALL_NETWORK, "training.loss.ms_ssim=1"],
    "robust": [*TINY, "robust.every_epochs=2", "robust.threshold=0.05"],
    "ssim-ae": ["image.size=48", "patches.size=32", "patches.stride=16", "network.width=4", "network.latent=4"],
    "transfer-resnet": ["image.size=64", "network.weights=random", "network.side=8", "network.width=8"],
    "finetune-vgg19": ["network.encoder=resnet18", "network.stride=16", "network.weights=random", "network.side=8"],
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_training_resumes_to_the_very_same_detector(
    name: str, samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spoilt, augmented, cut or split images, kept features and an encoder that learns on."""
    recipe = read_recipe(name, [*KINDS[name], "training.epochs=5", "training.picture_epochs=2"])
    whole, broken = tmp_path / "whole.cobnut", tmp_path / "broken.cobnut"
    train(samples, recipe, whole)
    monkeypatch.setattr("cobnut.training.callbacks.WayBack.__init__.__defaults__", (0.0,))

    def stop(epoch: Epoch, _: int) -> None:
        if epoch.epoch == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(samples, recipe, broken, listeners=Listeners(on_epoch=stop))
    heard: list[int] = []
    train(samples, recipe, broken, True, Listeners(on_epoch=lambda epoch, _: heard.append(epoch.epoch)))
    assert heard == [4, 5]
    assert same_detector(whole, broken)


def test_a_training_killed_after_its_last_epoch_does_not_go_on(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Early stopping had its say; only the bundle was not written."""
    recipe = read_recipe("cae", [*TINY, "training.epochs=40", "training.patience=1", "training.learning_rate=0.05"])
    whole, broken = tmp_path / "whole.cobnut", tmp_path / "broken.cobnut"
    train(samples, recipe, whole)
    assert len(read_manifest(whole).history) < 40
    with monkeypatch.context() as patch:
        patch.setattr("cobnut.training.train.export_onnx", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            train(samples, recipe, broken)
    train(samples, recipe, broken, resume=True)
    assert same_detector(whole, broken)


def test_resuming_a_finished_training_leaves_it_as_it_is(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "a.cobnut"
    first = train(samples, tiny_recipe, out)
    assert train(samples, tiny_recipe, out, resume=True).created == first.created
    with pytest.raises(CobnutError, match="was begun with another recipe, region or images"):
        train(samples, tiny_recipe.model_copy(update={"seed": 9}), out, resume=True)


@pytest.fixture
def interrupted(samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the bundle of a training would stand that was interrupted after its last epoch."""
    out = tmp_path / "a.cobnut"
    with monkeypatch.context() as patch:
        patch.setattr("cobnut.training.train.choose", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(samples, tiny_recipe, out)
    return out


def test_an_interrupted_training_is_not_thrown_away_when_resume_is_forgotten(
    samples: list[Sample], tiny_recipe: Recipe, interrupted: Path
) -> None:
    with pytest.raises(CobnutError, match="holds this very training, interrupted; go on with --resume"):
        train(samples, tiny_recipe, interrupted)
    train(samples, tiny_recipe.model_copy(update={"seed": 9}), interrupted)


def test_a_damaged_checkpoint_is_told_and_the_advice_works(
    samples: list[Sample], tiny_recipe: Recipe, interrupted: Path
) -> None:
    for path in run_folder(interrupted).glob("*.ckpt"):
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(
        CobnutError, match="is damaged .*; remove the folder .*run and begin anew, without --resume if given"
    ):
        train(samples, tiny_recipe, interrupted, resume=True)
    shutil.rmtree(run_folder(interrupted))
    train(samples, tiny_recipe, interrupted)
