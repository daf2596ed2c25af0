"""Fixtures: rendered parts, a tiny recipe, a bundle trained on them once, and the real images where they are."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from cobnut.cli import main
from cobnut.data.layouts import read_dataset
from cobnut.data.sample_parts import write_sample_parts
from cobnut.recipe import Recipe, read_recipe
from cobnut.records import Sample
from program import TINY, Run

# How long an example takes says something of the machine and of what else it does, nothing of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["COBNUT_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    # else each bundle is measured anew with each engine
    os.environ["COBNUT_ENGINE"] = "onnxruntime"


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small rendered data set in MVTec layout, read only."""
    return write_sample_parts(tmp_path_factory.mktemp("data") / "parts", good=24, test_good=6, defective=2, side=64)


@pytest.fixture(scope="session")
def samples(parts: Path) -> list[Sample]:
    return read_dataset(parts)


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """The first recipe, so small that it trains in a second."""
    return read_recipe("cae", TINY)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, samples: list[Sample], tiny_recipe: Recipe) -> Path:
    """A bundle of the tiny recipe, read only."""
    from cobnut.training.train import train

    out = tmp_path_factory.mktemp("bundles") / "parts.cobnut"
    train(samples, tiny_recipe, out)
    return out


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A real cluster of two nodes with a core each, on this machine; nobody is connected to it yet."""
    os.environ.update({"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"})
    from ray.cluster_utils import Cluster

    few = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=few)
    cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Run the program in this process as a shell would: ``run("data", folder)``."""

    def run_program(*words: str | Path) -> Run:
        monkeypatch.setattr(sys, "argv", ["cobnut", *map(str, words)])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return Run(int(stop.value.code or 0), captured.out, captured.err)

    return run_program


@pytest.fixture
def write_image(tmp_path: Path) -> Callable[..., Path]:
    """Save an array or Pillow image below the test's folder."""

    def write(name: str, image: Image.Image | np.ndarray, **options: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        image.save(path, **options)
        return path

    return write


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real images of `../shared/data` or `$COBNUT_DATA`; the test is skipped where there are none."""
    named = os.environ.get("COBNUT_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real images: neither ../shared/data nor $COBNUT_DATA")
    return folder
