"""The plan of a batch: every image once and in its order, the same after it was written and read."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobnut.errors import CobnutError, DataError
from cobnut.runtime.inspect import BATCH
from cobnut.runtime.plan import Asked, ask, build_plan, check_same, read_plan, write_plan
from cobnut.runtime.sources import Listing

# Whatever a file system may give: line breaks, quotes, and bytes that are no UTF-8.
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.just("\udcff\n.png")


def asked(shard: int | None = None, maps: bool = False) -> Asked:
    return ask(["in"], "0" * 64, None, maps, ".parquet", shard)


@given(images=st.lists(NAMES, unique=True, max_size=40), shard=st.integers(1, 9))
def test_the_shards_hold_every_image_once_and_in_order(images: list[str], shard: int) -> None:
    plan = build_plan(asked(shard), Listing(images))
    shards = plan.shards()
    assert [image for each in shards for image in each.images] == images
    assert [each.number for each in shards] == list(range(len(shards)))
    assert all(len(each.images) == shard for each in shards[:-1])


@given(images=st.lists(NAMES, unique=True, max_size=9))
def test_a_plan_is_read_as_it_was_written(images: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("plan") / "plan.jsonl"
    plan = build_plan(asked(4), Listing(images, ["/x"], {"list.csv": "1" * 64}, 3))
    write_plan(plan, path)
    assert read_plan(path) == plan
    assert plan.asked.lists == {"list.csv": "1" * 64}


@pytest.mark.parametrize(
    ("count", "maps", "size"), [(1, False, 32), (6000, False, 40), (10**5, False, 256), (10**5, True, 32)]
)
def test_shards_are_whole_batches_and_many_where_they_can_be(count: int, maps: bool, size: int) -> None:
    plan = build_plan(asked(maps=maps), Listing(["x"] * count))
    assert plan.size == size
    assert plan.size % BATCH == 0


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"no json", b"cut"])
def test_a_damaged_plan_is_told_with_the_way_on(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "plan.jsonl"
    write_plan(build_plan(asked(), Listing(["a.png", "b.png"])), path)
    path.write_bytes(path.read_bytes()[:-8] if damage == b"cut" else damage)
    with pytest.raises(DataError, match=r"plan.jsonl: cannot be read \(.*\); begin anew with --fresh"):
        read_plan(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bundle": "1" * 64}, r"another bundle \(000000000000, not 111111111111\)"),
        ({"sources": ["/out", "/side"]}, r"other sources \(.*in, not /out /side\)"),
        ({"lists": {"a.csv": "f" * 64}}, r"other images in a list \(, not a.csv ffffffff\)"),
        ({"maps": True}, r"another --maps \(False, not True\)"),
        ({"form": ".csv"}, r"another --format \(.parquet, not .csv\)"),
        ({"shard": 8}, r"another --shard \(None, not 8\)"),
        ({"cobnut": "9.0"}, r"another Cobnut \(.*, not 9.0\)"),
    ],
)
def test_a_batch_that_was_begun_for_something_else_is_refused(change: dict[str, object], told: str) -> None:
    plan = build_plan(asked(), Listing(["a.png"]))
    check_same(plan, plan.asked, Path("out"))
    with pytest.raises(
        CobnutError, match=f"out: was begun with {told}; choose another --out, or begin anew with --fresh"
    ):
        check_same(plan, replace(plan.asked, **change), Path("out"))
