"""The default recipe from images to a bundle, small enough for a test; its encoder is the real one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cobnut.errors import RecipeError
from cobnut.evaluation.metrics import auroc
from cobnut.models.feature import FEATURE_ERRORS, FeatureNetwork
from cobnut.recipe import Recipe, read_recipe, recipe_names
from cobnut.records import Sample, Verdict
from cobnut.runtime.bundle import Manifest, read_manifest
from cobnut.runtime.inspect import Inspector
from cobnut.training import choose as choosing
from cobnut.training.checks import check_recipe
from cobnut.training.train import Listeners, train

SMALL = ["image.size=128", "training.most_steps=20", "network.prototypes=64"]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return read_recipe("feature", SMALL)


@pytest.fixture(scope="module")
def made(samples: list[Sample], recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    out = tmp_path_factory.mktemp("feature") / "parts.cobnut"
    return out, train(samples, recipe, out, loggers=())


def test_three_errors_judge_by_default(made: tuple[Path, Manifest]) -> None:
    manifest = read_manifest(made[0])
    assert manifest.recipe.score.error == "combined"
    assert "auto" not in manifest.recipe.automatic().values()


def test_one_error_may_be_chosen_and_is_written_down(samples: list[Sample], recipe: Recipe, tmp_path: Path) -> None:
    score = recipe.score.model_copy(update={"error": "auto"})
    manifest = train(samples, recipe.model_copy(update={"score": score}), tmp_path / "a.cobnut", loggers=())
    assert manifest.asked["error"] == "auto"
    assert manifest.recipe.score.error in FEATURE_ERRORS


def test_each_half_of_the_held_out_images_chooses_while_the_other_tells_what_is_usual(
    samples: list[Sample], recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int]] = []
    features: list[Any] = []
    spoils: list[Any] = []
    learn, spoil = FeatureNetwork.learn_usual, choosing.spoil

    def watched(*given: Any) -> Any:
        told.append(("chooses", len(given[1])))
        return spoil(*given)

    def watched_too(own: FeatureNetwork, held_out: Any, spoilt: Any) -> None:
        told.append(("tells", len(held_out)))
        features.append(np.array(held_out))
        spoils.append(np.array(spoilt))
        learn(own, held_out, spoilt)

    monkeypatch.setattr(choosing, "MOST_SPOILT", 3)  # fewer than there are
    monkeypatch.setattr(choosing, "spoil", watched)
    monkeypatch.setattr(FeatureNetwork, "learn_usual", watched_too)
    automatic = recipe.model_copy(update={"score": recipe.score.model_copy(update={"normalise": "auto"})})
    held_out = len(train(samples, automatic, tmp_path / "parts.cobnut", loggers=()).fingerprint["validation"])
    less, more = held_out // 2, (held_out + 1) // 2
    *halves, whole = features
    np.testing.assert_array_equal(halves[0], whole[1::2])  # while the images 0, 2, … choose
    np.testing.assert_array_equal(halves[1], whole[::2])
    np.testing.assert_array_equal(spoils[0], spoils[2][1::2])  # of the same images, which do not choose either
    np.testing.assert_array_equal(spoils[1], spoils[2][::2])
    assert len(spoils[2]) == 3
    assert told == [("tells", less), ("chooses", more), ("tells", more), ("chooses", less), ("tells", held_out)]


def test_the_encoder_tells_how_many_images_it_has_seen(
    samples: list[Sample], recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COBNUT_CACHE", str(tmp_path / "cache"))
    told: list[tuple[int, int]] = []

    def stop(epoch: object, best_epoch: int) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    listeners = Listeners(on_features=lambda done, total: told.append((done, total)), on_epoch=stop)
    with pytest.raises(KeyboardInterrupt):
        train(samples, recipe, tmp_path / "parts.cobnut", listeners=listeners, loggers=())
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1] > 0


def test_the_bundle_ranks_defective_parts_above_good_ones(made: tuple[Path, Manifest], samples: list[Sample]) -> None:
    test = [sample for sample in samples if sample.split == "test"]
    verdicts = [v for v in Inspector(made[0]).inspect_files([s.path for s in test]) if isinstance(v, Verdict)]
    scores = np.array([verdict.score for verdict in verdicts])
    is_defective = np.array([sample.is_defective for sample in test])
    assert auroc(np.sort(scores[~is_defective]), scores[is_defective]) > 0.8
    assert verdicts[0].anomaly_map.shape == (16, 16)
    assert verdicts[0].reconstruction is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["corruption.name=noise"],
            r"network feature learns from kept features: .*network.flips.* change what it sees",
        ),
        (["training.loss={ l1 = 1.0 }"], "training.loss.l1: network feature has no such loss; valid are mse"),
        (["score.error=squared"], "valid are residual, prototype, relative, position, combined, auto"),
        (["image.size=100"], "network feature needs a multiple of 32"),
        (["image.aspect=2", "network.stride=32"], "image.aspect = 2: network feature needs a square; set it to 1"),
        (["image.smallest_defect=4", "image.follow=false"], "image.smallest_defect = 4: recipe feature works at the"),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(settings: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_recipe(read_recipe("feature", settings))


@pytest.mark.parametrize("name", [name for name in recipe_names() if name != "feature"])
def test_networks_that_need_a_square_refuse_an_aspect_and_a_smallest_defect(name: str) -> None:
    random = ["network.weights=random"] if read_recipe(name).network.name == "transfer" else []
    with pytest.raises(RecipeError, match=r"image.aspect = 0.5: network [a-z-]+ needs a square; set it to 1"):
        check_recipe(read_recipe(name, [*random, "image.aspect=0.5"]))
    with pytest.raises(RecipeError, match=rf"image.smallest_defect = 4: recipe {name} works at the size"):
        check_recipe(read_recipe(name, [*random, "image.smallest_defect=4", "image.follow=true"]))


def test_other_networks_have_no_error_of_features() -> None:
    with pytest.raises(RecipeError, match="there is no such error"):
        check_recipe(read_recipe("cae", ["score.error=auto"]))
