"""The engine gives what the network gives."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cobnut.models.detector import to_unit
from cobnut.training.engine import Engine


def test_on_a_gpu_it_runs_a_copy_and_leaves_the_network_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[nn.Module] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    to_device, to = nn.Module.to, Tensor.to
    monkeypatch.setattr(nn.Module, "to", lambda module, *_: moved.append(module) or to_device(module, "cpu"))
    monkeypatch.setattr(Tensor, "to", lambda tensor, *where: to(tensor, *("cpu" if w == "cuda" else w for w in where)))
    network, images = nn.Conv2d(3, 1, 1).eval(), np.full((2, 8, 8, 3), 100, np.uint8)
    engine = Engine(network)
    first = engine(images)
    with torch.no_grad():
        network.weight.zero_()
    np.testing.assert_array_equal(engine(images), first)
    assert len(moved) == 1
    assert network not in list(moved[0].modules())


def test_it_gives_what_the_network_gives_for_any_number_of_images() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU()).eval()
    engine = Engine(network)
    for count in (1, 5):
        images = np.random.default_rng(count).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
        with torch.inference_mode():
            expected = network(to_unit(torch.from_numpy(images))).numpy()
        np.testing.assert_allclose(engine(images), expected, atol=1e-5)
