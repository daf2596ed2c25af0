"""The study's first network (3.2.1): a convolutional autoencoder whose code is a dense vector."""

from itertools import pairwise

from torch import Tensor, nn

from cobnut.models.blocks import conv_down, conv_up, dense
from cobnut.options import DenseOptions, ImageOptions


class DenseAutoencoder(nn.Module):
    """Strided convolutions and two dense layers, normalised, and their mirror: (n, c, s, s) in [0, 1] in and out.

    The code is ``latent`` numbers for the whole image, so whatever good images never show cannot pass through it.
    """

    def __init__(self, options: DenseOptions, image: ImageOptions) -> None:
        super().__init__()
        first, last = options.widths[0], options.widths[-1]
        side = image.size // options.shrinks_by
        self.encoder = nn.Sequential(
            *(conv_down(wide, deep) for wide, deep in pairwise([image.channels, *options.widths])),
            nn.Flatten(),
            dense(last * side * side, options.hidden),
            nn.Linear(options.hidden, options.latent),
        )
        self.decoder = nn.Sequential(
            dense(options.latent, options.hidden),
            dense(options.hidden, last * side * side),
            nn.Unflatten(1, (last, side, side)),
            *(conv_up(deep, wide) for deep, wide in pairwise(reversed(options.widths))),
            nn.ConvTranspose2d(first, image.channels, kernel_size=4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Rebuild images (n, c, s, s) in [0, 1]."""
        reconstruction: Tensor = self.decoder(self.encoder(image))
        return reconstruction
