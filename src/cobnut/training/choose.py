"""Choose the recipe's automatic options on good validation images, and the same images with synthetic defects."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cobnut.calibration.decision import judge_promise
from cobnut.calibration.threshold import LEAST_AREAS, PERCENTILES, Choice, choose_percentile_and_area
from cobnut.data.corrupt import KINDS, corrupt
from cobnut.data.images import in_chunks
from cobnut.data.region import Region, paint
from cobnut.evaluation.metrics import auroc
from cobnut.models.detector import Detector
from cobnut.models.scores import area_score
from cobnut.models.transfer import HalfFrozen
from cobnut.options import Auto
from cobnut.recipe import Recipe
from cobnut.training.engine import Engine
from cobnut.training.typical import typical_error

# More images sharpen the choice no further, and their maps would fill the memory.
MOST_IMAGES = 150
# So many that the share found does not hang on a few lucky draws; few images are spoilt in several rounds.
FEWEST_SYNTHETIC = 200
# Validation images that are spoilt to learn what each error counts for, and how many come of them at least.
MOST_SPOILT, FEWEST_SPOILT = 25, 100
# Halves of halves of the validation images tell apart what is usual, what errors count for, and which error is best.
QUARTERS = 4
# From here on count seeds that no other synthetic defects are drawn by.
WEIGHING_SEEDS = 1000
# So many training images tell what is usual at each place.
USUAL_IMAGES = 80

SMOOTHINGS = (1, 3, 5, 9)
# Few, because they only compare views; the choice itself tries them all.
RANKED_AREAS = (0.0, 0.001, 0.005, 0.02)

# Kind of error, smoothing, normalisation.
View = tuple[int, int | Auto, str]


@dataclass(frozen=True, slots=True)
class Proof:
    """How well a detector tells good validation images from the same images with synthetic defects.

    ``auroc`` ranks the two by the score of the chosen least area; the rates of ``choice`` are those of the decision.
    """

    choice: Choice
    auroc: float

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the shares of good images passed and of synthetic defects found."""
        return (1 - self.choice.false_alarm_rate + self.choice.synthetic_found) / 2

    @property
    def objective(self) -> float:
        """What a search makes as high as it can, 0 to 1: half ranking, half decision."""
        return (self.auroc + self.balanced_accuracy) / 2


def choose(
    detector: Detector,
    recipe: Recipe,
    train: NDArray[np.uint8],
    folds: Iterable[NDArray[np.uint8]],
    fewest: int = FEWEST_SYNTHETIC,
    region: Region | None = None,
) -> tuple[Recipe, Choice | None]:
    """The recipe with all that it leaves automatic chosen, and ``detector`` set to it; ``None`` where nothing was left.

    First the view of the errors — kind, smoothing and normalisation — by how well it ranks synthetic defects, at least
    ``fewest`` a fold, above good validation images, on average over their ``folds``; then what makes it a decision
    (:func:`prove`), by all folds together. Training images tell which error is usual where. Defects lie in ``region``.
    """
    if "auto" not in recipe.automatic().values():
        set_view(detector, recipe, train)
        return recipe, None
    found: dict[View, list[float]] = {view: [] for view in _views(detector, recipe)}
    seen: list[tuple[Tensor | None, Tensor, Tensor]] = []
    for validation in folds:
        errors = _build_errors(detector)
        usual = errors(train[:USUAL_IMAGES]) if recipe.score.normalise != "none" else None
        good, spoilt = (errors(images) for images in spoil(recipe, validation, fewest, region))
        seen.append((usual, good, spoilt))
        for view, rankings in found.items():
            rankings.append(_ranking(_show(detector, view, usual), good, spoilt))
    best = max(found, key=lambda view: sum(found[view]))
    maps = [[_show(detector, best, usual)(each).numpy() for each in (good, spoilt)] for usual, good, spoilt in seen]
    choice = prove(recipe, *(np.concatenate(each) for each in zip(*maps, strict=True))).choice
    detector.least_area = choice.least_area
    return _resolved(recipe, detector.kinds, best, choice), choice


def set_view(detector: Detector, recipe: Recipe, train: NDArray[np.uint8]) -> None:
    """Set ``detector`` to the view that ``recipe`` fixes; training images tell which error is usual where."""
    fixed: View = (0, recipe.score.smoothing, recipe.score.normalise)
    _show(detector, fixed, None if fixed[2] == "none" else _build_errors(detector)(train[:USUAL_IMAGES]))


def _resolved(recipe: Recipe, kinds: Sequence[str], best: View, choice: Choice) -> Recipe:
    """The recipe with nothing left automatic."""
    view = {"error": kinds[best[0]], "smoothing": best[1], "normalise": best[2]}
    score = recipe.score.model_copy(update={**view, "least_area": choice.least_area})
    calibration = recipe.calibration if choice.q is None else recipe.calibration.model_copy(update={"q": choice.q})
    return recipe.model_copy(update={"score": score, "calibration": calibration})


def _views(detector: Detector, recipe: Recipe) -> Iterator[View]:
    """What errors, smoothing and normalisation there are to choose among, the plainest first."""
    smoothing, normalise = recipe.score.smoothing, recipe.score.normalise
    for kind in range(len(detector.kinds)):
        for name in ("none", "place") if normalise == "auto" else (normalise,):
            for side in SMOOTHINGS if smoothing == "auto" else (smoothing,):
                yield kind, side, name


