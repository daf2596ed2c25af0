"""Complex wavelet structural similarity: alike in texture, whether or not the texture sits on the very same pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cobnut.losses.windows import local_mean, window_matrix

HALVINGS = (1, 2)  # the octaves that are looked at: images of half and of a quarter of the side
ORIENTATIONS = 4
WAVELENGTH, SIGMA, RADIUS = 4.0, 2.0, 4  # of a wavelet, in pixels of its octave: about one octave wide
WINDOW_RADIUS = 3  # of the window of 7 × 7 coefficients of Sampat et al. 2009
# Keeps coefficients that are mere noise from counting: the power that a camera's noise leaves, and not much more.
K = 2e-5
# Under the root, so that the slope of the modulus stays finite at 0; far below what K leaves visible.
LEAST_SQUARE = 1e-30


def cw_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Mean CW-SSIM of two batches (n, c, h, w) in [0, 1]: a scalar in [0, 1], 1 for equal images.

    Each channel is analysed for itself, so that defects of colour count, by complex wavelets of four orientations at
    two octaves. A shift of a few pixels turns all phases of a window alike and costs little. So does anything that is
    no structure: an even change of brightness, and the negative, cost nothing; as a loss it wants company, such as
    ``l1``. The index of Sampat, Wang, Gupta, Bovik, Markey 2009; Gabor wavelets on averaged images stand in for the
    steerable pyramid.
    """
    return torch.stack([similarity.mean() for similarity in _similarities(x, y)]).mean()


def cw_ssim_loss(reconstruction: Tensor, image: Tensor) -> Tensor:
    """1 − :func:`cw_ssim`: a scalar in [0, 1], 0 for equal images (Bionda, Frittoli, Boracchi 2022)."""
    return 1 - cw_ssim(reconstruction, image)


def cw_ssim_error(reconstruction: Tensor, image: Tensor) -> Tensor:
    """1 − CW-SSIM around every pixel: (n, c, h, w) twice in, (n, h, w) in [0, 1] out.

    The mean over channels, orientations and octaves, each octave enlarged bilinearly.
    """
    _, c, h, w = image.shape
    error = torch.zeros_like(image[:, :1])
    for similarity in _similarities(reconstruction, image):
        kinds = c * ORIENTATIONS
        coarse = 1 - similarity.reshape(-1, kinds, *similarity.shape[2:]).mean(dim=1, keepdim=True)
        error = error + F.interpolate(coarse, size=(h, w), mode="bilinear") / len(HALVINGS)
    return error[:, 0].clamp_min(0)


def wavelets() -> Tensor:
    """The filters, real parts and then imaginary parts: (2 · orientations, 1, side, side), each of mean zero.

    A wave of the filter's own frequency comes out with a squared modulus equal to its variance.
    """
    line = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float32)
    envelope = torch.exp(-(line[:, None] ** 2 + line[None, :] ** 2) / (2 * SIGMA**2))
    envelope = envelope * (2**0.5 / envelope.sum())
    angle = torch.arange(ORIENTATIONS).view(-1, 1, 1) * (torch.pi / ORIENTATIONS)
    phase = (torch.cos(angle) * line[None, None, :] + torch.sin(angle) * line[None, :, None]) * (
        2 * torch.pi / WAVELENGTH
    )
    # A cosine under a window has a mean, which would see brightness; as much of the window is taken away again.
    mean = (envelope * torch.cos(phase)).sum(dim=(1, 2), keepdim=True) / envelope.sum()
    return torch.cat([envelope * (torch.cos(phase) - mean), envelope * torch.sin(phase)])[:, None]


def _similarities(x: Tensor, y: Tensor) -> list[Tensor]:
    """CW-SSIM around each pixel, octave by octave: (n · c, orientations, h / 2, w / 2), then a quarter."""
    filters = wavelets().to(x)
    # Channels join the batch: one set of filters serves all.
    x, y = x.reshape(-1, 1, *x.shape[2:]), y.reshape(-1, 1, *y.shape[2:])
    octaves: list[Tensor] = []
    for halving in range(1, max(HALVINGS) + 1):
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        if halving in HALVINGS:
            octaves.append(_similarity(_coefficients(x, filters), _coefficients(y, filters)))
    return octaves


def _coefficients(image: Tensor, filters: Tensor) -> tuple[Tensor, Tensor]:
    """The real and the imaginary part of the wavelets' answers: (n, 1, h, w) in, (n, orientations, h, w) twice out."""
    padded = F.pad(image, (RADIUS,) * 4, mode="replicate")
    real, imaginary = F.conv2d(padded, filters).chunk(2, dim=1)
    return real, imaginary


def _similarity(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> Tensor:
    """The index of Sampat et al. 2009, with means in place of sums, the window cut off at the border."""
    (x_real, x_imaginary), (y_real, y_imaginary) = x, y
    h, w = x_real.shape[2:]
    rows, columns = window_matrix(h, WINDOW_RADIUS).to(x_real), window_matrix(w, WINDOW_RADIUS).to(x_real)
    energy_x, energy_y = x_real * x_real + x_imaginary * x_imaginary, y_real * y_real + y_imaginary * y_imaginary
    energy = local_mean(energy_x + energy_y, rows, columns)
    real = local_mean(x_real * y_real + x_imaginary * y_imaginary, rows, columns)
    imaginary = local_mean(x_imaginary * y_real - x_real * y_imaginary, rows, columns)
    modulus = torch.sqrt((real * real + imaginary * imaginary).clamp_min(LEAST_SQUARE))
    return (2 * modulus + K) / (energy + K)
