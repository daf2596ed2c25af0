"""An audit counts everything and stumbles over nothing."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from cobnut.data.audit import audit
from cobnut.data.layouts import read_dataset


def test_a_sound_data_set_is_counted(parts: Path) -> None:
    found = audit(read_dataset(parts))
    assert found.counts["train", "good"] == 24
    assert found.masks["test", "crack"] == 2
    assert found.sizes == {(64, 64): 38}
    assert found.modes == {"RGB": 38}
    assert (found.missing_masks, found.damaged, found.bad_masks) == (0, [], [])


def test_damaged_files_missing_and_wrong_masks_are_found(parts: Path, tmp_path: Path) -> None:
    root = tmp_path / "parts"
    shutil.copytree(parts, root)
    (root / "train" / "good" / "000.png").write_bytes(b"broken")
    masks = root / "ground_truth"
    (masks / "hole" / "000_mask.png").unlink()
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(masks / "crack" / "000_mask.png")
    Image.fromarray(np.full((10, 64), 255, np.uint8)).save(masks / "cut" / "000_mask.png")
    (masks / "print" / "001_mask.png").write_bytes(b"broken")
    Image.fromarray(np.full((64, 64), 1023, np.uint16)).save(root / "train" / "good" / "001.png")
    found = audit(read_dataset(root))
    assert found.missing_masks == 1
    assert len(found.damaged) == 1
    assert len(found.bad_masks) == 3
    told = " ".join(found.bad_masks)
    assert "marks no pixel" in told
    assert "is 64 × 10 pixels, its image 64 × 64" in told
    assert found.deepest_bits == 10
