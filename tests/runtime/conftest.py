"""Manifests to watch a log by."""

from pathlib import Path

import numpy as np
import pytest

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
