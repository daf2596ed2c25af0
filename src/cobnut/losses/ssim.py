"""Structural similarity at one scale and at several: how alike light, contrast and structure are around each pixel."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cobnut.losses.windows import local_mean, window_matrix

RADIUS, SIGMA = 5, 1.5  # the window of 11 pixels of Wang et al. 2004
C1, C2 = 0.01**2, 0.03**2  # (K · range)² for images in [0, 1]
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli, Bovik 2003, section 3.2
# Below this a power's slope leaves the range in which training is any use; at 0 it would be infinite.
LEAST_BASE = 1e-6


def ssim_map(x: Tensor, y: Tensor, margin: int = 0) -> Tensor:
    """SSIM of every pixel and channel: (n, c, h, w) twice in, in [0, 1], the same shape out, in [−1, 1].

    At the border the window is cut off and its weights renormalised, so that no pixel is invented; ``margin`` leaves
    out as many pixels there. Wang, Bovik, Sheikh, Simoncelli 2004, equation 13, with the Gaussian window of 11 pixels.
    """
    means, squares, covariance, variances = _statistics(x, y, margin)
    return (means + C1) * (covariance + C2) / ((squares + C1) * (variances + C2))


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Mean SSIM of two batches (n, c, h, w) in [0, 1]: a scalar in [−1, 1], 1 for equal images.

    The mean goes over all channels and over the pixels whose window lies inside the image (Wang et al. 2004,
    equation 17); of a side under 11 it takes the one or two pixels in the middle.
    """
    return ssim_map(x, y, margin=RADIUS).mean()


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Mean multi-scale SSIM of two batches (n, c, h, w) in [0, 1]: a scalar in [0, 1], 1 for equal images.

    Contrast and structure count at every scale, luminance at the coarsest only; each channel of each image gets its
    product of powers, and the mean is taken last. Negative terms count as 0. Wang, Simoncelli, Bovik 2003, equation 7.
    A scale needs a side of 11 pixels, so five need 176; smaller images use as many as fit, their weights renormalised.
    """
    weights = scale_weights(min(x.shape[2:]))
    product = x.new_ones(())
    for scale, weight in enumerate(weights):
        is_last = scale == len(weights) - 1
        term = ssim_map(x, y, margin=RADIUS) if is_last else _contrast_map(x, y)
        product = product * _power(term.mean(dim=(2, 3)), weight)
        if not is_last:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return product.mean()


def ssim_loss(reconstruction: Tensor, image: Tensor) -> Tensor:
    """1 − :func:`ssim`: a scalar in [0, 2], 0 for equal images."""
    return 1 - ssim(reconstruction, image)


def ms_ssim_loss(reconstruction: Tensor, image: Tensor) -> Tensor:
    """1 − :func:`ms_ssim`: a scalar in [0, 1], 0 for equal images."""
    return 1 - ms_ssim(reconstruction, image)


def ssim_error(reconstruction: Tensor, image: Tensor) -> Tensor:
    """1 − :func:`ssim_map`, averaged over channels: (n, c, h, w) twice in, (n, h, w) in [0, 2] out."""
    return (1 - ssim_map(reconstruction, image)).mean(dim=1).clamp_min(0)


def ms_ssim_error(reconstruction: Tensor, image: Tensor) -> Tensor:
    """The SSIM errors of all scales, enlarged and averaged: (n, c, h, w) twice in, (n, h, w) in [0, 2] out.

    The scales weigh as in :func:`ms_ssim`. A sum, not its product, so that one bad scale cannot drown the others.
    """
    h, w = image.shape[2:]
    weights = scale_weights(min(h, w))
    error = torch.zeros_like(image[:, :1])
    for scale, weight in enumerate(weights):
        coarse = ssim_error(reconstruction, image)[:, None]
        error = error + weight * (coarse if scale == 0 else F.interpolate(coarse, size=(h, w), mode="bilinear"))
        if scale < len(weights) - 1:
            reconstruction, image = F.avg_pool2d(reconstruction, 2), F.avg_pool2d(image, 2)
    return error[:, 0]


def scale_weights(side: int) -> list[float]:
    """The weights of the scales for images of that smaller side: one to five numbers of sum one."""
    window = 2 * RADIUS + 1
    fitting = [weight for scale, weight in enumerate(SCALE_WEIGHTS) if scale == 0 or side >> scale >= window]
    return [weight / sum(fitting) for weight in fitting]


def _contrast_map(x: Tensor, y: Tensor) -> Tensor:
    """The factor of SSIM that compares contrast and structure, where the window lies inside the image."""
    _, _, covariance, variances = _statistics(x, y, margin=RADIUS)
    return (covariance + C2) / (variances + C2)


def _statistics(x: Tensor, y: Tensor, margin: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Around each pixel: twice the means' product, their squares' sum, twice the covariance, the variances' sum."""
    h, w = x.shape[2:]
    rows = window_matrix(h, RADIUS, SIGMA, min(margin, (h - 1) // 2)).to(x)
    columns = window_matrix(w, RADIUS, SIGMA, min(margin, (w - 1) // 2)).to(x)
    mean_x, mean_y = local_mean(x, rows, columns), local_mean(y, rows, columns)
    means, squares = 2 * mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    # Only the sum of the two variances is asked for, so four means do where five are usual.
    variances = local_mean(x * x + y * y, rows, columns) - squares
    covariance = local_mean(2 * x * y, rows, columns) - means
    return means, squares, covariance, variances


def _power(base: Tensor, exponent: float) -> Tensor:
    """``base`` to a power under one, 0 for a negative base, with a finite slope everywhere."""
    power: Tensor = base.clamp_min(LEAST_BASE) ** exponent
    return torch.where(base > 0, power, torch.zeros_like(power))
