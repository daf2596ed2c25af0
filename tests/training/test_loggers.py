"""Every logger hears of every epoch and of the recipe, goes on after an interruption, and says nothing itself."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cobnut.errors import CobnutError
from cobnut.recipe import Recipe
from cobnut.records import Sample
from cobnut.training.loggers import LOGGERS, _without_password, build_loggers, check_loggers
from cobnut.training.run import run_folder
from cobnut.training.table import EpochTable
from cobnut.training.train import train
from program import TINY, Run

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload``")  # MLflow's own, from its use of SQLAlchemy


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "csv" / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_training_is_written_down_by_each_logger_that_was_asked_for(
    run: Callable[..., Run], parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    out = tmp_path / "a.cobnut"
    words = [word for setting in TINY for word in ("--set", setting)]
    done = run(
        "train",
        parts,
        "--recipe",
        "cae",
        "--out",
        out,
        *words,
        "--logger",
        "csv",
        "--logger",
        "mlflow",
        "--logger",
        "tensorboard",
    )
    assert done.code == 0
    assert "mlflow" not in (done.out + done.err).lower()
    folder = run_folder(out)
    assert [row["epoch"] for row in rows(folder)] == ["1", "2", "3"]
    assert all(float(row["train_loss"]) > 0 and float(row["val_mse"]) > 0 for row in rows(folder))
    assert json.loads((folder / "csv" / "options.json").read_text())["network.latent"] == 8
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    written = client.get_run((folder / "mlflow-run.txt").read_text())
    assert written.data.params["training.loss.mse"] == "1.0"
    assert len(client.get_metric_history(written.info.run_id, "val_loss")) == 3
    assert list(folder.glob("mlflow/**/epoch-0001.png"))


@pytest.mark.slow
def test_with_none_nothing_is_written_but_the_pictures(
    samples: list[Sample], tiny_recipe: Recipe, tmp_path: Path
) -> None:
    train(samples, tiny_recipe, tmp_path / "a.cobnut", loggers=("none",))
    left = sorted(path.name for path in run_folder(tmp_path / "a.cobnut").iterdir())
    assert left == ["reconstructions", "run.json"]


def test_a_table_goes_on_and_an_epoch_done_again_replaces_its_row(tmp_path: Path) -> None:
    for epochs in ((0, 1, 2), (2, 3)):
        table = EpochTable(tmp_path / "csv")
        for epoch in epochs:
            table.log_metrics({"epoch": epoch, "val_loss": epochs[0] + epoch / 10}, step=7)
            table.log_metrics({"epoch": epoch, "train_loss": 1.0}, step=7)
            table.save()
    assert [row["epoch"] for row in rows(tmp_path)] == ["1", "2", "3", "4"]
    assert [float(row["val_loss"]) for row in rows(tmp_path)] == [0, 0.1, 2.2, 2.3]


def test_mlflow_goes_on_in_the_same_run(tmp_path: Path, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    first, second = (build_loggers(["mlflow"], tmp_path, tiny_recipe)[0] for _ in range(2))
    assert first.version == second.version == (tmp_path / "mlflow-run.txt").read_text()


def test_cells_of_two_studies_and_of_two_machines_have_names_of_their_own_on_one_server(
    tmp_path: Path, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    server = f"sqlite:///{tmp_path / 'server.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.chdir(tmp_path)  # artifacts of a database without a server stand beside the program
    deep = "/".join(["a-folder-with-a-long-name"] * 12)
    names = set()
    for machine in ("line-1", "line-2"):
        monkeypatch.setattr("platform.node", lambda machine=machine: machine)
        for study in ("june", "july", f"{deep}/june", f"{deep}/july"):
            folder = tmp_path / machine / study / "parts/cae/seed-0/cae.cobnut.run"
            build_loggers(["mlflow"], folder, tiny_recipe)
            names.add(mlflow.MlflowClient(server).get_run((folder / "mlflow-run.txt").read_text()).info.run_name)
    assert len(names) == 2 * 4
    assert all(name.endswith("parts/cae/seed-0/cae.cobnut") and len(name) <= 250 for name in names)


def test_an_mlflow_server_that_is_not_there_is_told_at_once(
    tmp_path: Path, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    with pytest.raises(CobnutError, match=r"MLflow at http://127.0.0.1:9: does not take the run .*; check") as told:
        build_loggers(["mlflow"], tmp_path, tiny_recipe)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:secret@127.0.0.1:9", "http://127.0.0.1:9"),
        ("postgresql+psycopg2://me:se@cret@host/name", "postgresql+psycopg2://host/name"),
        ("sqlite:///runs/mlflow.db", "sqlite:///runs/mlflow.db"),
        ("sqlite:////a@b/mlflow.db", "sqlite:////a@b/mlflow.db"),
        ("runs/mlflow", "runs/mlflow"),
    ],
)
def test_a_server_is_shown_without_its_password_and_a_file_as_it_is(url: str, shown: str) -> None:
    assert _without_password(url) == shown


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    with pytest.raises(CobnutError, match=r"logging to MLflow needs the package mlflow.*cobnut\[mlflow\]"):
        check_loggers(["mlflow"])


def test_an_unknown_logger_is_refused_before_any_work(run: Callable[..., Run], tmp_path: Path) -> None:
    for command in ("train", "study", "tune"):
        done = run(command, tmp_path / "nowhere", "--out", tmp_path / "a", "--logger", "wandb")
        assert done.code == 2
        assert done.err.strip().endswith(f"--logger wandb: there is no such logger; valid are {', '.join(LOGGERS)}")
    with pytest.raises(CobnutError, match="none cannot stand beside others"):
        check_loggers(["none", "csv"])
