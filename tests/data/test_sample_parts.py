"""The rendered hazelnuts: the same every time, exact in their masks, varied in their shapes."""

import ast
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cobnut.data.sample_parts
from cobnut.data.sample_parts import DEFECT_TYPES, render_part, write_sample_parts
from cobnut.errors import DataError

SEEDS = range(8)
OUTLINE_LEVEL = 62  # red above this is nut: the tray stays below 50


def outline(seed, side=96):
    """The pixels that the nut fills, dark stripes and all."""
    image, _ = render_part(seed, side=side)
    nut = image[:, :, 0] > OUTLINE_LEVEL
    columns = np.arange(side)
    filled = np.zeros_like(nut)
    for row in np.flatnonzero(nut.any(axis=1)):
        ends = np.flatnonzero(nut[row])[[0, -1]]
        filled[row] = (columns >= ends[0]) & (columns <= ends[1])
    return filled


def files_below(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


def test_the_defects_are_those_of_the_study():
    assert DEFECT_TYPES == ("crack", "cut", "hole", "print")


@pytest.mark.parametrize("defect_type", ["good", *DEFECT_TYPES])
def test_the_same_seed_gives_the_same_bytes(defect_type):
    first, first_mask = render_part(7, side=64, defect_type=defect_type)
    again, again_mask = render_part(7, side=64, defect_type=defect_type)
    assert first.tobytes() == again.tobytes()
    assert first_mask.tobytes() == again_mask.tobytes()


@pytest.mark.parametrize("side", [32, 63, 96, 160])
def test_image_and_mask_have_the_size_asked_for(side):
    image, mask = render_part(1, side=side, defect_type="hole")
    assert image.shape == (side, side, 3)
    assert image.dtype == np.uint8
    assert mask.shape == (side, side)
    assert mask.dtype == np.bool_


def test_a_good_part_has_an_empty_mask():
    assert not render_part(3, side=48)[1].any()


@pytest.mark.parametrize("side", [64, 144])  # averaged, and seen through the lens blur
@pytest.mark.parametrize("defect_type", DEFECT_TYPES)
def test_the_mask_is_exactly_the_pixels_that_the_defect_changes(defect_type, side):
    for seed in SEEDS:
        good, _ = render_part(seed, side=side)
        defective, mask = render_part(seed, side=side, defect_type=defect_type)
        change = np.abs(good.astype(int) - defective).max(axis=2)
        assert (change[~mask] == 0).all()
        assert (change[mask] > 2).all()


@pytest.mark.parametrize("defect_type", DEFECT_TYPES)
def test_every_defect_is_there_and_lies_on_the_nut(defect_type):
    for seed in SEEDS:
        _, mask = render_part(seed, side=96, defect_type=defect_type)
        assert 6 <= mask.sum() <= 0.2 * mask.size
        assert (mask & outline(seed)).sum() >= 0.97 * mask.sum()


@pytest.mark.parametrize("defect_type", DEFECT_TYPES)
def test_even_the_smallest_image_shows_its_defect(defect_type):
    assert all(render_part(seed, side=32, defect_type=defect_type)[1].any() for seed in range(40))


def test_a_print_is_easier_to_see_than_a_cut():
    def contrast(defect_type):
        changes = []
        for seed in SEEDS:
            good, _ = render_part(seed, side=96)
            defective, mask = render_part(seed, side=96, defect_type=defect_type)
            changes.append(np.abs(good.astype(float) - defective)[mask].mean())
        return np.mean(changes)

    visibility = {defect_type: contrast(defect_type) for defect_type in DEFECT_TYPES}
    assert visibility["print"] > 1.5 * visibility["hole"]
    assert visibility["hole"] > 1.2 * visibility["cut"]
    assert min(visibility, key=visibility.get) == "cut"


def test_a_crack_is_the_largest_defect_and_a_cut_a_thin_one():
    area = {
        kind: np.mean([render_part(s, side=96, defect_type=kind)[1].mean() for s in SEEDS]) for kind in DEFECT_TYPES
    }
    assert max(area, key=area.get) == "crack"
    assert area["cut"] < 0.25 * area["crack"]


def test_nuts_are_not_circles():
    for seed in SEEDS:
        shape = outline(seed)
        rows, columns = np.nonzero(shape)
        reach = np.hypot(rows - rows.mean(), columns - columns.mean())
        circle = np.sqrt(shape.sum() / np.pi)
        assert reach.max() > 1.03 * circle


def test_no_two_nuts_have_the_same_outline():
    outlines = [outline(seed) for seed in SEEDS]
    for number, first in enumerate(outlines):
        for second in outlines[number + 1 :]:
            assert (first ^ second).sum() > 0.02 * first.sum()


def test_a_nut_fills_a_third_of_the_image_and_leaves_the_rim_dark():
    for seed in range(30):
        image, _ = render_part(seed, side=64)
        assert 0.2 < outline(seed, side=64).mean() < 0.5
        rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert rim.max() < OUTLINE_LEVEL


def test_a_seed_shows_the_same_nut_at_every_size():
    large, _ = render_part(5, side=96)
    small, _ = render_part(5, side=48)
    shrunk = large.reshape(48, 2, 48, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 4


def test_an_unknown_defect_type_is_refused_with_the_valid_ones():
    with pytest.raises(DataError, match=r"^unknown defect type 'rot'; choose one of: good, crack, cut, hole, print$"):
        render_part(0, defect_type="rot")


@pytest.mark.parametrize("side", [0, 31, 1025])
def test_a_side_out_of_range_is_refused(side, tmp_path):
    with pytest.raises(DataError, match="choose 32 to 1024"):
        render_part(0, side=side)
    with pytest.raises(DataError, match="choose 32 to 1024"):
        write_sample_parts(tmp_path / "parts", side=side)
    assert not any(tmp_path.iterdir())


def test_a_negative_seed_is_refused():
    with pytest.raises(DataError, match="seed -1"):
        render_part(-1)


@pytest.mark.parametrize("counts", [{"good": 0}, {"test_good": -1}, {"defective": -1}])
def test_counts_that_make_no_data_set_are_refused(counts, tmp_path):
    with pytest.raises(DataError, match=next(iter(counts))):
        write_sample_parts(tmp_path / "parts", **counts)
    assert not any(tmp_path.iterdir())


def test_the_folder_has_the_layout_of_mvtec_ad(tmp_path):
    folder = write_sample_parts(tmp_path / "parts", good=2, test_good=1, defective=1, side=48)
    expected = {"train/good/000.png", "train/good/001.png", "test/good/000.png"}
    expected |= {f"test/{kind}/000.png" for kind in DEFECT_TYPES}
    expected |= {f"ground_truth/{kind}/000_mask.png" for kind in DEFECT_TYPES}
    assert set(files_below(folder)) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]


def test_what_is_written_reads_back_as_image_and_mask(tmp_path):
    folder = write_sample_parts(tmp_path, good=1, test_good=0, defective=1, side=48)
    for kind in DEFECT_TYPES:
        with (
            Image.open(folder / "test" / kind / "000.png") as image,
            Image.open(folder / "ground_truth" / kind / "000_mask.png") as mask,
        ):
            assert (image.mode, image.size) == ("RGB", (48, 48))
            assert (mask.mode, mask.size) == ("L", (48, 48))
            assert set(np.unique(np.asarray(mask))) == {0, 255}


def test_a_larger_set_starts_with_the_smaller_one(tmp_path):
    small = files_below(write_sample_parts(tmp_path / "small", good=2, test_good=1, defective=1, side=48, seed=4))
    large = files_below(write_sample_parts(tmp_path / "large", good=3, test_good=2, defective=2, side=48, seed=4))
    assert small.items() < large.items()


def test_every_image_is_one_of_its_kind_and_another_seed_gives_others(tmp_path):
    images = []
    for seed in (0, 1):
        folder = write_sample_parts(tmp_path / str(seed), good=3, test_good=2, defective=1, side=48, seed=seed)
        images += [path.read_bytes() for path in folder.glob("t*/*/*.png")]
    assert len(set(images)) == len(images) == 18


def test_a_folder_with_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="name another folder or remove it"):
        write_sample_parts(tmp_path, good=1, side=48)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "parts").write_text("precious")
    with pytest.raises(DataError, match="name another folder"):
        write_sample_parts(tmp_path / "parts", good=1, side=48)


def test_a_run_that_breaks_off_leaves_nothing_behind(tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample_parts(tmp_path / "parts", good=2, side=48, on_progress=stop)
    assert not any(tmp_path.iterdir())


def test_progress_counts_every_image(tmp_path):
    told = []
    write_sample_parts(
        tmp_path / "parts", good=2, test_good=1, defective=1, side=32, on_progress=lambda *now: told.append(now)
    )
    assert told == [(done, 7) for done in range(1, 8)]


def test_rendering_needs_only_numpy_and_pillow():
    sources = Path(cobnut.data.sample_parts.__file__).parent.glob("sample_*.py")
    trees = [ast.walk(ast.parse(source.read_text(encoding="utf-8"))) for source in sources]
    imported = {node.module.split(".")[0] for tree in trees for node in tree if isinstance(node, ast.ImportFrom)}
    assert imported <= {
        "PIL",
        "cobnut",
        "collections",
        "dataclasses",
        "functools",
        "itertools",
        "math",
        "numpy",
        "pathlib",
    }
