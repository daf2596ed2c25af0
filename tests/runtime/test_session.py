"""Every engine answers alike, from any thread, and what is no model of ours is refused in one line."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from cobnut.errors import BundleError, CobnutError
from cobnut.runtime.bundle import MODEL
from cobnut.runtime.session import ENGINES, EngineName, Session, check_engine

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)


def test_openvino_scores_as_onnxruntime(bundle: Path) -> None:
    one, two = (Session(bundle / MODEL, threads=1, engine=engine).run(IMAGES[:5]) for engine in ENGINES)
    np.testing.assert_allclose(one[1], two[1], rtol=1e-4)
    np.testing.assert_allclose(one[0], two[0], rtol=1e-3, atol=1e-6)
    assert one[2] is not None
    assert two[2] is not None
    assert abs(one[2].astype(int) - two[2].astype(int)).max() <= 1


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_that_ask_at_once_get_their_own_answers(bundle: Path, engine: EngineName) -> None:
    session = Session(bundle / MODEL, threads=1, engine=engine)
    alone = [session.run(IMAGES[place : place + 1])[1][0] for place in range(len(IMAGES))]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda place: session.run(IMAGES[place : place + 1])[1][0], range(len(IMAGES))))
    assert together == pytest.approx(alone, rel=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_no_model_is_refused(tmp_path: Path, engine: EngineName) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(BundleError, match=r"cannot load it") as error:
        Session(tmp_path / "model.onnx", engine=engine)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_that_wants_other_inputs_is_refused(tmp_path: Path, engine: EngineName) -> None:
    kinds = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("pictures", "score")]
    graph = helper.make_graph([helper.make_node("Relu", ["pictures"], ["score"])], "other", kinds[:1], kinds[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(BundleError, match="does not take images and give anomaly_map and score"):
        Session(tmp_path / "m.onnx", engine=engine)


def test_an_unknown_engine_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(CobnutError, match=r"engine 'tensorrt': there is none; valid are auto, onnxruntime, openvino"):
        check_engine("tensorrt")


def test_an_engine_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CobnutError, match=r"needs the package openvino.*pip install 'cobnut\[openvino\]'"):
        check_engine("openvino")
