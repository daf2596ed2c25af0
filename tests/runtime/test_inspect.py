"""The inspector gives the same verdict for a file, an array, alone or in a batch."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cobnut
from cobnut.data.images import read_image
from cobnut.data.photographs import brightness_and_sharpness
from cobnut.errors import ImageError
from cobnut.records import Verdict
from cobnut.runtime.inspect import BATCH, Inspector


@pytest.fixture(scope="module")
def inspector(bundle: Path) -> Inspector:
    return Inspector(bundle)


@pytest.fixture(scope="module")
def files(parts: Path) -> list[Path]:
    return sorted(parts.rglob("test/*/*.png"))


def test_a_verdict_says_score_threshold_decision_and_where(inspector: Inspector, files: list[Path]) -> None:
    verdict = inspector.inspect(files[0])
    assert verdict.threshold == inspector.manifest.threshold
    assert verdict.is_defective == (verdict.score > verdict.threshold)
    assert verdict.anomaly_map.shape == (32, 32)
    assert verdict.reconstruction is not None
    assert verdict.reconstruction.shape == (32, 32, 3)
    area = inspector.manifest.recipe.score.least_area
    above = (verdict.anomaly_map > verdict.threshold).sum()
    assert verdict.is_defective == (above > int(area * verdict.anomaly_map.size))


def test_alone_or_in_a_batch_the_score_is_the_same(inspector: Inspector, files: list[Path]) -> None:
    assert len(files) > BATCH
    for path, answer in zip(files, inspector.inspect_files(files), strict=True):
        assert isinstance(answer, Verdict)
        assert answer.score == pytest.approx(inspector.inspect(path).score, rel=1e-4)


def test_an_array_is_judged_as_its_file(inspector: Inspector, files: list[Path]) -> None:
    pixels = np.asarray(Image.open(files[0]))
    assert inspector.inspect(pixels).score == inspector.inspect(files[0]).score
    alpha = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    assert inspector.inspect(alpha).score == inspector.inspect(files[0]).score
    grey = pixels[..., 0]
    grey_ones = grey[..., None], grey.astype(np.uint16) << 8
    assert [inspector.inspect(each).score for each in grey_ones] == 2 * [inspector.inspect(grey).score]


def test_a_list_of_anything_is_judged_one_by_one(inspector: Inspector, files: list[Path]) -> None:
    with Image.open(files[1]) as image:
        verdicts = inspector.inspect([files[0], str(files[0]), np.asarray(Image.open(files[0])), image, *files[2:12]])
    assert [verdict.score for verdict in verdicts[:3]] == [pytest.approx(inspector.inspect(files[0]).score)] * 3
    assert verdicts[3].score == pytest.approx(inspector.inspect(files[1]).score)
    assert [v.score for v in verdicts[4:]] == pytest.approx([inspector.inspect(path).score for path in files[2:12]])
    assert inspector.inspect([]) == []


def test_an_image_in_memory_is_turned_as_its_file_is(inspector: Inspector, files: list[Path], tmp_path: Path) -> None:
    with Image.open(files[0]) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.convert("RGB").save(tmp_path / "lying.jpg", exif=exif, quality=95)
    with Image.open(tmp_path / "lying.jpg") as lying:
        assert inspector.inspect(lying).score == pytest.approx(
            inspector.inspect(tmp_path / "lying.jpg").score, rel=1e-6
        )


def test_threads_that_share_an_inspector_get_the_verdicts_of_one_alone(inspector: Inspector, files: list[Path]) -> None:
    alone = [inspector.inspect(path).score for path in files]
    with ThreadPoolExecutor(6) as pool:
        together = [verdict.score for verdict in pool.map(inspector.inspect, files)]
    assert together == pytest.approx(alone, rel=1e-6)


def test_the_package_gives_what_a_program_on_the_line_needs() -> None:
    assert cobnut.Inspector is Inspector
    assert set(cobnut.__all__) <= {*dir(cobnut), *cobnut._PLACES}
    with pytest.raises(AttributeError, match="has no attribute 'Inspecter'"):
        cobnut.Inspecter  # noqa: B018


def test_an_array_of_another_kind_is_refused(inspector: Inspector) -> None:
    with pytest.raises(ImageError, match="give uint8"):
        inspector.inspect(np.zeros((8, 8, 3), np.float32))  # type: ignore[arg-type]
    for wrong in (np.zeros((8, 8, 5), np.uint8), np.zeros((8, 8, 3), np.uint16)):
        with pytest.raises(ImageError, match="give uint8"):
            inspector.inspect(wrong)


def test_an_unreadable_file_keeps_its_place_and_stops_nothing(
    inspector: Inspector, files: list[Path], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    answers = list(inspector.inspect_files([bad, files[0], bad, *files[1:], bad]))
    kinds = [isinstance(answer, ImageError) for answer in answers]
    assert kinds == [True, False, True, *([False] * (len(files) - 1)), True]


def test_any_number_of_files_comes_back(inspector: Inspector, files: list[Path]) -> None:
    for count in (0, 1, BATCH, 5 * BATCH + 3):
        many = (files * 9)[:count]
        assert len(list(inspector.inspect_files(many))) == count


def test_the_calibration_scores_are_those_of_the_deployed_model(inspector: Inspector, parts: Path) -> None:
    from cobnut.files import hash_file

    by_hash = {hash_file(path): path for path in parts.rglob("train/good/*.png")}
    paths = [by_hash[content] for content in inspector.manifest.fingerprint["calibration"]]
    scores = [answer.score for answer in inspector.inspect_files(paths) if isinstance(answer, Verdict)]
    assert scores == pytest.approx(inspector.manifest.calibration_scores, rel=1e-4)


def test_a_verdict_tells_how_usual_its_score_is_and_what_the_photograph_was_like(
    inspector: Inspector, parts: Path
) -> None:
    path = next((parts / "test" / "hole").iterdir())
    verdict = inspector.inspect(path)
    scores = np.array(inspector.manifest.calibration_scores)
    assert verdict.p_value == (1 + (scores >= verdict.score).sum()) / (len(scores) + 1)
    pixels = read_image(path, inspector.manifest.recipe.image)
    assert (verdict.brightness, verdict.sharpness) == brightness_and_sharpness(pixels)
    assert inspector.inspect(np.zeros((32, 32), np.uint8)).brightness == 0


@pytest.mark.parametrize(("is_defective", "above"), [(True, 1.0), (False, 2.0)])
def test_a_rejected_part_shows_what_rejected_it_and_a_passed_one_only_what_is_rare(
    is_defective: bool, above: float
) -> None:
    verdict = Verdict(1.5, 1.0, is_defective, np.zeros((2, 2), np.float32), 0.1, 2.0, 90.0, 3.0)
    assert verdict.shown_above == above
