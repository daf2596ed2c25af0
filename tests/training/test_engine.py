"""The engine gives what the network gives."""

import numpy as np
import torch
from torch import nn

from cobnut.models.detector import to_unit
from cobnut.training.engine import Engine


def test_it_gives_what_the_network_gives_for_any_number_of_images() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU()).eval()
    engine = Engine(network)
    for count in (1, 5):
        images = np.random.default_rng(count).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
        with torch.inference_mode():
            expected = network(to_unit(torch.from_numpy(images))).numpy()
        np.testing.assert_allclose(engine(images), expected, atol=1e-5)
