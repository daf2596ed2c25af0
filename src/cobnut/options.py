"""Every option of a recipe, in groups, each documented once.

The ``description`` of a field is its documentation: the help of ``cobnut recipes NAME``, and what an error shows.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Auto = Literal["auto"]
Width = Annotated[int, Field(ge=1, le=4096)]
Stride = Literal[2, 4, 8, 16, 32]
Weight = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


def _check_odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"must be odd, for example {value + 1}")
    return value


class Options(BaseModel):
    """A group of options: unchangeable, and closed to misspelt names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ImageOptions(Options):
    """How a photograph becomes the array that the network sees."""

    size: int = Field(128, ge=16, le=2048, description="side of the square that images are resized to, in pixels")
    follow: bool = Field(
        default=False,
        description="let size follow the good images: their median shorter side, in steps of 64, but no more than size",
    )
    mode: Literal["rgb", "grey"] = Field("rgb", description="colour channels that the network sees")
    bits: int = Field(16, ge=8, le=16, description="significant bits of 16-bit images (10, 12 or 14 for such cameras)")

    @property
    def channels(self) -> int:
        """3 for rgb, 1 for grey."""
        return 3 if self.mode == "rgb" else 1


class SplitOptions(Options):
    """Which good training images do not train."""

    validation: Fraction = Field(0.15, gt=0, description="share that stops training early and chooses the options")
    calibration: Fraction = Field(0.15, gt=0, description="share that nothing has seen and that sets the threshold")
    test: Fraction | Auto = Field(
        "auto", description="share held out for the test; auto: 0.2 when the data set gives under 20 good test images"
    )


class DenseOptions(Options):
    """The study's first network (3.2.1): convolutions, three of them there, and two dense layers, mirrored."""

    name: Literal["dense"] = Field("dense", description="convolutions and two dense layers, and their mirror")
    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=6)] = Field(
        (16, 32, 64), description="channels after each of the convolutions; each halves the side"
    )
    hidden: int = Field(256, ge=1, le=65_536, description="units of the first dense layer")
    latent: int = Field(64, ge=1, le=65_536, description="units of the code, the narrowest place")

    @property
    def shrinks_by(self) -> int:
        """What the side of an image must be a multiple of."""
        return 1 << len(self.widths)


class UpsamplingOptions(Options):
    """The study's third network (3.2.3): convolution, max-pooling and upsampling only, deeper and wider."""

    name: Literal["upsampling"] = Field("upsampling", description="convolution, max-pooling and upsampling only")
    widths: Annotated[tuple[Width, ...], Field(min_length=2, max_length=8)] = Field(
        (16, 32, 64, 64, 64), description="channels of each level; every level after the first has half the side"
    )
    layers: int = Field(2, ge=1, le=8, description="convolutions of each level")
    skips: bool = Field(False, description="hand each level's features across to its mirror, as a U-Net does")

    @property
    def shrinks_by(self) -> int:
        """What the side of an image must be a multiple of."""
        return 1 << (len(self.widths) - 1)


class TransferOptions(Options):
    """The study's second system (3.2.2): a pretrained encoder, and a decoder of strided deconvolutions."""

    name: Literal["transfer"] = Field("transfer", description="pretrained encoder, decoder of strided deconvolutions")
    encoder: str = Field("vgg19", description="the encoder by its timm name")
    weights: str = Field(
        "auto", description="the encoder's: auto, package, hub, a .safetensors file or its folder, or random"
    )
    stride: int = Field(32, ge=2, le=32, description="pixels of the image to one of the encoder's features")
    encoder_rate: float = Field(
        0.0, ge=0, le=1, description="learning rate of the encoder as a share of the decoder's; 0 leaves it frozen"
    )
    side: int = Field(32, ge=8, le=512, description="side of the small reconstruction, in pixels")
    width: Width = Field(256, description="channels after the first deconvolution; each further one halves them")

    @property
    def shrinks_by(self) -> int:
        """What the side of an image must be a multiple of."""
        return max(self.stride, self.side)


class SsimAeOptions(Options):
    """The autoencoder of Bergmann et al. (2019), Table 1: nine convolutions and their mirror."""

    name: Literal["ssim-ae"] = Field("ssim-ae", description="nine convolutions and their mirror (Bergmann 2019)")
    width: Width = Field(32, description="channels of the first convolution; the paper's 32 scales all others")
    latent: int = Field(100, ge=1, le=65_536, description="numbers of the code, the narrowest place")

    @property
    def shrinks_by(self) -> int:
        """What the side of an image must be a multiple of."""
        return 16


