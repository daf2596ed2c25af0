"""What error is usual where: edges and reflections are never rebuilt well, and no defect for it."""

import torch
from torch import Tensor

from cobnut.models.scores import smooth

# Parts never lie quite alike, so what is usual at a place is looked for around it.
SIDE = 5
# Of the median over all places: keeps places where nothing ever differs from turning noise into alarms.
FLOOR = 0.2


def typical_error(maps: Tensor) -> Tensor:
    """What maps (n, h, w) of good images show at each place, with a floor under it: (h, w), above 0."""
    usual = smooth(maps.mean(dim=0, keepdim=True), SIDE)[0]
    looked_at = usual[usual > 0]  # elsewhere there is no error at all
    floor = FLOOR * looked_at.median() if len(looked_at) else 0.0
    return usual + floor + torch.finfo(torch.float32).tiny
