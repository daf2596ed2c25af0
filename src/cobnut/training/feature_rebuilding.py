"""Learning to rebuild good features from spoilt ones: noise, pasted blocks of other features, and mirrors."""

import torch
from torch import Tensor

from cobnut.data.dataset import Batch
from cobnut.options import FeatureOptions
from cobnut.training.rebuilding import Rebuilding


class FeatureRebuilding(Rebuilding):
    """One step of learning in the space of features; the pasted places count twice."""

    def _log_losses(self, part: str, batch: Batch) -> Tensor:
        seen = wanted = batch.seen[:, : self.network.components]
        weight = torch.ones(len(seen), 1, *seen.shape[2:], device=seen.device)
        options = self.recipe.network
        sides: list[int] = []
        if part == "train":
            assert isinstance(options, FeatureOptions)
            sides = draw_sides() if options.flips else []
            wanted = wanted.flip(sides) if sides else wanted
            seen, pasted = paste_blocks(wanted, options.pasted)
            seen, weight = seen.add_(torch.randn_like(seen), alpha=options.noise), weight + pasted
        rebuilt: Tensor = self.network(seen.contiguous(memory_format=torch.channels_last)).float()
        with torch.autocast(self.device.type, enabled=False):  # differences of squares need all their digits
            squared = (rebuilt - wanted).square().mean(dim=1, keepdim=True)
            if self.region is not None:
                squared = squared * self._inside(squared).flip(sides)
            loss = (squared * weight).mean()
        figures = {f"{part}_loss": loss, f"{part}_mse": squared.mean()}
        self.log_dict(figures, on_step=False, on_epoch=True, batch_size=len(seen), sync_dist=True)
        return loss


def draw_sides() -> list[int]:
    """Which dimensions of features (n, d, h, w) are mirrored, each every other time."""
    return [side for side in (-2, -1) if torch.rand(()) < 0.5]


def paste_blocks(features: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Blocks of other images' features pasted at places of chance, up to ``most`` an image (cut-paste, Li et al. 2021).

    Features (n, d, h, w) in; the same with blocks, and a mask (n, 1, h, w) of 1 where they lie, out. A block has up to
    a quarter of the sides.
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
