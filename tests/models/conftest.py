"""The real weights of encoders, where they are."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_weights() -> Path:
    """The weights of `../shared/weights` or `$COBNUT_WEIGHTS`; the test is skipped where there are none."""
    named = os.environ.get("COBNUT_WEIGHTS")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "weights"
    if not folder.is_dir():
        pytest.skip("no real weights: neither ../shared/weights nor $COBNUT_WEIGHTS")
    return folder
