"""The detectors of all folds as one module, which counts the left-out images that look less odd to them than a part."""

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from cobnut.models.detector import Detector

OUTPUTS = ("fold_scores", "fold_peaks")
# Keeps what breaks ties above 0 where every score is 0, so that the count is never a score itself.
_LEAST = 1e-3


class CrossDetector(nn.Module):
    """K detectors, each made without its fold, beside what they made of the left-out images.

    Its score is how many left-out images score lower than the part, each by the detector that was made without it, and
    a fraction, above 0 and below 1, that grows with the part's mean score. So a score above a whole number t says that
    the part outscores t of them, and parts that outscore all still have an order. Its map is the mean of the K maps,
    each in multiples of ``usual_peak``. The buffers are empty until the exported model has told them.
    """

    # (1, folds, size), (1, folds) and (1, folds, 1, 1)
    scores: Tensor
    usual_score: Tensor
    usual_peak: Tensor

    def __init__(self, detectors: Sequence[Detector], size: int) -> None:
        super().__init__()
        self.detectors = nn.ModuleList(detectors)
        folds = len(detectors)
        # Placeholders that differ, so that no exporter takes two of them for one.
        self.register_buffer("scores", torch.rand(1, folds, size))
        self.register_buffer("usual_score", torch.rand(1, folds) + 1)
        self.register_buffer("usual_peak", torch.rand(1, folds, 1, 1) + 2)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """As of a :class:`Detector`; then each fold's score and its map's highest value, both (n, folds)."""
        answers = [detector(images) for detector in self.detectors]
        maps, scores = (torch.stack([answer[place] for answer in answers], dim=1) for place in (0, 1))
        outscored = (self.scores < scores[:, :, None]).to(torch.float32).sum(dim=(1, 2))
        beyond = (scores / self.usual_score).mean(dim=1).clamp(min=_LEAST)
        told = ((maps / self.usual_peak).mean(dim=1), outscored + beyond / (1 + beyond))
        rebuilt = [answer[2].to(torch.float32) for answer in answers if len(answer) > 2]
        pictures = (torch.stack(rebuilt).mean(dim=0).round().to(torch.uint8),) if rebuilt else ()
        return (*told, *pictures, scores, maps.flatten(2).amax(dim=2))


def share_parts(detectors: Sequence[nn.Module]) -> None:
    """Let all modules hold what is the same in each, as a frozen encoder is, only once."""
    first, *others = detectors
    for other in others:
        _share(first, other)


def _share(first: nn.Module, other: nn.Module) -> None:
    for name, child in first.named_children():
        twin = other.get_submodule(name)
        if _is_same(child, twin):
            setattr(other, name, child)
        else:
            _share(child, twin)


def _is_same(one: nn.Module, two: nn.Module) -> bool:
    pairs = zip(_tensors(one), _tensors(two), strict=True)
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)


def _tensors(module: nn.Module) -> list[Tensor]:
    return list(chain(module.parameters(), module.buffers()))
