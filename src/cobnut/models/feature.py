"""The default network: the features of a frozen encoder are rebuilt, by an autoencoder and by learned prototypes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cobnut.errors import RecipeError
from cobnut.models.batches import Batches
from cobnut.models.detector import Detector
from cobnut.models.feature_space import FeatureSpace
from cobnut.models.positions import Positions
from cobnut.models.prototypes import Prototypes
from cobnut.models.transfer import HalfFrozen
from cobnut.models.whitening import Whitening
from cobnut.options import FeatureOptions, ImageOptions, ScoreOptions

FEATURE_ERRORS = FeatureOptions.errors
# Those that are combined.
_COMBINED = ("residual", "relative", "position")
# Fewer features a side have no surroundings that tell anything of them.
LEAST_SIDE = 4
# Images that count for the errors' mean variance, beside those that tell the variance of each.
_PRIOR_IMAGES = 3
# How little the regression that weighs the errors is held back; at 1 it hardly tells a good error from a better one.
_FREEDOM = 1000.0


class Block(nn.Module):
    """Look around, then mix channels (Liu et al. 2022, ConvNeXt, section 2): (n, width, h, w) in and out.

    It looks around by 3×3 where ConvNeXt does by 7×7: a larger depthwise kernel learns many times slower on a CPU.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(width, width, kernel_size=3, padding=1, groups=width)
        self.norm = nn.BatchNorm2d(width)
        self.mix = nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.GELU(), nn.Conv2d(2 * width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """What the block adds, added."""
        added: Tensor = self.mix(self.norm(self.around(x)))
        return x + added


class FeatureAutoencoder(nn.Module):
    """Features (n, d, h, w), h and w even, through a code of few channels at half the resolution, and back.

    All of it works at half the resolution: four neighbours are told as one, and one tells four apart again. Blocks at
    the whole one take about twice the operations.
    """

    def __init__(self, components: int, width: int, code: int) -> None:
        super().__init__()
        self.components = components
        self.encode = nn.Sequential(
            nn.Conv2d(components, width, 2, stride=2), Block(width), Block(width), nn.Conv2d(width, code, 1)
        )
        self.decode = nn.Sequential(
            nn.Conv2d(code, width, 1),
            Block(width),
            Block(width),
            nn.Conv2d(width, 4 * components, 1),
            nn.PixelShuffle(2),
        )

    def forward(self, features: Tensor) -> Tensor:
        """The features as they are rebuilt."""
        rebuilt: Tensor = self.decode(self.encode(features))
        return rebuilt


class FeatureNetwork(HalfFrozen):
    """Frozen features, the autoencoder that learns to rebuild them, and what stands for good ones beside it.

    The errors, each (n, h, w) on the features' grid:

    - ``residual``: what the autoencoder left over, whitened by what it leaves over of images that it never saw;
    - ``prototype``: squared distance to the nearest prototype;
    - ``relative``: the same in multiples of what is usual for that very prototype;
    - ``position``: distance to what is usual at that very position;
    - ``combined``: residual, relative and position, added up by weights that good images tell.

    Half of an error's weight tells how steady it is: the inverse variance of the logarithm of its highest value in
    good images, which is best if a defect raises all errors by one factor. The other half tells how it rises: by the
    logistic regression that tells good images from the same with synthetic defects. So no error counts for nothing,
    whatever those defects are blind to.
    """

    frozen: FeatureSpace
    weights: Tensor

    def __init__(self, space: FeatureSpace, options: FeatureOptions, grid: tuple[int, int]) -> None:
        super().__init__(space, FeatureAutoencoder(space.detail, options.width, options.code))
        self.residuals = Whitening(space.detail, space.detail)
        self.prototypes = Prototypes(options.prototypes, space.components)
        self.positions = Positions(space.components, options.directions, grid)
        self.register_buffer("weights", torch.ones(len(_COMBINED)))
        # where good features are learned from, (h, w); ``None`` is everywhere
        self.inside: Tensor | None = None

    def forward(self, image: Tensor) -> Tensor:
        """The features of detail (n, detail, h, w) of images in [0, 1], as the autoencoder rebuilds them."""
        rebuilt: Tensor = self.learning(self.frozen(image)[:, : self.frozen.detail])
        return rebuilt

    def errors(self, features: Tensor, kinds: Sequence[str]) -> Tensor:
        """Several errors of whitened features (n, components, h, w): (n, kinds, h, w)."""
        wanted = {*kinds, *(_COMBINED if "combined" in kinds else ())}
        found: dict[str, Tensor] = {}
        if "residual" in wanted:
            found["residual"] = self.residuals(self._left_over(features)).square().mean(dim=1)
        if wanted & {"prototype", "relative"}:
            distance, usual = self.prototypes(features)
            found |= {"prototype": distance, "relative": distance / usual}
        if "position" in wanted:
            found["position"] = self.positions(features)
        if "combined" in kinds:
            errors = torch.stack([found[kind] for kind in _COMBINED], dim=-1)
            found["combined"] = (errors * self.weights).sum(dim=-1)
        return torch.stack([found[kind] for kind in kinds], dim=1)

    def learn_good(self, train: NDArray[np.floating[Any]], seed: int) -> None:
        """Learn prototypes and positions from the training images' features (n, d, h, w)."""
        with torch.inference_mode():
            self.prototypes.scale.copy_(self.frozen.spread)
            self.prototypes.learn(Batches(train), len(train), seed, self.inside)
            self.positions.learn(Batches(train), self.frozen.spread, seed)

    def learn_usual(self, held_out: NDArray[np.floating[Any]], spoilt: NDArray[np.floating[Any]]) -> None:
        """Learn from images that trained nothing which errors are usual, and what each error counts for.

        ``held_out`` are their features (n, d, h, w), ``spoilt`` (n or fewer, m, d, h, w) those of the first of them
        with m synthetic defects, one at a time. Errors look lower in the images that told what is usual: each half is
        looked at while the other tells.
        """
        halves = [(held_out[half::2], spoilt[half::2]) for half in (0, 1)]
        if len(held_out) == 1:
            halves = [(held_out, spoilt)] * 2
        good, defective, levels = [], [], []
        with torch.inference_mode():
            for (told, _), looked_at in (halves, halves[::-1]):
                self._learn_usual(told)
                highest = self._highest(looked_at[0])
                # A half that few images told has a level of its own.
                level = highest.mean(dim=0)
                good.append(highest / level)
                defective += [self._highest(each) / level for each in looked_at[1]]
                levels.append(level)
            self._learn_usual(held_out)
            self.weights.copy_(_shares(torch.cat(good), torch.cat(defective)) / torch.stack(levels).mean(dim=0))

    def _highest(self, features: NDArray[np.floating[Any]]) -> Tensor:
        """The highest values of the errors that are combined, of features (n, d, h, w): (n, errors)."""
        errors = torch.cat([self.errors(batch, _COMBINED) for batch in Batches(features)])
        errors = errors if self.inside is None else errors * self.inside
        return errors.flatten(2).amax(dim=2)

    def _learn_usual(self, held_out: NDArray[np.floating[Any]]) -> None:
        self.residuals.learn(self._learned_from(self._left_over(features)) for features in Batches(held_out))
        self.prototypes.learn_usual(Batches(held_out), self.inside)

    def _learned_from(self, maps: Tensor) -> Tensor:
        """Maps (n, d, h, w) without the places that nothing is learned from: (n, d, places) where there are any."""
        return maps if self.inside is None else maps[..., self.inside]

    def _left_over(self, features: Tensor) -> Tensor:
        detail = features[:, : self.frozen.detail]
        left: Tensor = detail - self.learning(detail)
        return left


def _shares(good: Tensor, spoilt: Tensor) -> Tensor:
    """Shares of 1 by the highest values in good images (n, errors), 1 on average, and in spoilt ones (m, errors)."""
    return (_steadiness(good) + _rise(good, spoilt)) / 2


def _steadiness(good: Tensor) -> Tensor:
    """Shares of 1 by inverse variances of the logarithms of values (n, errors)."""
    variance = good.log().var(dim=0, correction=0)
    variance = (len(good) * variance + _PRIOR_IMAGES * variance.mean()) / (len(good) + _PRIOR_IMAGES)
    inverse = 1 / variance.clamp(min=1e-4)
    return inverse / inverse.sum()


def _rise(good: Tensor, spoilt: Tensor) -> Tensor:
    """Shares of 1 by what tells values (n, errors) from values (m, errors): coefficients of a logistic regression.

    An error that would count less than nothing is left out.
    """
    from sklearn.linear_model import LogisticRegression

    values, is_spoilt = torch.cat([good, spoilt]).numpy(), np.arange(len(good) + len(spoilt)) >= len(good)
    kept = np.ones(values.shape[1], bool)
    while kept.any():
        regression = LogisticRegression(C=_FREEDOM, class_weight="balanced", max_iter=1000)
        found = np.zeros(len(kept))
        found[kept] = regression.fit(values[:, kept], is_spoilt).coef_[0]
        if (found >= 0).all() and found.any():
            break
        kept &= found > 0
    else:  # none of them tells the two apart
        found = np.ones(len(kept))
    return torch.from_numpy(found / found.sum()).float()


class FeatureDetector(Detector):
    """A feature network with everything around it; its maps have the features' grid, and it rebuilds no pixels."""

    network: FeatureNetwork

    def __init__(self, network: FeatureNetwork, options: ScoreOptions, least_area: float) -> None:
        super().__init__(network, options, least_area)
        self.kinds = FEATURE_ERRORS if options.error == "auto" else (options.error,)

    def rebuild(self, image: Tensor, kinds: Sequence[str]) -> tuple[Tensor, None]:
        """The errors of images in [0, 1]; a reconstruction of features is nothing to look at."""
        return self.network.errors(self.network.frozen(image), kinds), None


def build_feature(options: FeatureOptions, image: ImageOptions) -> FeatureNetwork:
    """The network with fresh weights; its space is yet to be learned from good images."""
    height, width = image.shape
    grid = height // options.stride, width // options.stride
    if min(grid) < LEAST_SIDE:
        raise RecipeError(
            f"image.size = {image.size}: at network.stride {options.stride} that makes {grid[0]} × {grid[1]} features, "
            f"and {LEAST_SIDE} × {LEAST_SIDE} are the fewest; raise the size or lower the stride"
        )
    return FeatureNetwork(FeatureSpace(options), options, grid)
