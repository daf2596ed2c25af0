"""The fastest engine is measured once and remembered, and never bought with other scores."""

import json
import os
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from cobnut.errors import BundleError, CobnutError
from cobnut.runtime import engines
from cobnut.runtime.bundle import MODEL, read_contents
from cobnut.runtime.engines import open_session
from cobnut.runtime.inspect import Inspector
from cobnut.runtime.session import Session

GREY = np.full((1, 32, 32, 3), 128, np.uint8)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty memory, and nothing said about the engine."""
    monkeypatch.setenv("COBNUT_CACHE", str(tmp_path))
    monkeypatch.delenv("COBNUT_ENGINE")
    return tmp_path / "engines"


def opened(bundle: Path, wanted: str | None = None, spread: float = 1.0) -> Session:
    return open_session(bundle / MODEL, read_contents(bundle).files, GREY, spread, 1, wanted)


def test_what_was_measured_is_remembered(bundle: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(bundle)
    [kept] = cache.iterdir()
    assert json.loads(kept.read_text())["engine"] == first.engine
    monkeypatch.setattr(engines, "_measure", lambda *_: pytest.fail("measured again"))
    assert opened(bundle).engine == first.engine


def test_a_damaged_memory_is_measured_anew(bundle: Path, cache: Path) -> None:
    opened(bundle)
    [kept] = cache.iterdir()
    kept.write_text("{")
    opened(bundle)
    assert "engine" in json.loads(kept.read_text())


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(("openvino", "chosen"), [(0.5, "openvino"), (0.95, "onnxruntime"), (2.0, "onnxruntime")])
def test_openvino_is_taken_where_it_is_clearly_faster(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, openvino: float, chosen: str
) -> None:
    by_a_clock(monkeypatch, openvino)
    assert opened(bundle).engine == chosen


def by_a_clock(monkeypatch: pytest.MonkeyPatch, openvino: float) -> None:
    """OpenVINO takes so much of onnxruntime's time."""
    clock, takes = 0.0, {"onnxruntime": 1.0, "openvino": openvino}

    class Timed(Session):
        def run(self, images: np.ndarray):
            nonlocal clock
            clock += takes[self.engine]
            return super().run(images)

    monkeypatch.setattr(engines, "Session", Timed)
    monkeypatch.setattr(engines.time, "perf_counter", lambda: clock)


@pytest.mark.usefixtures("cache")
def test_an_engine_that_scores_otherwise_is_not_taken_however_fast(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_a_clock(monkeypatch, openvino=0.1)
    assert opened(bundle, spread=1e-12).engine == "onnxruntime"


@pytest.mark.usefixtures("cache")
def test_an_engine_whose_package_tells_no_version_is_one_like_any_other(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def untold(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(engines, "version", untold)
    by_a_clock(monkeypatch, openvino=0.1)
    assert opened(bundle).engine == "openvino"


@pytest.mark.parametrize("threads", [1, 3])
def test_engines_take_no_more_threads_than_they_are_given(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    import onnxruntime
    import openvino

    taken: list[object] = []
    for owner, name in ((onnxruntime, "InferenceSession"), (openvino.Core, "compile_model")):
        whole = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, whole=whole, **k: taken.append(a) or whole(*a, **k))
    for engine in ("onnxruntime", "openvino"):
        Session(bundle / MODEL, threads, engine, read_contents(bundle).files)
    assert taken[0][1].intra_op_num_threads == threads
    assert taken[1][3]["INFERENCE_NUM_THREADS"] == threads


def test_the_named_engine_comes_before_the_environment_and_that_before_the_fastest(
    bundle: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COBNUT_ENGINE", "openvino")
    assert Inspector(bundle).engine == "openvino"
    assert Inspector(bundle, engine="onnxruntime").engine == "onnxruntime"
    assert not cache.exists()
    monkeypatch.setenv("COBNUT_ENGINE", "abacus")
    with pytest.raises(CobnutError, match="valid are auto, onnxruntime, openvino"):
        Inspector(bundle)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("error", [ImportError("libtbb.so: cannot open"), RuntimeError("cannot compile")])
def test_an_engine_that_is_installed_but_broken_does_not_stop_the_line(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    import openvino

    monkeypatch.setattr(openvino, "Core", lambda: (_ for _ in ()).throw(error))
    assert opened(bundle).engine == "onnxruntime"
    with pytest.raises(BundleError, match="OpenVINO cannot load it"):
        opened(bundle, "openvino")


def test_a_memory_that_cannot_be_written_does_not_stop_the_line(bundle: Path, cache: Path) -> None:
    cache.parent.joinpath("engines").write_text("a file where the folder should be")
    assert opened(bundle).engine in ("onnxruntime", "openvino")
    assert os.environ["COBNUT_CACHE"] == str(cache.parent)


def test_images_that_the_model_cannot_judge_are_a_plain_error(bundle: Path) -> None:
    with pytest.raises(BundleError, match=r"cannot judge images of \(31, 32, 3\)") as error:
        open_session(bundle / MODEL, {}, GREY[:, 1:], 1.0, 1, "onnxruntime")
    assert "\n" not in str(error.value)
