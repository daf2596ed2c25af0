"""What the losses of structure cost beside the mean squared error, and beside torchmetrics' SSIM, as ratios.

    python benchmarks/losses.py

Forward and backward on 8 colour images of 128 × 128. Nothing is gated on these figures; machines are noisy, so the two
sides of a ratio take turns and medians are compared.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cobnut.losses import LOSSES
from cobnut.models.torchvision_mend import mend_torchvision
from training import report

mend_torchvision()
from torchmetrics.functional.image import structural_similarity_index_measure  # noqa: E402


def main() -> None:
    """Print a line for each loss."""
    torch.manual_seed(0)
    image, start = torch.rand(2, 8, 3, 128, 128)
    for name in ("l1", "ssim", "ms_ssim", "cw_ssim"):
        report(f"{name} / mse", step(LOSSES[name], start, image), step(LOSSES["mse"], start, image))
    report("torchmetrics' SSIM / ssim", step(_other_ssim, start, image), step(LOSSES["ssim"], start, image))


def step(loss: Callable[[Tensor, Tensor], Tensor], start: Tensor, image: Tensor) -> Callable[[], None]:
    """Forward and backward of one loss."""
    reconstruction = start.clone().requires_grad_()
    return lambda: loss(reconstruction, image).backward()  # type: ignore[no-untyped-call]


def _other_ssim(reconstruction: Tensor, image: Tensor) -> Tensor:
    similarity = structural_similarity_index_measure(reconstruction, image, data_range=1.0)
    assert isinstance(similarity, Tensor)
    return similarity


if __name__ == "__main__":
    main()
