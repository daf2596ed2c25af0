"""The real images: read whole, with their oddities, and judged well above chance."""

from collections import Counter
from pathlib import Path

import pytest

from cobnut.data.audit import audit
from cobnut.data.layouts import read_dataset
from cobnut.evaluation.evaluate import evaluate
from cobnut.recipe import read_recipe
from cobnut.runtime.inspect import Inspector
from cobnut.training.train import train

pytestmark = pytest.mark.real

# train good, test good, test defective, of these with a mask
COUNTS = {
    "mvtec/hazelnut": (50, 2, 8, 8),
    "mvtec/bottle": (209, 20, 63, 8),
    "mvtec/screw": (320, 41, 119, 50),
    "magnetic_tile": (634, 318, 388, 388),
}


@pytest.mark.parametrize("name", COUNTS)
def test_every_data_set_is_read_with_the_counts_that_it_is_known_to_have(real_data: Path, name: str) -> None:
    samples = read_dataset(real_data / name)
    counts = Counter((sample.split, sample.is_defective) for sample in samples)
    drawn = sum(sample.mask_path is not None for sample in samples)
    assert (counts["train", False], counts["test", False], counts["test", True], drawn) == COUNTS[name]


def test_tiles_of_many_sizes_are_sound(real_data: Path) -> None:
    samples = read_dataset(real_data / "magnetic_tile")[::9]
    found = audit(samples)
    assert len(found.sizes) > 20
    assert found.damaged == []


@pytest.mark.slow
def test_a_small_autoencoder_tells_hazelnuts_apart_and_holds_good_ones_out(real_data: Path, tmp_path: Path) -> None:
    samples = read_dataset(real_data / "mvtec" / "hazelnut")
    recipe = read_recipe("cae", ["image.size=64", "training.epochs=60"])
    manifest = train(samples, recipe, tmp_path / "hazelnut.cobnut")
    assert len(manifest.fingerprint["test"]) >= 5
    evaluation = evaluate(Inspector(tmp_path / "hazelnut.cobnut"), samples, "hazelnut")
    assert evaluation.confusion.good == 2 + len(manifest.fingerprint["test"])
    auroc = evaluation.figures["image_auroc"]
    assert auroc is not None
    assert auroc > 0.7
