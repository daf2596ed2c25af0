"""The study's second system (3.2.2): a pretrained encoder, and a decoder of strided deconvolutions from scratch."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from cobnut.errors import RecipeError
from cobnut.models.blocks import conv_up
from cobnut.models.encoders import build_encoder
from cobnut.options import ImageOptions, TransferOptions


class HalfFrozen(nn.Module):
    """A network whose first part learns nothing, so that its outputs may be computed once and kept."""

    def __init__(self, frozen: nn.Module, learning: nn.Module) -> None:
        super().__init__()
        self.frozen, self.learning = frozen.requires_grad_(False), learning

    def train(self, mode: bool = True) -> "HalfFrozen":
        """Only the learning part ever trains: the frozen one keeps the statistics that it came with."""
        super().train(mode)
        self.frozen.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        """Rebuild images (n, c, s, s) in [0, 1]."""
        with torch.no_grad():
            features = self.frozen(image)
        reconstruction: Tensor = self.learning(features)
        return reconstruction


class FineTuned(nn.Module):
    """The same, with an encoder that learns on, at a lower rate."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, encoder_rate: float) -> None:
        super().__init__()
        self.encoder, self.decoder, self.encoder_rate = encoder, decoder, encoder_rate

    def forward(self, image: Tensor) -> Tensor:
        """Rebuild images (n, c, s, s) in [0, 1]."""
        reconstruction: Tensor = self.decoder(self.encoder(image))
        return reconstruction

    def rates(self, learning_rate: float) -> list[dict[str, Any]]:
        """The parameter groups for the optimiser, each with its learning rate."""
        return [
            {"params": list(self.encoder.parameters()), "lr": self.encoder_rate * learning_rate},
            {"params": list(self.decoder.parameters()), "lr": learning_rate},
        ]


class LastFeatures(nn.Module):
    """Only the deepest map of an encoder: images (n, c, s, s) in, features (n, k, s/stride, s/stride) out."""

    def __init__(self, options: TransferOptions) -> None:
        super().__init__()
        self.encoder = build_encoder(options.encoder, options.weights, (options.stride,))
        self.channels = self.encoder.channels[-1]

    def forward(self, image: Tensor) -> Tensor:
        """The features of images in [0, 1]."""
        features: Tensor = self.encoder(image)[-1]
        return features


def build_transfer(options: TransferOptions, image: ImageOptions) -> HalfFrozen | FineTuned:
    """Encoder and decoder as ``options`` want them: images (n, c, s, s) in, reconstructions (n, c, side, side) out."""
    encoder = LastFeatures(options)
    decoder = build_decoder(encoder.channels, image.size // options.stride, options, image.channels)
    if options.encoder_rate:
        return FineTuned(encoder, decoder, options.encoder_rate)
    return HalfFrozen(encoder, decoder)


def build_decoder(channels_in: int, side_in: int, options: TransferOptions, channels_out: int) -> nn.Sequential:
    """As many strided deconvolutions as lead from ``side_in`` to ``options.side`` pixels."""
    doublings = math.log2(options.side / side_in) if side_in else 0
    if doublings < 1 or doublings != int(doublings):
        raise RecipeError(
            f"network.side = {options.side}: features of {side_in}×{side_in} cannot be doubled up to it; "
            f"choose {side_in} times a power of two, or another image.size or network.stride"
        )
    widths = [max(options.width >> number, 8) for number in range(int(doublings) - 1)]
    blocks = [conv_up(before, after) for before, after in zip((channels_in, *widths), widths, strict=False)]
    last = nn.ConvTranspose2d((channels_in, *widths)[-1], channels_out, kernel_size=4, stride=2, padding=1)
    return nn.Sequential(*blocks, last, nn.Sigmoid())
