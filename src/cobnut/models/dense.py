"""The study's first network (3.2.1): a convolutional autoencoder whose code is a dense vector."""

from torch import Tensor, nn

from cobnut.models.blocks import conv_down, conv_up, dense
from cobnut.options import DenseOptions, ImageOptions


class DenseAutoencoder(nn.Module):
    """Three strided convolutions and two dense layers, normalised, and their mirror: (n, c, s, s) in [0, 1] in and out.

    The code is ``latent`` numbers for the whole image, so whatever good images never show cannot pass through it.
    """

    def __init__(self, options: DenseOptions, image: ImageOptions) -> None:
        super().__init__()
        first, second, third = options.widths
        side = image.size // 8  # three halvings
        self.encoder = nn.Sequential(
            conv_down(image.channels, first),
            conv_down(first, second),
            conv_down(second, third),
            nn.Flatten(),
            dense(third * side * side, options.hidden),
            nn.Linear(options.hidden, options.latent),
        )
        self.decoder = nn.Sequential(
            dense(options.latent, options.hidden),
            dense(options.hidden, third * side * side),
            nn.Unflatten(1, (third, side, side)),
            conv_up(third, second),
            conv_up(second, first),
            nn.ConvTranspose2d(first, image.channels, kernel_size=4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Rebuild images (n, c, s, s) in [0, 1]."""
        reconstruction: Tensor = self.decoder(self.encoder(image))
        return reconstruction
