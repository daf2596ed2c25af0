"""Kept features come a few images at a time, and as often as they are wanted."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cobnut.data.store import kept_array
from cobnut.models.batches import Batches


def test_every_image_comes_once_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBNUT_CACHE", str(tmp_path))
    made = np.random.default_rng(0).random((10, 3, 4, 5)).astype(np.float16)
    batches = Batches(kept_array("features", made.shape, made.dtype, iter([made])))
    for _ in range(2):
        seen = list(batches)
        assert max(len(batch) for batch in seen) < len(made)
        assert torch.equal(torch.cat(seen), torch.from_numpy(made).float())
