"""The grid is checked whole before anything runs, and a study is only ever extended."""

import hashlib
import shutil
from pathlib import Path

import pytest

from cobnut.errors import CobnutError, RecipeError
from cobnut.recipe import read_recipe
from cobnut.study.grid import Grid, _has_weights, prepared, read_grid
from cobnut.study.note import read_note, update_note
from program import TINY


@pytest.fixture
def other_parts(parts: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(parts, tmp_path / "other"))


def read(data: list[Path], out: Path, recipes: tuple[str, ...] = ("cae",), settings: tuple[str, ...] = TINY) -> Grid:
    return read_grid(data, recipes, settings, 2, out)


def test_every_recipe_meets_every_category_with_every_seed(parts: Path, other_parts: Path, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('name = "own"\n')
    grid = read([parts, other_parts], tmp_path / "out", ("cae", str(tmp_path / "own.toml")))
    cells = list(grid.cells())
    assert len(cells) == 2 * 2 * 2
    assert len({each.folder for each in cells}) == 8
    assert [each.asked.seed for each in cells] == [0] * 4 + [1] * 4, "all recipes have one seed before any has two"
    assert cells[0].bundle == tmp_path / "out" / "parts" / "cae" / "seed-0" / "cae.cobnut"
    assert all(each.asked.training.epochs == 3 for each in cells)


def test_a_fingerprint_follows_contents_not_names(parts: Path, other_parts: Path, tmp_path: Path) -> None:
    first = read([parts], tmp_path / "out").categories[0].fingerprint
    good = other_parts / "train" / "good"
    next(good.iterdir()).rename(good / "renamed.png")
    assert read([other_parts], tmp_path / "out").categories[0].fingerprint == first
    next((other_parts / "ground_truth").rglob("*.png")).unlink()
    assert read([other_parts], tmp_path / "out").categories[0].fingerprint != first


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ('name = "a/b"\n', "its name becomes a folder's"),
        ('name = ".."\n', "its name becomes a folder's"),
        ('name = "cae"\n', "two recipes named cae; give one another name"),
        ('name = "own"\n[training.loss]\nhinge = 1.0\n', "there is no such loss"),
        ('name = "own"\n[split]\ntest = 0.9\n', "parts, recipe own: .* different good images|good images are left"),
    ],
)
def test_a_recipe_that_would_fail_at_night_is_refused_at_once(
    parts: Path, tmp_path: Path, recipe: str, told: str
) -> None:
    (tmp_path / "own.toml").write_text(recipe)
    with pytest.raises(CobnutError, match=told):
        read([parts], tmp_path / "out", ("cae", str(tmp_path / "own.toml")))
    assert not (tmp_path / "out").exists()


def test_a_data_set_without_defects_cannot_be_studied(other_parts: Path, tmp_path: Path) -> None:
    for folder in (other_parts / "test").iterdir():
        if folder.name != "good":
            shutil.rmtree(folder)
    with pytest.raises(CobnutError, match="holds no defective test image"):
        read([other_parts], tmp_path / "out")


def test_more_recipes_seeds_and_categories_extend_a_study(parts: Path, other_parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    update_note(read([parts], out), "first")
    next(iter(read([parts], out).cells())).folder.mkdir(parents=True)
    (tmp_path / "own.toml").write_text('name = "own"\n')
    update_note(read([other_parts], out, (str(tmp_path / "own.toml"),)), "second")
    note = read_note(out)
    assert note is not None
    assert (set(note.recipes), set(note.categories), note.command) == ({"cae", "own"}, {"parts", "other"}, "second")


def test_a_changed_recipe_or_image_is_refused_once_a_cell_has_begun(other_parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    update_note(read([other_parts], out), "first")
    changed = read([other_parts], out, settings=(*TINY, "training.epochs=4"))
    update_note(changed, "nothing has begun, so it may change")
    next(changed.cells()).folder.mkdir(parents=True)
    with pytest.raises(
        CobnutError, match=r"recipe cae was begun with training.epochs = 4, not 3; choose another --out"
    ):
        update_note(read([other_parts], out), "again")
    next((other_parts / "train" / "good").iterdir()).unlink()
    with pytest.raises(CobnutError, match="are not those that the study began with"):
        update_note(read([other_parts], out, settings=(*TINY, "training.epochs=4")), "again")


def test_a_folder_that_is_no_study_is_left_alone(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CobnutError, match="exists and is not the folder of a study"):
        update_note(read([parts], tmp_path), "x")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "study.json").write_text("{}")
    with pytest.raises(CobnutError, match=r"study.json: cannot be read"):
        read_note(tmp_path / "out")


def test_an_encoder_without_weights_takes_part_with_random_ones_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COBNUT_CACHE", str(tmp_path))
    monkeypatch.delenv("COBNUT_WEIGHTS", raising=False)
    monkeypatch.setattr("cobnut.models.weights._on_hub", lambda name: None)
    _has_weights.cache_clear()
    recipe, remark = prepared(read_recipe("transfer-vgg19"))
    assert (recipe.network.weights, remark) == ("random", "random weights")
    assert prepared(read_recipe("cae")) == (read_recipe("cae"), None)
    with pytest.raises(RecipeError, match="there is no such file"):
        read([tmp_path], tmp_path / "out", ("transfer-vgg19",), ("network.weights=mine.safetensors",))


def test_other_weights_of_an_encoder_are_refused_once_a_cell_has_begun(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cobnut.models.weights._on_hub", lambda name: None)
    (tmp_path / "none").mkdir()
    for name in ("first", "moved", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vgg16.safetensors").write_bytes(b"other" if name == "other" else b"first")

    def note_with(name: str) -> None:
        monkeypatch.setenv("COBNUT_WEIGHTS", str(tmp_path / name))
        _has_weights.cache_clear()
        grid = read([parts], tmp_path / "out", ("transfer-vgg16", "cae"), ("training.epochs=3",))
        update_note(grid, "x")
        next(grid.cells()).folder.mkdir(parents=True, exist_ok=True)

    note_with("first")
    note_with("moved")
    note = read_note(tmp_path / "out")
    assert note is not None
    assert note.weights == {"transfer-vgg16": hashlib.sha256(b"first").hexdigest()}
    note_with("none")  # what is known is not forgotten
    with pytest.raises(CobnutError, match="recipe transfer-vgg16 was begun with other weights of its encoder"):
        note_with("other")
    for folder in (tmp_path / "out").glob("*/transfer-vgg16"):
        shutil.rmtree(folder)
    note_with("other")
    _has_weights.cache_clear()
