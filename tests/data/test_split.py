"""The split is a function of content and seed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cobnut.data.split import FEWEST_HELD_BACK, content_hashes, split_samples
from cobnut.data.split import test_share as share_for_test
from cobnut.errors import DataError
from cobnut.options import SplitOptions
from cobnut.records import Sample

OPTIONS = SplitOptions(validation=0.15, calibration=0.15, test="auto")


def goods(count: int, prefix: str = "a") -> list[Sample]:
    return [Sample(Path(f"{prefix}{index}"), "train", "good") for index in range(count)]


def sides(samples: Sequence[Sample], seed: int = 0, options: SplitOptions = OPTIONS) -> dict[Path, str]:
    hashes = {sample.path: sha256(sample.path.name.encode()).hexdigest() for sample in samples}
    return {sample.path: sample.split for sample in split_samples(samples, options, seed, hashes)}


@given(st.permutations(range(40)), st.integers(0, 1000))
@settings(max_examples=20)
def test_the_order_of_files_plays_no_part(order: list[int], seed: int) -> None:
    samples = goods(40)
    assert sides([samples[index] for index in order], seed) == sides(samples, seed)


def test_another_seed_gives_another_split() -> None:
    assert sides(goods(100), 0) != sides(goods(100), 1)


def test_the_test_side_does_not_depend_on_the_seed() -> None:
    held_out = [{path for path, side in sides(goods(100), seed).items() if side == "test"} for seed in (0, 1)]
    assert held_out[0] == held_out[1]


def test_no_image_changes_sides_when_others_come() -> None:
    fewer, more = sides(goods(200)), sides(goods(400))
    assert all(more[path] == side for path, side in fewer.items())


def test_the_shares_are_about_what_was_asked_for() -> None:
    counts = Counter(sides(goods(4000)).values())
    assert counts["test"] == pytest.approx(800, abs=80)
    assert counts["validation"] == pytest.approx(480, abs=70)
    assert counts["calibration"] == pytest.approx(480, abs=70)


@given(st.integers(20, 60), st.integers(0, 500))
@settings(max_examples=30)
def test_no_side_stays_empty_however_few_images_there_are(count: int, seed: int) -> None:
    counts = Counter(sides(goods(count), seed).values())
    assert counts["train"] >= 7
    assert min(counts[side] for side in ("validation", "calibration", "test")) >= FEWEST_HELD_BACK


def test_copies_of_one_image_stand_on_one_side() -> None:
    samples = goods(60)
    copies = [replace(sample, path=Path(f"copy of {sample.path}")) for sample in samples]
    hashes = {sample.path: sha256(sample.path.name.split()[-1].encode()).hexdigest() for sample in samples + copies}
    side = {sample.path: sample.split for sample in split_samples(samples + copies, OPTIONS, 0, hashes)}
    assert all(side[sample.path] == side[Path(f"copy of {sample.path}")] for sample in samples)


def test_good_images_are_held_out_for_the_test_only_where_the_data_set_brings_few() -> None:
    given_test = [Sample(Path(f"t{index}"), "test", "good") for index in range(20)]
    assert share_for_test(goods(50), OPTIONS) == 0.2
    assert share_for_test(goods(50) + given_test, OPTIONS) == 0
    assert share_for_test(goods(50) + given_test, SplitOptions(test=0.1)) == 0.1


def test_a_calibration_set_that_the_data_brings_is_kept() -> None:
    brought = [replace(sample, split="calibration") for sample in goods(10, "c")]
    side = sides(goods(50) + brought)
    assert {path.name for path, name in side.items() if name == "calibration"} == {f"c{index}" for index in range(10)}


def test_too_few_images_are_refused_with_the_number_needed() -> None:
    with pytest.raises(DataError, match="19 different good images to learn from: at least 20 are needed"):
        sides(goods(19))


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(DataError, match="good images are left for calibration and training; lower the shares"):
        sides(goods(20), options=SplitOptions(test=0.9))


def test_real_files_are_hashed_by_content(parts: Path) -> None:
    from cobnut.data.layouts import read_dataset

    samples = read_dataset(parts)
    assert len(set(content_hashes(samples).values())) == len(samples)
