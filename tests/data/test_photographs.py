"""What the camera alone gives away is told; what is usual is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cobnut.data.photographs import Photograph, groups_apart, odd_ones, take_photographs
from cobnut.records import Sample


def photograph(split: Any = "train", label: Any = "good", **figures: float) -> Photograph:
    values = {"shape": 1.0, "brightness": 100.0, "sharpness": 3.0} | figures
    return Photograph(Sample(Path("a.png"), split, label), **values)


@pytest.fixture
def usual() -> list[Photograph]:
    random = np.random.default_rng(0)
    splits = ["train"] * 40 + ["test"] * 20
    return [
        photograph(split, brightness=100 + random.normal(), sharpness=3 + 0.1 * random.normal()) for split in splits
    ]


def test_photographs_that_were_taken_alike_give_nothing_away(usual: list[Photograph]) -> None:
    assert list(odd_ones(usual)) == []
    assert list(groups_apart(usual)) == []


@pytest.mark.parametrize(
    ("figures", "words"),
    [({"brightness": 60.0}, "darker than the others"), ({"sharpness": 9.0}, "sharper"), ({"shape": 1.5}, "wider")],
)
def test_an_odd_one_is_named_with_what_is_odd(usual: list[Photograph], figures: dict[str, float], words: str) -> None:
    odd = list(odd_ones([*usual, photograph(**figures)]))
    assert len(odd) == 1
    assert words in odd[0][1]


def test_a_test_that_was_taken_in_another_light_is_told(usual: list[Photograph]) -> None:
    darker = [photograph("test", brightness=80.0 + n / 10) for n in range(20)]
    defective = [photograph("test", "defective", brightness=99.0 + n / 10) for n in range(20)]
    told = list(groups_apart([*usual[:40], *darker, *defective]))
    assert any("good test images are darker than the good training images in 100 %" in line for line in told)
    assert any("defective images are brighter than the good test images in 100 %" in line for line in told)


def test_light_and_shape_are_those_of_the_file(write_image: Callable[..., Path]) -> None:
    striped = np.zeros((20, 40, 3), np.uint8)
    striped[:, ::2] = 200
    samples = [Sample(write_image("a.png", striped), "train", "good")]
    bad = write_image("bad.png", striped)
    bad.write_bytes(b"no image")
    seen: list[int] = []
    found = take_photographs([*samples, Sample(bad, "train", "good")], seen.append)
    assert [(each.shape, each.brightness, each.sharpness) for each in found] == [(2.0, 100.0, 200.0)]
    assert sum(seen) == 2
