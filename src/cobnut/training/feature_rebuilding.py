"""Learning to rebuild good features from spoilt ones: noise, pasted blocks of other features, and mirrors."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cobnut.data.dataset import Batch
from cobnut.options import FeatureOptions
from cobnut.training.rebuilding import Rebuilding

# How many numbers further on in a stretch of noise that of the next image begins.
_SHIFT = 8191


class FeatureRebuilding(Rebuilding):
    """One step of learning in the space of features; the pasted places count twice.

    Features lie in memory with their channels last, as the network reads them: a step moves hundreds of megabytes.
    """

    def _log_losses(self, part: str, batch: Batch) -> Tensor:
        wanted = batch.seen[:, : self.network.components].contiguous(memory_format=torch.channels_last)
        seen = wanted
        weight = torch.ones(len(seen), 1, *seen.shape[2:], device=seen.device)
        options = self.recipe.network
        sides: list[int] = []
        if part == "train":
            assert isinstance(options, FeatureOptions)
            sides = draw_sides() if options.flips else []
            wanted = wanted.flip(sides) if sides else wanted
            seen, pasted = paste_blocks(wanted, options.pasted)
            seen, weight = seen.add_(draw_noise(seen), alpha=options.noise), weight + pasted
        rebuilt: Tensor = self.network(seen).float()
        with torch.autocast(self.device.type, enabled=False):  # differences of squares need all their digits
            squared = squared_error(rebuilt, wanted)
            if self.region is not None:
                squared = squared * self._inside(squared).flip(sides)
            loss = (squared * weight).mean()
        figures = {f"{part}_loss": loss, f"{part}_mse": squared.mean()}
        self.log_dict(figures, on_step=False, on_epoch=True, batch_size=len(seen), sync_dist=True)
        return loss


class _SquaredError(torch.autograd.Function):
    """The mean over channels of squared differences, with one pass back where ``square`` and ``mean`` make four."""

    @staticmethod
    def forward(ctx: Any, rebuilt: Tensor, wanted: Tensor) -> Tensor:
        difference = rebuilt - wanted
        ctx.save_for_backward(difference)
        norm: Tensor = torch.linalg.vector_norm(difference, dim=1, keepdim=True)
        return norm.square() / difference.shape[1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (difference,) = ctx.saved_tensors
        return difference * (gradients[0] * (2 / difference.shape[1])), None


def squared_error(rebuilt: Tensor, wanted: Tensor) -> Tensor:
    """The mean squared error at each place of features (n, d, h, w): (n, 1, h, w); only ``rebuilt`` learns from it."""
    error: Tensor = _SquaredError.apply(rebuilt, wanted)  # type: ignore[no-untyped-call]
    return error


def draw_noise(like: Tensor) -> Tensor:
    """Normal noise for features (n, d, h, w), with channels last.

    The images share one stretch of noise, in which each begins somewhat further on: to draw each its own took a tenth
    of a step.
    """
    count, channels, height, width = like.shape
    row = width * channels
    noise = torch.randn(height * row + (count - 1) * _SHIFT, device=like.device)
    return noise.as_strided((count, channels, height, width), (_SHIFT, 1, row, channels))


def draw_sides() -> list[int]:
    """Which dimensions of features (n, d, h, w) are mirrored, each every other time."""
    return [side for side in (-2, -1) if torch.rand(()) < 0.5]


def paste_blocks(features: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Blocks of features pasted at places of chance, up to ``most`` an image (cut-paste, Li et al. 2021).

    Features (n, d, h, w) in; the same with blocks, and a mask (n, 1, h, w) of 1 where they lie, out. All blocks of an
    image come from one other of the batch, by chance from itself. A block has less than a quarter of the sides.
    """
    count, _, height, width = features.shape
    spoilt, mask = features.clone(), features.new_zeros(count, 1, height, width)
    donors = torch.randperm(count)
    for index in range(count if most else 0):
        for _ in range(int(torch.randint(most + 1, ()))):
            tall, wide = (int(torch.randint(1, max(2, side // 4), ())) for side in (height, width))
            top, left, donor_top, donor_left = (
                int(torch.randint(side - length + 1, ())) for side, length in 2 * ((height, tall), (width, wide))
            )
            donor = features[donors[index], :, donor_top : donor_top + tall, donor_left : donor_left + wide]
            spoilt[index, :, top : top + tall, left : left + wide] = donor
            mask[index, :, top : top + tall, left : left + wide] = 1
    return spoilt, mask
