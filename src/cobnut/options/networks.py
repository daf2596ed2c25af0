"""The options of each network that rebuilds."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cobnut.options.base import Options, Stride, Width


class Network(Options):
    """What a network tells of itself beside its sizes, so that whoever trains or judges with it need not know its name.

    No ``losses`` or ``errors`` means all those of pixels.
    """

    rebuilds: ClassVar[Literal["pixels", "features"]] = "pixels"
    """Features are kept and never seen anew, so no image may change while they train."""
    losses: ClassVar[tuple[str, ...]] = ()
    errors: ClassVar[tuple[str, ...]] = ()
    """The plainest first; a network that has its own lets ``auto`` choose among them."""
    own_changes: ClassVar[str] = ""
    """Which of its options change what it sees while it trains, for people."""
    keeps_size: ClassVar[bool] = True
    """Whether what it gives back is as large as the image, so that a part may be split off that."""

    @property
    def grain(self) -> int:
        """Pixels of the image to one of the places that are judged."""
        return 1

    @property
    def takes_aspect(self) -> bool:
        """Whether images may be other than square, with sides that are multiples of 32."""
        return False


class DenseOptions(Network):
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


class UpsamplingOptions(Network):
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


class TransferOptions(Network):
    """The study's second system (3.2.2): a pretrained encoder, and a decoder of strided deconvolutions."""

    keeps_size = False

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


class SsimAeOptions(Network):
    """The autoencoder of Bergmann et al. (2019), Table 1: nine convolutions and their mirror."""

    name: Literal["ssim-ae"] = Field("ssim-ae", description="nine convolutions and their mirror (Bergmann 2019)")
    width: Width = Field(32, description="channels of the first convolution; the paper's 32 scales all others")
    latent: int = Field(100, ge=1, le=65_536, description="numbers of the code, the narrowest place")

    @property
    def shrinks_by(self) -> int:
        """What the side of an image must be a multiple of."""
        return 16


class FeatureOptions(Network):
    """The default: features of a frozen encoder, rebuilt by an autoencoder and by learned prototypes."""

    rebuilds = "features"
    losses = ("mse",)
    errors = ("residual", "prototype", "relative", "position", "combined")
    own_changes = "network.flips, network.noise and network.pasted"

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
    directions: Width = Field(64, description="directions in which what is usual at each position is told")

    @property
    def shrinks_by(self) -> int:
        """What the side of an image must be a multiple of."""
        return max(2 * self.stride, self.context, *self.taps)

    @property
    def grain(self) -> int:
        """Pixels of the image to one feature."""
        return self.stride

    @property
    def takes_aspect(self) -> bool:
        """It does, unless its strides need multiples of 64."""
        return self.shrinks_by <= 32


NetworkOptions = Annotated[
    DenseOptions | UpsamplingOptions | TransferOptions | SsimAeOptions | FeatureOptions, Field(discriminator="name")
]
NETWORK_OPTIONS: dict[str, type[Network]] = {
    "dense": DenseOptions,
    "upsampling": UpsamplingOptions,
    "transfer": TransferOptions,
    "ssim-ae": SsimAeOptions,
    "feature": FeatureOptions,
}
