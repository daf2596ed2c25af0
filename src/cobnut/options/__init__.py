"""Every option of a recipe, in groups, each documented once.

The ``description`` of a field is its documentation: the help of ``cobnut recipes NAME``, and what an error shows.
"""

from cobnut.options.base import Auto, Options
from cobnut.options.groups import (
    ASPECTS,
    LARGEST,
    MOST_FOLDS,
    AugmentationOptions,
    CalibrationOptions,
    CorruptionOptions,
    ImageOptions,
    PatchOptions,
    RegionOptions,
    RobustOptions,
    ScoreOptions,
    SplitOptions,
    TrainingOptions,
)
from cobnut.options.networks import (
    NETWORK_OPTIONS,
    DenseOptions,
    FeatureOptions,
    NetworkOptions,
    SsimAeOptions,
    TransferOptions,
    UpsamplingOptions,
)

__all__ = [
    "ASPECTS",
    "LARGEST",
    "MOST_FOLDS",
    "NETWORK_OPTIONS",
    "AugmentationOptions",
    "Auto",
    "CalibrationOptions",
    "CorruptionOptions",
    "DenseOptions",
    "FeatureOptions",
    "ImageOptions",
    "NetworkOptions",
    "Options",
    "PatchOptions",
    "RegionOptions",
    "RobustOptions",
    "ScoreOptions",
    "SplitOptions",
    "SsimAeOptions",
    "TrainingOptions",
    "TransferOptions",
    "UpsamplingOptions",
]
