"""Training images that may hold a few defects: what cannot be rebuilt is split off (Zhou & Paffenroth, KDD 2017).

The robust autoencoder writes the images as X = L + S, with L what the network rebuilds and S sparse. It trains on L and
sets S anew from time to time, by the proximal step of the ℓ1 norm: S = shrink(X − reconstruction, threshold), their
algorithm 1 without its inner tolerance. What a defect adds to an image thus leaves the images that train.
"""

from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray

from cobnut.data.dataset import ImageBatches
from cobnut.models.detector import to_unit
from cobnut.options import RobustOptions

_BATCH = 16


class SparsePart(Callback):
    """Splits the sparse part off the training images every few epochs; survives an interruption in the checkpoint."""

    def __init__(self, options: RobustOptions, training: ImageBatches) -> None:
        self.options, self.training = options, training
        self.images = training.images

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set S anew from what the network now rebuilds, and L for the epochs to come."""
        if (trainer.current_epoch + 1) % self.options.every_epochs:
            return
        pl_module.eval()
        with torch.no_grad():
            kept = [
                self._without_sparse_part(pl_module, np.array(self.images[start : start + _BATCH]))
                for start in range(0, len(self.images), _BATCH)
            ]
        pl_module.train()
        self.training.images = np.concatenate(kept)

    def _without_sparse_part(self, module: LightningModule, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image = to_unit(torch.from_numpy(images).to(module.device))
        network = module.network
        assert isinstance(network, torch.nn.Module)
        difference = (image - network(image)).permute(0, 2, 3, 1).cpu().numpy()
        rest = images - 255 * shrink(difference, self.options.threshold)
        rounded: NDArray[np.uint8] = np.clip(np.rint(rest), 0, 255).astype(np.uint8)
        return rounded

    def state_dict(self) -> dict[str, Any]:
        """What the checkpoint keeps: L."""
        return {"images": torch.from_numpy(np.array(self.training.images))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.training.images = state_dict["images"].numpy()


def shrink(values: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """The proximal operator of the ℓ1 norm: every value moved towards 0 by ``threshold``, and not beyond."""
    shrunk: NDArray[np.float32] = np.sign(values) * np.maximum(np.abs(values) - threshold, 0)
    return shrunk
