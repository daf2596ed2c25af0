"""Choose the recipe's automatic options on good validation images, and the same images with synthetic defects."""

import numpy as np
import torch
from numpy.typing import NDArray

from cobnut.calibration.threshold import LEAST_AREAS, PERCENTILES, Choice, choose_percentile_and_area
from cobnut.data.corrupt import KINDS, corrupt
from cobnut.models.detector import Detector
from cobnut.models.scores import area_score
from cobnut.recipe import Recipe

# More images sharpen the choice no further, and their maps would fill the memory.
MOST_IMAGES = 150
# So many that the share found does not hang on a few lucky draws; few images are spoilt in several rounds.
FEWEST_SYNTHETIC = 200
_BATCH = 16


def choose(detector: Detector, recipe: Recipe, validation: NDArray[np.uint8]) -> Choice | None:
    """The percentile and least area for ``recipe``; ``None`` when it fixes both itself."""
    q, area = recipe.calibration.q, recipe.score.least_area
    if q != "auto" and area != "auto":
        return None
    images = np.array(validation[:MOST_IMAGES])
    areas = LEAST_AREAS if area == "auto" else (area,)
    good = _maps(detector, images)
    rounds = -(-FEWEST_SYNTHETIC // (len(images) * len(KINDS)))
    spoilt = [corrupt(images, recipe.seed + (number << 32))[0] for number in range(rounds)]
    synthetic = _maps(detector, np.concatenate(spoilt))
    return choose_percentile_and_area(
        good,
        {a: _scores(good, a) for a in areas},
        {a: _scores(synthetic, a) for a in areas},
        PERCENTILES if q == "auto" else (q,),
        recipe.calibration.tolerated_false_alarms,
    )


def _maps(detector: Detector, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        batches = torch.split(torch.from_numpy(images), _BATCH)
        return np.concatenate([detector(batch)[0].numpy() for batch in batches])


def _scores(maps: NDArray[np.float32], least_area: float) -> NDArray[np.float32]:
    return area_score(torch.from_numpy(maps), least_area).numpy()