class FeatureOptions(Options):
    """The default: features of a frozen encoder, rebuilt by an autoencoder and by learned prototypes."""

    name: Literal["feature"] = Field("feature", description="features of a frozen encoder, rebuilt")
    encoder: str = Field("tf_efficientnet_lite0", description="the encoder by its timm name")
    weights: str = Field(
        "auto", description="the encoder's: auto, package, hub, a .safetensors file or its folder, or random"
    )
    taps: Annotated[tuple[Stride, ...], Field(min_length=1, max_length=5)] = Field(
        (4, 8, 16), description="strides of the encoder's stages that are brought together and rebuilt"
    )
    context: Literal[0, 2, 4, 8, 16, 32] = Field(
        32, description="stride of the stage that tells the prototypes what surrounds a place; 0: none"
    )
    stride: Stride = Field(8, description="pixels of the image to one feature")
    components: Width = Field(192, description="most principal components of the rebuilt stages that are kept")
    context_components: Width = Field(64, description="most principal components of the context that are kept")
    width: Width = Field(128, description="channels of the autoencoder")
    code: Width = Field(32, description="channels of its code, the narrowest place")
    noise: float = Field(0.2, ge=0, le=2, description="noise on the features that train, in their deviations")
    pasted: int = Field(3, ge=0, le=16, description="most blocks of other features that are pasted into an image's")
    flips: bool = Field(True, description="mirror the features that train, every other time in both directions")
    prototypes: int = Field(2048, ge=1, le=65_536, description="features that stand for all good ones")

    @property
    def shrinks_by(self) -> int:
        """What the side of an image must be a multiple of."""
        return max(2 * self.stride, self.context, *self.taps)


NetworkOptions = Annotated[
    DenseOptions | UpsamplingOptions | TransferOptions | SsimAeOptions | FeatureOptions, Field(discriminator="name")
]
NETWORK_OPTIONS: dict[str, type[Options]] = {
    "dense": DenseOptions,
    "upsampling": UpsamplingOptions,
    "transfer": TransferOptions,
    "ssim-ae": SsimAeOptions,
    "feature": FeatureOptions,
}


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
    epochs: int = Field(150, ge=1, description="most passes over the training images")
    patience: int = Field(30, ge=1, description="epochs without a better validation loss after which training stops")
    batch_size: int = Field(8, ge=4, description="images a step")
    most_steps: int = Field(
        0,
        ge=0,
        description="most batches that train; where the epochs would give more, they, patience and step_epochs shrink "
        "alike; 0: no such bound",
    )
    learning_rate: float = Field(1e-3, gt=0, description="first step size of Adam")
    weight_decay: float = Field(0.0, ge=0, description="Adam's L2 penalty")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="numbers that it computes with; auto: bfloat16 where the processor has it, twice as fast"
    )
    step_epochs: int = Field(
        60, ge=1, description="epochs after which StepLR lowers the learning rate, again and again"
    )
    step_gamma: float = Field(0.3, gt=0, le=1, description="factor by which StepLR lowers the learning rate")
    picture_epochs: int = Field(10, ge=1, description="epochs between two pictures of reconstructions")

    def epochs_for(self, images: int) -> int:
        """The most epochs over so many training images."""
        steps = -(-images // self.batch_size)
        return min(self.epochs, -(-self.most_steps // steps)) if self.most_steps else self.epochs

    def shortened(self, images: int) -> "TrainingOptions":
        """The options as they hold for so many training images.

        What ``most_steps`` takes off the epochs, it takes off patience and step_epochs too, so that the rate falls as
        often as in a whole training. More epochs under the same bound therefore mean an earlier step.
        """
        epochs = self.epochs_for(images)
        counted = {name: -(-getattr(self, name) * epochs // self.epochs) for name in ("patience", "step_epochs")}
        return self.model_copy(update={"epochs": epochs, "most_steps": 0, **counted})


class ScoreOptions(Options):
    """How an error becomes an anomaly map and one number."""

    error: str = Field(
        "squared",
        description="what the map shows: squared, absolute, ssim, ms_ssim or cw_ssim; "
        "of features: residual, prototype, relative or auto",
    )
    normalise: Literal["none", "place"] | Auto = Field(
        "auto",
        description="place: errors as multiples of what is usual at their place; auto: chosen on validation images",
    )
    smoothing: Annotated[int, Field(ge=1, le=63), AfterValidator(_check_odd)] | Auto = Field(
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

    method: Literal["percentile"] = Field("percentile", description="percentile of the good images' pixel errors")
    q: Annotated[float, Field(ge=0, le=100)] | Auto = Field(
        "auto", description="the percentile, 0 to 100; auto: chosen on good validation images"
    )
    tolerated_false_alarms: float = Field(
        0.05, ge=0, lt=1, description="false-alarm rate on good validation images that the automatic choice stays under"
    )
