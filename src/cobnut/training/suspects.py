"""Good images that look defective, and defective ones that look good: judged by prototypes that they did not make."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cobnut.data.images import in_chunks, read_image
from cobnut.data.split import content_hashes
from cobnut.errors import ImageError
from cobnut.models import build_network
from cobnut.models.batches import Batches
from cobnut.models.feature import FeatureNetwork
from cobnut.models.scores import smooth
from cobnut.recipe import read_recipe
from cobnut.records import Sample
from cobnut.training.engine import Engine
from cobnut.training.features import learn_space

FOLDS = 4
SIDE = 256
# Robust deviations above the other good images from which a good one is worth a look.
SUSPICIOUS = 4.0
_PROTOTYPES = 1024


@dataclass(frozen=True, slots=True)
class Suspect:
    """An image whose look contradicts its label; ``deviation`` is in robust deviations of the good ones."""

    sample: Sample
    deviation: float


def find_suspects(samples: Sequence[Sample], on_progress: Callable[[int], None] = lambda _: None) -> list[Suspect]:
    """The images that look other than they are called, the most suspicious first.

    Good images are judged fold by fold by prototypes of the others' features, so none is its own prototype; defective
    ones by the mean over the folds. Only the scale of the features comes from all. Copies share a fold. Images that
    cannot be read are left out.
    """
    recipe = read_recipe("feature", [f"image.size={SIDE}", "image.follow=false", f"network.prototypes={_PROTOTYPES}"])
    network = build_network(recipe).eval()
    assert isinstance(network, FeatureNetwork)
    readable, images = [], []
    for sample in samples:
        try:
            images.append(read_image(sample.path, recipe.image))
        except ImageError:
            continue
        readable.append(sample)
    is_good = np.array([not sample.is_defective for sample in readable])
    if is_good.sum() < 2 * FOLDS:
        return []
    folds = _fold_of(readable)
    if len(set(folds[is_good])) == 1:
        return []
    pixels = np.stack(images)
    learn_space(network.frozen, pixels[is_good])
    features = _features(network, pixels, on_progress)
    scores = _scores(network, features, is_good, folds)
    middle = np.median(scores[is_good])
    spread = max(1.4826 * float(np.median(np.abs(scores[is_good] - middle))), 1e-6)
    deviations = (scores - middle) / spread
    is_odd = np.where(is_good, deviations > SUSPICIOUS, deviations < 0)
    suspects = [Suspect(readable[place], float(deviations[place])) for place in np.flatnonzero(is_odd)]
    return sorted(suspects, key=lambda each: (each.sample.is_defective, -abs(each.deviation)))


def _features(
    network: FeatureNetwork, pixels: NDArray[np.uint8], on_progress: Callable[[int], None]
) -> NDArray[np.float16]:
    engine, made = Engine(network.frozen), []
    for chunk in in_chunks(pixels):
        made.append(engine(np.array(chunk)).astype(np.float16))
        on_progress(len(chunk))
    return np.concatenate(made)


def _fold_of(samples: Sequence[Sample]) -> NDArray[np.int64]:
    """The fold of each image, by its content alone."""
    hashes = content_hashes(samples)
    return np.array([int(hashes[sample.path][:12], 16) % FOLDS for sample in samples])


def _scores(
    network: FeatureNetwork, features: NDArray[Any], is_good: NDArray[np.bool_], folds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The highest distance to a prototype in each image, by prototypes that it had no part in."""
    scores = np.zeros(len(features))
    for fold in range(FOLDS):
        judged = ~is_good | (folds == fold)
        if not judged.any():
            continue
        network.learn_good(features[is_good & (folds != fold)], seed=0)
        with torch.inference_mode():
            maps = torch.cat([network.errors(batch, ("prototype",)) for batch in Batches(features[judged])])
        highest = smooth(maps[:, 0], 3).flatten(1).amax(dim=1).numpy()
        scores[judged] += np.where(is_good[judged], 1.0, 1 / FOLDS) * highest
    return scores
