import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, load, numpy_helper, save

from graph import REST, count_flops, cut_out_encoder, summarise


@pytest.fixture
def model(tmp_path):
    """A detector in small: an encoder's convolution, 3 to 8 channels, and a product with 5 prototypes."""
    kernel = numpy_helper.from_array(np.ones((8, 3, 3, 3), np.float32), "network.frozen.encoder.stem.weight")
    centres = numpy_helper.from_array(np.ones((8, 5), np.float32), "network.prototypes.centres")
    nodes = [
        helper.make_node("Conv", ["images", kernel.name], ["maps"], "stem", pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["maps"], ["mean"], "pool"),
        helper.make_node("Flatten", ["mean"], ["rows"], "rows"),
        helper.make_node("MatMul", ["rows", centres.name], ["score"], "product"),
    ]
    ends = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, ("n", 3, 4, 6)),
        helper.make_tensor_value_info("score", TensorProto.FLOAT, ("n", 5)),
    ]
    graph = helper.make_graph(nodes, "detector", ends[:1], ends[1:], [kernel, centres])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_operations_are_counted_for_one_image_and_by_part(model):
    assert count_flops(load(model)) == {"encoder": 2 * 8 * 4 * 6 * 3 * 9, "prototypes": 2 * 5 * 8}


def test_the_bare_encoder_gives_the_maps_that_the_rest_takes(model, tmp_path):
    cut_out_encoder(model, tmp_path / "encoder.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "encoder.onnx"), providers=["CPUExecutionProvider"])

    (maps,) = session.run(None, {"images": np.ones((2, 3, 4, 6), np.float32)})

    assert maps.shape == (2, 8, 4, 6)
    assert maps[0, 0, 1, 1] == 27


def test_a_profile_adds_up_by_part_and_gives_added_nodes_to_the_one_before():
    def event(name, at, took):
        return {"name": f"{name}_kernel_time", "ts": at, "dur": took, "args": {"op_name": "Conv"}}

    one = [("stem_nchwc", 0, 2000), ("ReorderOutput", 1, 500), ("product/MatMulAddFusion", 2, 1000), ("other", 3, 10)]
    events = [event(name, at + 10 * run, took) for run in range(3) for name, at, took in one]

    found = summarise(events, {"stem": "encoder", "product": "prototypes", "other": REST})

    assert found["parts"] == {"encoder": 2.5, "prototypes": 1.0, REST: 0.01}
    assert found["nodes"][0] == {"node": "stem_nchwc", "operator": "Conv", "part": "encoder", "ms": 2.0}
