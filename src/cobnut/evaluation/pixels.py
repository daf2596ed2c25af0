"""Pixel figures: how well the anomaly maps point at the defects, wherever the truth is drawn."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cobnut.data.images import resize_map
from cobnut.evaluation.intervals import Interval, PixelBootstrap
from cobnut.evaluation.metrics import Scores, auroc, average_precision, pro

LONGEST_SIDE = 256


@dataclass(slots=True)
class PixelScores:
    """The map's values outside and inside the defects, image by image, at the masks' own resolution.

    Maps are brought to the mask's size (shrunk to 256 pixels at most, keeping every marked spot), so figures of
    detectors that work at different sizes can be compared.
    """

    good: list[Scores] = field(default_factory=list)
    regions: list[list[Scores]] = field(default_factory=list)
    types: list[str] = field(default_factory=list)

    def add(
        self,
        anomaly_map: NDArray[np.float32],
        mask: NDArray[np.bool_],
        defect_type: str,
        inspected: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take in one image: its map (h, w) and its mask at any size, empty for a good image.

        Only what is ``inspected`` counts, a mask of the same size.
        """
        from scipy.ndimage import label

        mask = shrink_mask(mask, LONGEST_SIDE)
        values = resize_map(anomaly_map, mask.shape)
        labels, count = label(mask, structure=np.ones((3, 3)))
        order = np.argsort(labels, axis=None, kind="stable")
        parts = np.split(values.ravel()[order], np.cumsum(np.bincount(labels.ravel(), minlength=count + 1))[:-1])
        if inspected is not None:
            parts[0] = values[(labels == 0) & shrink_mask(inspected, LONGEST_SIDE)]
        self.good.append(parts[0])
        self.regions.append(parts[1:])
        self.types.append(defect_type)

    def figures(self) -> dict[str, float | None]:
        """``pixel_auroc``, ``pixel_ap`` and ``pro`` over all defect types; ``None`` when no defect is drawn."""
        flat = [region for image in self.regions for region in image]
        if not flat or not any(len(pixels) for pixels in self.good):
            return {"pixel_auroc": None, "pixel_ap": None, "pro": None}
        good = np.sort(np.concatenate(self.good))
        defective = np.concatenate(flat)
        return {
            "pixel_auroc": auroc(good, defective),
            "pixel_ap": average_precision(good, defective),
            "pro": pro(good, flat),
        }

    def intervals(self) -> dict[str, Interval]:
        """95 % bootstrap intervals of the same figures, empty when no defect is drawn."""
        return PixelBootstrap(self.good, self.regions).intervals() if any(self.regions) else {}

    def of_types(self, types: Iterable[str]) -> "PixelScores":
        """Only the images of the given types."""
        wanted = set(types)
        kept = [index for index, name in enumerate(self.types) if name in wanted]
        return PixelScores(
            [self.good[i] for i in kept], [self.regions[i] for i in kept], [self.types[i] for i in kept]
        )  # fmt: skip


def shrink_mask(mask: NDArray[np.bool_], longest_side: int) -> NDArray[np.bool_]:
    """Shrink by a whole factor until the longest side fits; a pixel is marked when any pixel under it was."""
    factor = -(-max(mask.shape) // longest_side)
    if factor == 1:
        return mask
    height, width = (-(-side // factor) * factor for side in mask.shape)
    padded = np.zeros((height, width), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return np.asarray(padded.reshape(height // factor, factor, width // factor, factor).any(axis=(1, 3)))
