"""What flows through Cobnut: one image on disk, and the answer for one image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "validation", "calibration", "test"]
# The parts that a detector is made with; what stands in none of them may test it.
MADE_WITH: tuple[Split, ...] = ("train", "validation", "calibration")
Label = Literal["good", "defective"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One image on disk; a defective image may lack a mask, a good one never has any."""

    path: Path
    split: Split
    label: Label
    defect_type: str = "good"
    mask_path: Path | None = None

    @property
    def is_defective(self) -> bool:
        """Whether the truth calls this part defective."""
        return self.label == "defective"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one image.

    ``score`` and ``threshold`` share the unit of the recipe's error; the part is defective when the score lies above
    the threshold. ``p_value`` (0 to 1] is the share of good parts that score as high or higher, as the calibration
    images tell it. Good maps hardly ever exceed ``level``. ``anomaly_map`` is float32 (height, width), higher is
    worse, a value for each place that is judged: :func:`cobnut.resize_map` brings it to the photograph's size.
    ``brightness`` and ``sharpness`` tell of the photograph: its mean grey level, 0 to 255, and by how many grey levels
    neighbours differ on average. ``reconstruction`` is uint8 (height, width, channels) where the recipe rebuilds
    pixels, else ``None``. ``inspected`` is bool of the photograph's size where only a part of it is inspected, else
    ``None``; elsewhere the map is 0.
    """

    score: float
    threshold: float
    is_defective: bool
    anomaly_map: NDArray[np.float32]
    p_value: float
    level: float
    brightness: float
    sharpness: float
    reconstruction: NDArray[np.uint8] | None = None
    inspected: NDArray[np.bool_] | None = None

    @property
    def shown_above(self) -> float:
        """What a picture marks lies above this: in a rejected part all that rejected it, else what is rare."""
        return self.threshold if self.is_defective else max(self.level, self.threshold)