def _show(detector: Detector, view: View, usual: Tensor | None) -> Callable[[Tensor], Tensor]:
    """Set ``detector`` to a view, with the ``usual`` errors of training images; its way from errors to maps."""
    kind, side, normalise = view
    assert side != "auto"
    detector.kind, detector.smoothing, detector.typical = kind, side, None
    if normalise == "place":
        assert usual is not None
        detector.typical = typical_error(detector.view(usual))
    return lambda errors: detector.inspected(detector.view(errors))


def _ranking(shown: Callable[[Tensor], Tensor], good: Tensor, spoilt: Tensor) -> float:
    """The best AUROC that a least area gives to these maps."""
    good, spoilt = shown(good), shown(spoilt)
    return max(auroc(np.sort(area_score(good, a).numpy()), area_score(spoilt, a).numpy()) for a in RANKED_AREAS)


def spoil(
    recipe: Recipe, validation: NDArray[np.uint8], fewest: int = FEWEST_SYNTHETIC, region: Region | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The good images that are chosen with, and the same with ``fewest`` synthetic defects or more in the ``region``.

    The recipe gives the seed.
    """
    images = np.array(validation[:MOST_IMAGES])
    window = recipe.score.synthetic
    spoilt = [
        corrupt(images, recipe.seed + (number << 32), window, region)[0]
        for number in range(_rounds(len(images), fewest))
    ]
    return images, np.concatenate(spoilt)


def spoil_each(recipe: Recipe, validation: NDArray[np.uint8], region: Region | None) -> NDArray[np.uint8]:
    """The first validation images uint8 (n, h, w, c) with m synthetic defects each, one at a time: (n, m, h, w, c).

    They are other draws than those that options are chosen with, of the same kinds and in the same images; images
    whose numbers do not differ by a multiple of four share no pasted pixels. What of them lies outside ``region`` is
    painted over, as the images are.
    """
    images = np.array(validation[:MOST_SPOILT])
    rounds = -(-FEWEST_SPOILT // (len(images) * len(KINDS)))
    spoilt = np.empty((len(images), rounds, len(KINDS), *images.shape[1:]), np.uint8)
    for number in range(rounds):
        seed = recipe.seed + (WEIGHING_SEEDS + number << 32)
        drawn = corrupt(images, seed, recipe.score.synthetic, region, apart=QUARTERS)[0]
        spoilt[:, number] = paint(drawn, region).reshape(spoilt[:, number].shape)
    return spoilt.reshape(len(images), -1, *images.shape[1:])


def synthetic_counts(validation: int) -> tuple[int, int]:
    """How many good images and synthetic defects are chosen with when there are ``validation`` images."""
    good = min(validation, MOST_IMAGES)
    return good, good * len(KINDS) * _rounds(good)


def prove(recipe: Recipe, good: NDArray[np.float32], spoilt: NDArray[np.float32]) -> Proof:
    """Choose the percentile and area that ``recipe`` leaves automatic, from maps of good images and of synthetic
    defects, both (n, h, w); keep what it fixes, and tell how well that does.

    Where the threshold will be conformal there is no percentile: the area is the one that ranks best.
    """
    q, area = recipe.calibration.q, recipe.score.least_area
    areas = LEAST_AREAS if area == "auto" else (area,)
    good_scores = {a: _scores(good, a) for a in areas}
    spoilt_scores = {a: _scores(spoilt, a) for a in areas}
    ranks = {a: auroc(np.sort(good_scores[a]), spoilt_scores[a]) for a in areas}
    if recipe.calibration.method == "conformal":
        best = max(areas, key=lambda a: ranks[a])
        return Proof(judge_promise(recipe.calibration, best, good_scores[best], spoilt_scores[best]), ranks[best])
    choice = choose_percentile_and_area(
        good,
        good_scores,
        spoilt_scores,
        PERCENTILES if q == "auto" else (q,),
        recipe.calibration.tolerated_false_alarms,
    )
    return Proof(choice, ranks[choice.least_area])


def detector_maps(detector: Detector, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The anomaly maps (n, h, w) of images (n, h, w, c), without what is not inspected."""
    with torch.inference_mode():
        maps: NDArray[np.float32] = detector.inspected(detector.view(_with_torch(detector, images))).numpy()
    return maps


def _build_errors(detector: Detector) -> Callable[[NDArray[np.uint8]], Tensor]:
    """The way from images (n, h, w, c) to errors (n, kinds, h, w), by the engine where an encoder makes it long."""
    if not isinstance(detector.network, HalfFrozen):
        return partial(_with_torch, detector)
    engine = Engine(_Errors(detector))
    return lambda images: torch.cat([torch.from_numpy(engine(np.array(batch))) for batch in in_chunks(images)])


class _Errors(nn.Module):
    """A detector that shows every error at once: images (n, c, h, w) in [0, 1] in, (n, kinds, h, w) out."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> Tensor:
        return self.detector.rebuild(self.detector.paint(image), self.detector.kinds)[0]


def _with_torch(detector: Detector, images: NDArray[np.uint8]) -> Tensor:
    device = next((parameter.device for parameter in detector.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        batches = (torch.from_numpy(np.array(batch)) for batch in in_chunks(images))
        return torch.cat([detector.errors(batch.to(device)).cpu() for batch in batches])


def _rounds(good: int, fewest: int = FEWEST_SYNTHETIC) -> int:
    return -(-fewest // (good * len(KINDS)))


def _scores(maps: NDArray[np.float32], least_area: float) -> NDArray[np.float32]:
    return area_score(torch.from_numpy(maps), least_area).numpy()
