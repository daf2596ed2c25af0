"""Learning to rebuild good images, as Lightning wants it told: the loss, the optimiser and its schedule."""

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from cobnut.data.dataset import Batch
from cobnut.data.region import Region, shrink_region
from cobnut.losses import build_loss
from cobnut.losses.pixel import mse
from cobnut.models.detector import shrink, to_unit
from cobnut.models.transfer import FineTuned
from cobnut.options import TrainingOptions
from cobnut.recipe import Recipe


class Rebuilding(LightningModule):
    """One step of learning: see the batch, rebuild what is wanted, and how far off that is.

    What lies outside ``region``, of the images' size, costs nothing.
    """

    def __init__(
        self, network: nn.Module, recipe: Recipe, options: TrainingOptions, region: Region | None = None
    ) -> None:
        super().__init__()
        self.region = region
        self.network = network
        self.loss = build_loss(recipe.training.loss)
        self.recipe, self.options = recipe, options
        self.spoilt_weight = recipe.corruption.weight if recipe.corruption.name != "none" else 0.0

    def training_step(self, batch: Batch) -> Tensor:
        """The loss of one batch."""
        return self._log_losses("train", batch)

    def validation_step(self, batch: Batch) -> None:
        """The same loss on images that do not train."""
        self._log_losses("val", batch)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam, whose rate follows the recipe's schedule."""
        options, network = self.options, self.network
        rate = options.learning_rate
        parameters = network.rates(rate) if isinstance(network, FineTuned) else network.parameters()
        optimizer = torch.optim.Adam(parameters, lr=rate, weight_decay=options.weight_decay, fused=True)
        if options.schedule == "one-cycle":
            steps = int(self.trainer.estimated_stepping_batches)
            cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, options.step_epochs, options.step_gamma)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def _log_losses(self, part: str, batch: Batch) -> Tensor:
        seen = to_unit(batch.seen) if batch.seen.dtype == torch.uint8 else batch.seen
        reconstruction = self.network(seen).float()
        wanted = shrink(to_unit(batch.wanted), reconstruction)
        if self.region is not None:  # elsewhere the reconstruction is taken for perfect, whatever the loss
            reconstruction = wanted + self._inside(wanted) * (reconstruction - wanted)
        with torch.autocast(self.device.type, enabled=False):  # differences of squares need all their digits
            loss = self._loss(reconstruction, wanted, batch.spoilt)
        figures = {f"{part}_loss": loss, f"{part}_mse": mse(reconstruction, wanted)}
        self.log_dict(figures, on_step=False, on_epoch=True, batch_size=len(batch.wanted), sync_dist=True)
        return loss

    def _inside(self, like: Tensor) -> Tensor:
        """The region as 1 and 0 (h, w) on the grid of ``like`` (n, d, h, w)."""
        assert self.region is not None
        inside = shrink_region(self.region, (like.shape[-2], like.shape[-1]))
        return torch.from_numpy(inside).to(like)

    def _loss(self, reconstruction: Tensor, wanted: Tensor, spoilt: Tensor) -> Tensor:
        """The loss over everything and, weighted, that of the spoilt places alone (Bauer 2022, equation 3)."""
        loss = self.loss(reconstruction, wanted)
        if not self.spoilt_weight:
            return loss
        # where nothing was spoilt the reconstruction is taken for perfect: any loss then looks at the spoilt places
        spoilt = shrink(spoilt[:, None].float(), reconstruction)
        of_spoilt = self.loss(wanted + spoilt * (reconstruction - wanted), wanted) / spoilt.mean().clamp(min=1e-3)
        return (1 - self.spoilt_weight) * loss + self.spoilt_weight * of_spoilt
