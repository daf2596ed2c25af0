"""The size and shape to work at follow the photographs, and the smallest defect worth finding."""

import math
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cobnut.data.working import NEARLY_SQUARE, at_working_size, finest_defect, follow, usual_aspect
from cobnut.options import ASPECTS, LARGEST, ImageOptions
from cobnut.recipe import Recipe, read_recipe
from cobnut.records import Sample

Shape = tuple[int, int]
SIDES = st.integers(64, 4096)
SHAPES = st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=9)


def followed(shapes: list[Shape], takes_aspect: bool = True, **options: float) -> ImageOptions:
    return follow(ImageOptions.model_validate({"size": 512, "follow": True, **options}), shapes, 8, takes_aspect)


@given(st.integers(16, LARGEST))
def test_a_square_has_the_size_for_sides(size: int) -> None:
    assert ImageOptions(size=size).shape == (size, size)


@given(st.integers(128, LARGEST), st.floats(*ASPECTS))
def test_a_shape_has_nearly_the_aspect_and_the_area_of_the_square(size: int, aspect: float) -> None:
    assume(aspect != 1)
    height, width = ImageOptions(size=size, aspect=aspect).shape
    assert height % 32 == width % 32 == 0
    assert (width - height) * (aspect - 1) >= 0
    shorter, longer = sorted((height, width))
    if max(aspect, 1 / aspect) < 1.3:  # rounding may turn near squares over
        return
    ideal = size / math.sqrt(max(aspect, 1 / aspect))
    assert abs(shorter - ideal) <= max(16, ideal / 32)  # half a step
    assert abs(longer - size**2 / shorter) <= max(16, longer / 31)  # which makes good what that did to the area


@given(st.sampled_from([256, 320, 384, 512, 768]), st.floats(0.2, 5))
def test_in_the_sizes_of_the_recipes_the_area_keeps_within_seven_per_cent(size: int, aspect: float) -> None:
    height, width = ImageOptions(size=size, aspect=aspect).shape
    assert height * width == pytest.approx(size**2, rel=0.07)


@given(st.integers(128, LARGEST), st.floats(*ASPECTS))
def test_a_mirrored_aspect_gives_the_mirrored_shape(size: int, aspect: float) -> None:
    assume(aspect not in (0, 1) and 1 / (1 / aspect) == aspect)
    turned = 1 / aspect
    assume(ASPECTS[0] <= turned <= ASPECTS[1])
    assert ImageOptions(size=size, aspect=turned).shape == ImageOptions(size=size, aspect=aspect).shape[::-1]


@pytest.mark.parametrize(
    ("shapes", "size", "shape"),
    [
        ([(900, 900)] * 3, 512, (512, 512)),
        ([(64, 64)], 128, (128, 128)),
        ([(512, 512)], 512, (512, 512)),
        ([(512, 540)], 512, (512, 512)),  # nearly square
        ([(300, 400)] * 2 + [(400, 300)] * 2, 256, (256, 256)),  # some lie and some stand
        ([(230, 1200)], 512, (224, 1152)),
        ([(1200, 230)] * 4 + [(300, 300)], 512, (1152, 224)),
        ([(100, 3000)], 512, (192, 1344)),  # longer than may be kept
    ],
)
def test_the_shape_follows_the_photographs(shapes: list[Shape], size: int, shape: Shape) -> None:
    image = followed(shapes)
    assert (image.size, image.shape, image.follow) == (size, shape, False)


@given(SHAPES)
def test_working_images_are_no_larger_than_the_photographs_or_the_recipe_allows(shapes: list[Shape]) -> None:
    image = followed(shapes)
    usual = sorted(height * width for height, width in shapes)[len(shapes) // 2]
    assert image.size % 64 == 0
    assert image.size <= 512
    assert image.size**2 <= max(usual, 128**2)
    assert image.aspect == 1 or max(image.aspect, 1 / image.aspect) >= NEARLY_SQUARE - 0.001


def test_a_network_that_needs_squares_gets_one_of_the_same_area() -> None:
    assert followed([(230, 1200)], takes_aspect=False).shape == (512, 512)


def test_an_aspect_that_the_recipe_names_stays() -> None:
    assert followed([(512, 512)], aspect=2.0).aspect == 2


@given(SHAPES, st.floats(0.5, 200))
def test_the_size_is_the_least_at_which_the_smallest_defect_covers_a_feature(
    shapes: list[Shape], smallest: float
) -> None:
    image = followed(shapes, smallest_defect=smallest)
    assert 128 <= image.size <= 512
    if image.size < 512:
        assert finest_defect(image, shapes, 8) <= smallest
    if image.size > 128:
        assert finest_defect(image.model_copy(update={"size": image.size - 64}), shapes, 8) > smallest


def test_a_defect_is_measured_along_the_side_that_is_shrunk_more() -> None:
    squeezed = ImageOptions(size=256)
    assert finest_defect(squeezed, [(256, 1024)], 8) == 32
    assert finest_defect(squeezed, [(1024, 256), (512, 512), (256, 256)], 8) == 16
    assert finest_defect(squeezed, [(128, 128)], 8) == 4


def test_photographs_that_lie_and_stand_alike_are_worked_at_as_squares() -> None:
    assert usual_aspect([(200, 600)] * 6 + [(600, 200)] * 4) == 1
    assert usual_aspect([(200, 600)] * 8 + [(600, 200)] * 2) == 3


@pytest.fixture
def paths(samples: list[Sample]) -> list[Path]:
    return [sample.path for sample in samples]


def test_square_parts_resolve_to_a_square(paths: list[Path]) -> None:
    recipe, finest = at_working_size(read_recipe("feature"), paths)
    assert (recipe.image.shape, recipe.image.aspect, finest) == ((128, 128), 1.0, 4.0)


@pytest.mark.parametrize(("name", "settings"), [("cae", []), ("feature", ["image.follow=false"])])
def test_a_size_that_follows_nothing_stays(paths: list[Path], name: str, settings: list[str]) -> None:
    recipe: Recipe = read_recipe(name, settings)
    assert at_working_size(recipe, paths)[0] == recipe
