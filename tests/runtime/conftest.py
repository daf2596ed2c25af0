"""Manifests to watch a log by, and images for a batch."""

from pathlib import Path

import numpy as np
import pytest

from batches import COUNT, SHARD, write_images
from cobnut.runtime.batch import Request
from cobnut.runtime.bundle import Manifest, read_manifest


@pytest.fixture
def manifest(bundle: Path) -> Manifest:
    scores = [float(score) for score in np.random.default_rng(0).lognormal(sigma=0.3, size=60)]
    return read_manifest(bundle).model_copy(update={"threshold": 2.5, "calibration_scores": scores})


@pytest.fixture
def promised(manifest: Manifest) -> Manifest:
    """One that promises 5 %, so that by chance it may be 14.6 %."""
    calibration = manifest.recipe.calibration.model_copy(update={"method": "conformal", "alpha": 0.05})
    return manifest.model_copy(update={"recipe": manifest.recipe.model_copy(update={"calibration": calibration})})


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of noise, of which one is damaged and one empty; read only."""
    return write_images(tmp_path_factory.mktemp("batch") / "in", COUNT)


@pytest.fixture
def request_(bundle: Path, images: Path, tmp_path: Path) -> Request:
    return Request(bundle, None, [str(images)], tmp_path / "out", shard=SHARD)
