"""Several processes train one network, each on its share of every batch, and none is waited for in vain."""

import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cobnut.data.dataset import EpochOrder, share
from cobnut.data.store import kept_array
from cobnut.errors import CobnutError, RecipeError
from cobnut.files import hash_file
from cobnut.recipe import Recipe, read_recipe
from cobnut.records import Sample
from cobnut.runtime.bundle import Epoch, read_manifest
from cobnut.training.checks import check_recipe
from cobnut.training.devices import pickled
from cobnut.training.run import run_folder
from cobnut.training.train import Listeners, train
from program import TINY, TINY_FEATURE, Run


@given(st.integers(2, 200), st.integers(2, 16))
@settings(max_examples=100)
def test_shares_of_a_batch_are_of_one_size_and_together_the_batch(count: int, processes: int) -> None:
    positions = np.arange(count) * 7
    shares = [share(positions, rank, processes) for rank in range(processes)]
    assert len({len(each) for each in shares}) == 1
    assert len(shares[0]) >= 2
    assert set(np.concatenate(shares)) == set(positions)
    assert all(len(set(each)) == len(each) for each in shares)
    if count % processes == 0 and count >= 2 * processes:
        assert sorted(np.concatenate(shares)) == sorted(positions)


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_part_the_very_batches_of_a_single_one_each_with_a_chance_of_its_own(processes: int) -> None:
    def draws(*seat: int) -> list[tuple[set[int], tuple[int, ...]]]:
        order = EpochOrder(40, 12, 5, True, *seat)
        order.set_epoch(3)
        return [(set(draw.positions.tolist()), draw.seed) for draw in order]

    parted = [draws(rank, processes) for rank in range(processes)]
    for number, (batch, seed) in enumerate(draws()):
        assert set.union(*(each[number][0] for each in parted)) == batch
        assert parted[0][number][1] == seed
        assert len({each[number][1] for each in parted}) == processes


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.devices=0", "should be greater than or equal to 1"),
        ("training.devices=65", "should be less than or equal to 64"),
        ("training.devices=5", "training.devices = 5: a batch gives each at least 2 images; set training.batch_size"),
    ],
)
def test_devices_that_cannot_train_together_are_refused(
    setting: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(RecipeError, match=message):
        check_recipe(read_recipe("cae", [*TINY, setting]))
    check_recipe(read_recipe("cae", [*TINY, "training.devices=4"]))


def test_more_devices_than_gpus_are_refused_where_there_are_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    check_recipe(read_recipe("cae", [*TINY, "training.devices=3"]))
    with pytest.raises(RecipeError, match="training.devices = 4: 3 GPUs are there; set it to 3"):
        check_recipe(read_recipe("cae", [*TINY, "training.devices=4"]))


def test_kept_arrays_are_handed_on_by_their_names_and_parts_of_them_as_they_are() -> None:
    made = np.random.default_rng(0).integers(0, 256, (50, 64, 64), dtype=np.uint8)
    kept = kept_array("handed", made.shape, made.dtype, iter([made]))
    whole, part = pickled(kept), pickled(kept[3:5])
    assert len(whole) < 1000 < len(part)
    assert np.array_equal(pickle.loads(whole), made)
    assert np.array_equal(pickle.loads(part), made[3:5])


def test_features_are_handed_on_by_their_name_with_their_channels_where_they_were() -> None:
    made = np.random.default_rng(0).random((20, 8, 8, 30)).astype(np.float16)
    features = np.moveaxis(kept_array("features", made.shape, made.dtype, iter([made])), -1, 1)
    handed = pickled(features)
    assert len(handed) < 1000
    there = pickle.loads(handed)
    assert np.array_equal(there, features)
    assert there.strides == features.strides
    assert np.array_equal(pickle.loads(pickled(features[2:5])), features[2:5])


def children() -> list[int]:
    tasks = Path("/proc/self/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def evenly_batched(samples: list[Sample], recipe: Recipe, bundle: Path) -> list[Sample]:
    """The samples without those that would leave batches of other sizes; ``bundle`` was trained on the same split."""
    training = read_manifest(bundle).fingerprint["train"]
    size = recipe.training.batch_size
    surplus = set(training[len(training) // size * size :])
    return [sample for sample in samples if hash_file(sample.path) not in surplus]


@pytest.mark.slow
@pytest.mark.skipif(not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists(), reason="needs Linux")
@pytest.mark.skipif(torch.cuda.is_available(), reason="trains on CPUs")
def test_two_devices_learn_what_one_learns_also_when_one_is_lost_and_the_training_goes_on(
    samples: list[Sample], bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without batch normalisation the mean of the shares' gradients is that of the batch."""
    tiny = ["image.size=32", "network.width=4", "network.latent=4", "training.loss={ mse = 1.0 }", "training.epochs=5"]
    alone = read_recipe("ssim-ae", [*tiny, "training.batch_size=4", "training.precision=float32"])
    together = alone.model_copy(update={"training": alone.training.model_copy(update={"devices": 2})})
    samples = evenly_batched(samples, alone, bundle)
    monkeypatch.setattr("cobnut.training.callbacks.WayBack.__init__.__defaults__", (0.0,))
    expected = train(samples, alone, tmp_path / "alone.cobnut", loggers=())
    out, before = tmp_path / "together.cobnut", set(children())

    def lose_the_other(epoch: Epoch, _: int) -> None:
        if epoch.epoch == 3:
            [other] = set(children()) - before
            os.kill(other, signal.SIGKILL)

    with pytest.raises(CobnutError, match=r"the process of device 1 ended before the training did \(killed by SIGKILL"):
        train(samples, together, out, listeners=Listeners(on_epoch=lose_the_other), loggers=())
    assert set(children()) == before
    assert not torch.distributed.is_initialized()
    heard: list[int] = []
    listeners = Listeners(on_epoch=lambda epoch, _: heard.append(epoch.epoch))
    manifest = train(samples, together, out, resume=True, listeners=listeners, loggers=())
    assert heard[0] in (3, 4)
    assert heard[-1] == 5
    assert len(expected.fingerprint["train"]) % 4 == 0
    for one, two in zip(expected.history, manifest.history, strict=True):
        assert two.train_loss == pytest.approx(one.train_loss, rel=1e-3)
        assert two.val_loss == pytest.approx(one.val_loss, rel=1e-3)
    assert not list(run_folder(out).glob("*.ckpt"))
    assert set(children()) == before


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="trains on CPUs")
def test_the_default_recipe_trains_on_two_devices_and_says_all_once(
    run: Callable[..., Run], parts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.cobnut"
    threads, names = torch.get_num_threads(), ("MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS")
    before = [os.environ.get(name) for name in names]
    done = run("train", parts, "--out", out, "--devices", "2", "--logger", "none", "--set", *TINY_FEATURE)
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.out.splitlines()].count("bundle") == 1
    assert [line.split()[0] for line in done.err.splitlines()] == ["good", "works", "epoch"]
    manifest = read_manifest(out)
    assert manifest.recipe.training.devices == 2
    assert np.isfinite([epoch.val_loss for epoch in manifest.history]).all()
    part = next(parts.glob("test/good/*.png"))
    assert run("inspect", out, part).code in (0, 1)
    assert torch.get_num_threads() == threads
    assert [os.environ.get(name) for name in names] == before
