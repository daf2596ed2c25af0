import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from cobnut import pictures

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)
MASKS = SHAPES.flatmap(lambda shape: hnp.arrays(bool, shape))
MAPS = SHAPES.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=st.floats(0, 8, width=32)))


def photograph(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(100, 150, (*shape, 3), np.uint8)


def near(mask: np.ndarray, by: int) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    y, x = np.indices(mask.shape)
    distances = np.maximum(abs(y[..., None] - rows), abs(x[..., None] - columns))
    return (distances <= by).any(axis=-1)


@given(MAPS)
def test_heat_gets_brighter_with_the_map(values):
    brightness = pictures.heat(values, 0, 4).astype(int).sum(axis=2).ravel()[np.argsort(values, axis=None)]
    assert (np.diff(brightness) >= -3).all()  # a channel may round down by one


def test_heat_of_equal_ends_is_finite():
    assert pictures.heat(np.ones((2, 2), np.float32), 1, 1).shape == (2, 2, 3)


@given(MAPS, st.floats(0, 8))
def test_overlay_changes_what_lies_above_and_nothing_else(values, threshold):
    image = photograph(values.shape)
    changed = (pictures.overlay(image, values, threshold) != image).any(axis=2)
    assert (changed == (values > threshold)).all()


@given(MASKS)
def test_outline_stands_around_the_mask(mask):
    image = photograph(mask.shape)
    changed = (pictures.outline(image, mask) != image).any(axis=2)
    frame = np.ones_like(mask)
    frame[2:-2, 2:-2] = False
    assert (changed == ((near(mask, 3) & ~mask) | (mask & frame))).all()


@given(MASKS)
def test_tint_keeps_to_the_mask(mask):
    image = photograph(mask.shape)
    assert ((pictures.tint(image, mask) != image).any(axis=2) == mask).all()


@given(MASKS, st.integers(1, 24), st.integers(1, 24))
def test_resized_mask_keeps_a_defect(mask, height, width):
    resized = pictures.resized_mask(mask, (height, width))
    assert resized.shape == (height, width)
    assert resized.any() == mask.any() or height > mask.shape[0] or width > mask.shape[1]


def test_letterbox_centres():
    boxed = pictures.letterboxed(np.zeros((2, 6), np.uint8), (6, 6), ground=200)
    assert boxed[[0, 1, 4, 5]].min() == 200
    assert boxed[2:4].max() == 0


def test_grid_takes_rows_and_pictures_of_any_size():
    small, large = np.zeros((4, 4), np.uint8), np.zeros((8, 6, 3), np.uint8)
    canvas = pictures.grid([[large, small, large], [small]])
    assert canvas.shape == (8 + 4 + 8, 6 * 3 + 4 * 2, 3)
    assert (canvas == 0).all(axis=2).sum() == 2 * 48 + 2 * 16


def test_images_are_never_changed_in_place():
    image = photograph((8, 8))
    image.flags.writeable = False
    mask = np.eye(8, dtype=bool)
    for picture in (
        pictures.outline(image, mask),
        pictures.tint(image, mask),
        pictures.overlay(image, 1.0 * mask, 0.5),
    ):
        assert picture.dtype == np.uint8


def test_save_picture(tmp_path):
    pictures.save_picture(photograph((5, 7)), tmp_path / "new" / "x.png")
    with Image.open(tmp_path / "new" / "x.png") as image:
        assert (image.format, image.size) == ("PNG", (7, 5))
