"""What every recipe decides beside its network: images, training, score and calibration."""

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from cobnut.options.base import Auto, Fraction, Options, Weight, Width, check_folds, check_odd

LARGEST = 2048
ASPECTS = (0.125, 8.0)

# That a bound of steps leaves, of however many images: the best of them is kept, so there must be some.
FEWEST_EPOCHS = 4
# Of one machine.
MOST_DEVICES = 64
# Each is a detector of its own in the model.
MOST_FOLDS = 100


class ImageOptions(Options):
    """How a photograph becomes the array that the network sees."""

    size: int = Field(
        128, ge=16, le=LARGEST, description="side of the square that images are resized to, or of one of the same area"
    )
    aspect: float = Field(
        default=1.0,
        ge=ASPECTS[0],
        le=ASPECTS[1],
        description="width / height that images are resized to; other than 1, their sides are multiples of 32",
    )
    follow: bool = Field(
        default=False,
        description="let size follow the good images: the median of their sides, in steps of 64, but no more than "
        "size; and aspect, where it is 1, if the network takes another than squares",
    )
    smallest_defect: float = Field(
        default=0.0,
        ge=0,
        description="with follow: width of the smallest defect worth finding, in pixels of the photographs; size then "
        "is the least at which it covers one feature, if it may be so large; 0: not told",
    )
    mode: Literal["rgb", "grey"] = Field("rgb", description="colour channels that the network sees")
    bits: int = Field(16, ge=8, le=16, description="significant bits of 16-bit images (10, 12 or 14 for such cameras)")

    @property
    def channels(self) -> int:
        """3 for rgb, 1 for grey."""
        return 3 if self.mode == "rgb" else 1

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the image that the network sees: ``size`` twice, or about as many pixels at ``aspect``.

        Then the sides are multiples of 32, which all stages of an encoder divide; those above 1024 of 64 and so on, so
        that they have divisors that bring them down.
        """
        if self.aspect == 1:
            return self.size, self.size
        shorter = _in_steps(self.size / math.sqrt(max(self.aspect, 1 / self.aspect)))
        shorter, longer = sorted((shorter, _in_steps(self.size**2 / shorter)))  # rounding may turn near squares over
        return (shorter, longer) if self.aspect > 1 else (longer, shorter)


class RegionOptions(Options):
    """Which part of the photographs is inspected; all of it, unless one of these is given.

    Both are told by a mask image of the photographs' size, bright where it holds, or by polygons in their pixels,
    ``x,y x,y x,y``, several with semicolons between them.
    """

    inspect: str = Field("", description="inspect only what lies inside: a mask image, or polygons «x,y x,y x,y; …»")
    ignore: str = Field("", description="leave out what lies inside: a mask image, or polygons «x,y x,y x,y; …»")

    def told(self) -> str:
        """The options that were given, for a message."""
        return ", ".join(f"region.{name} = {value}" for name, value in self.model_dump().items() if value)

    @property
    def whole(self) -> str:
        """What shares of pixels are shares of, for a sentence."""
        return "what is inspected" if self.inspect or self.ignore else "the image"


class SplitOptions(Options):
    """Which good training images do not train."""

    validation: Fraction = Field(0.15, gt=0, description="share that stops training early and chooses the options")
    calibration: Fraction = Field(0.15, gt=0, description="share that nothing has seen and that sets the threshold")
    test: Fraction | Auto = Field(
        "auto", description="share held out for the test; auto: 0.2 when the data set gives under 20 good test images"
    )


class PatchOptions(Options):
    """Cutting images of textures into patches (Bergmann 2019, 4.1)."""

    size: int = Field(0, ge=0, le=2048, description="side of the patches that the network sees; 0: the whole image")
    stride: int = Field(32, ge=1, le=2048, description="pixels between two patches at inspection")


class AugmentationOptions(Options):
    """Chance changes of the training images that leave a good part good (study, 3.2.3)."""

    flip_horizontal: bool = Field(False, description="mirror left and right, every other time")
    flip_vertical: bool = Field(False, description="mirror top and bottom, every other time")
    zoom: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="most that an image is enlarged by, as a share")


class CorruptionOptions(Options):
    """What is spoilt in the images that the network sees while it learns; it shall give back the unspoilt ones."""

    name: Literal["none", "mask", "defects", "noise"] = Field(
        "none", description="mask: cells blotted out; defects: synthetic ones; noise: Gaussian"
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(1.0, description="share of the images that is spoilt")
    weight: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="share of the loss that looks at the spoilt places alone"
    )
    cells: Annotated[tuple[Width, ...], Field(min_length=1, max_length=4)] = Field(
        (8,), description="mask: sides of the square cells, in pixels; each gives a reconstruction, their mean counts"
    )
    parts: int = Field(4, ge=2, le=16, description="mask: parts that the cells are dealt into, each blotted out once")
    noise: float = Field(0.1, gt=0, le=1, description="noise: its standard deviation, of a range of 1")


class RobustOptions(Options):
    """Splitting a sparse part off the training images, because some may be defective (Zhou & Paffenroth 2017)."""

    threshold: float = Field(
        0.0,
        ge=0,
        le=1,
        description="what a pixel may differ from its reconstruction before the rest is split off; 0: off",
    )
    every_epochs: int = Field(10, ge=1, description="epochs between two splits")


class TrainingOptions(Options):
    """How the network learns (study, 3.3)."""

    loss: dict[str, Weight] = Field({"mse": 1.0}, min_length=1, description="weight of each loss in the sum")
    epochs: int = Field(
        150,
        ge=1,
        description="most passes over the training images; where most_steps binds, more of them train no longer but "
        "stop and lower the rate earlier: raise most_steps instead",
    )
    patience: int = Field(
        30,
        ge=1,
        description="epochs without a better validation loss after which training stops, of the epochs asked for",
    )
    batch_size: int = Field(8, ge=4, description="images a step, of all devices together")
    devices: int = Field(
        1,
        ge=1,
        le=MOST_DEVICES,
        description="GPUs, or without any processes on the CPU, that train together on one machine: each learns from "
        "its share of every batch, at least 2 images",
    )
    most_steps: int = Field(
        0,
        ge=0,
        description="most batches that train, the last epoch of them whole; where the epochs would give more, they, "
        "patience and step_epochs shrink alike, and where fewer than four epochs were left, each takes a quarter of "
        "these batches, drawn anew; 0: no such bound",
    )
    learning_rate: float = Field(1e-3, gt=0, description="first step size of Adam")
    weight_decay: float = Field(0.0, ge=0, description="Adam's L2 penalty")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="numbers that it computes with; auto: bfloat16 where the processor has it, twice as fast"
    )
    schedule: Literal["step", "one-cycle"] = Field(
        "step",
        description="step: the study's StepLR; one-cycle: the rate climbs to learning_rate and falls to nothing over "
        "the whole training (Smith & Topin 2018), which learns as much in fewer steps",
    )
    step_epochs: int = Field(
        60, ge=1, description="epochs after which StepLR lowers the learning rate, again and again"
    )
    step_gamma: float = Field(0.3, gt=0, le=1, description="factor by which StepLR lowers the learning rate")
    picture_epochs: int = Field(10, ge=1, description="epochs between two pictures of reconstructions")

    def batches_for(self, images: int) -> int:
        """The batches of an epoch, where so many images train."""
        batches = -(-images // self.batch_size)
        return min(batches, -(-self.most_steps // FEWEST_EPOCHS)) if self.most_steps else batches

    def epochs_for(self, images: int) -> int:
        """The most epochs, where so many images train."""
        batches = self.batches_for(images)
        return min(self.epochs, -(-self.most_steps // batches)) if self.most_steps else self.epochs

    def shortened(self, images: int) -> "TrainingOptions":
        """The options as they hold for so many training images.

        What ``most_steps`` takes off the epochs, it takes off patience and step_epochs too, so that the rate falls as
        often as in a whole training. More epochs under the same bound therefore mean an earlier stop and step.
        """
        epochs = self.epochs_for(images)
        counted = {name: -(-getattr(self, name) * epochs // self.epochs) for name in ("patience", "step_epochs")}
        return self.model_copy(update={"epochs": epochs, "most_steps": 0, **counted})


class ScoreOptions(Options):
    """How an error becomes an anomaly map and one number."""

    error: str = Field(
        "squared",
        description="what the map shows: squared, absolute, ssim, ms_ssim or cw_ssim; "
        "of features: residual, prototype, relative, position, combined (all but prototype) or auto",
    )
    normalise: Literal["none", "place"] | Auto = Field(
        "auto",
        description="place: errors as multiples of what is usual at their place; auto: chosen on validation images",
    )
    smoothing: Annotated[int, Field(ge=1, le=63), AfterValidator(check_odd)] | Auto = Field(
        "auto", description="side of the square mean, in the map's pixels, odd; 1 is none; auto: as for normalise"
    )
    synthetic: float = Field(
        1.0, gt=0, le=1, description="scale of the synthetic defects that choose; 1: for images that they fill well"
    )
    least_area: Fraction | Auto = Field(
        "auto", description="share of the map that must lie above the threshold; auto: chosen on good validation images"
    )


class CalibrationOptions(Options):
    """How scores of good images become a decision."""

    method: Literal["conformal", "percentile"] = Field(
        "conformal",
        description="conformal: a threshold that rejects a promised share of good parts at most; percentile: the "
        "study's, of the good images' pixel errors, which promises nothing",
    )
    alpha: Annotated[float, Field(gt=0, lt=1)] | Auto = Field(
        "auto",
        description="conformal: the most of the good parts that are rejected, as a share, on average; auto: 0.05, or "
        "the least that the calibration images can promise",
    )
    confidence: Fraction = Field(
        0.0,
        description="conformal: hold alpha for this very calibration set, with this probability, not only on average; "
        "0: on average",
    )
    folds: Annotated[int, Field(ge=0, le=MOST_FOLDS), AfterValidator(check_folds)] = Field(
        0,
        description="conformal: train so many detectors, each without its fold of the good images, so that every image "
        "trains and calibrates; for few images; 0: one detector, and images that only calibrate",
    )
    q: Annotated[float, Field(ge=0, le=100)] | Auto = Field(
        "auto", description="percentile: which, 0 to 100; auto: chosen on good validation images"
    )
    tolerated_false_alarms: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="percentile: false-alarm rate on good validation images that the automatic choice stays under",
    )


def _in_steps(side: float) -> int:
    """The side in at most 32 steps of 32 pixels, or of 64, 128, …"""
    step = 32
    while side > 32 * step:
        step *= 2
    return max(1, round(side / step)) * step
