"""The exported model answers as the trained one, for any batch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cobnut.losses import ERRORS
from cobnut.models import build_network
from cobnut.models.detector import Detector
from cobnut.options import ScoreOptions
from cobnut.recipe import Recipe
from cobnut.runtime.export import export_onnx
from cobnut.runtime.session import Session

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("error", "smoothing", "area"),
    [("squared", 1, 0.0), ("squared", 5, 0.03), *((error, 1, 0.0) for error in ERRORS if error != "squared")],
)
def test_map_score_and_reconstruction_agree_with_torch(
    tmp_path: Path, tiny_recipe: Recipe, error: str, smoothing: int, area: float
) -> None:
    score = ScoreOptions.model_validate({"error": error, "smoothing": smoothing})
    detector = Detector(build_network(tiny_recipe).eval(), score, area)
    export_onnx(detector, IMAGES[:4], tmp_path / "model.onnx")
    session = Session(tmp_path / "model.onnx")
    for count in (1, 7):
        with torch.inference_mode():
            maps, scores, rebuilt = detector(torch.from_numpy(IMAGES[:count]))
        answer = session.run(IMAGES[:count])
        np.testing.assert_allclose(answer[0], maps.numpy(), rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(answer[1], scores.numpy(), rtol=1e-3)
        assert abs(answer[2].astype(int) - rebuilt.numpy().astype(int)).max() <= 1
