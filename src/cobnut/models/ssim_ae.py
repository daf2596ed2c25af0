"""The autoencoder of Bergmann et al., «Improving Unsupervised Defect Segmentation by Applying SSIM» (2019), Table 1."""

from torch import Tensor, nn

from cobnut.options import ImageOptions, SsimAeOptions

_SLOPE = 0.2


class SsimAutoencoder(nn.Module):
    """Nine convolutions down to a code of ``latent`` numbers, and their mirror: (n, c, s, s) in [0, 1] in and out.

    The paper's table is for s = 128, where the last convolution spans 8×8; for other sizes it spans s/16.
    """

    def __init__(self, options: SsimAeOptions, image: ImageOptions) -> None:
        super().__init__()
        width, span = options.width, image.size // 16
        # (channels, kernel, stride, padding) of each convolution
        layers = [
            (width, 4, 2, 1), (width, 4, 2, 1), (width, 3, 1, 1), (2 * width, 4, 2, 1), (2 * width, 3, 1, 1),
            (4 * width, 4, 2, 1), (2 * width, 3, 1, 1), (width, 3, 1, 1), (options.latent, span, 1, 0),
        ]  # fmt: skip
        encoder: list[nn.Module] = []
        decoder: list[nn.Module] = []
        before = image.channels
        for number, (channels, kernel, stride, padding) in enumerate(layers):
            encoder.append(nn.Conv2d(before, channels, kernel, stride, padding))
            decoder.insert(0, nn.ConvTranspose2d(channels, before, kernel, stride, padding))
            if number:  # between two layers, so neither after the code nor after the image
                encoder.insert(-1, nn.LeakyReLU(_SLOPE))
                decoder.insert(1, nn.LeakyReLU(_SLOPE))
            before = channels
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(*decoder, nn.Sigmoid())

    def forward(self, image: Tensor) -> Tensor:
        """Rebuild images (n, c, s, s) in [0, 1]."""
        reconstruction: Tensor = self.decoder(self.encoder(image))
        return reconstruction
