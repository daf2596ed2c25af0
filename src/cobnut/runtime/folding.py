"""The same network with fewer operations, as it is exported: what only scales and shifts goes into a convolution.

It uses torch, as the export does; what runs a bundle does not.
"""

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn


class Clamp(nn.Module):
    """What ReLU6 computes, as one operation: the exporter takes it through several others, which costs seconds."""

    def forward(self, x: Tensor) -> Tensor:
        """Values from 0 to 6."""
        return x.clamp(0, 6)


def fold(network: nn.Module, images: Tensor) -> nn.Module:
    """A copy of a network in evaluation that answers alike, without batch normalisations behind convolutions.

    Which follows which is seen while it looks at ``images``; one that is used twice stays.
    """
    folded = copy.deepcopy(network)
    with torch.no_grad():
        for conv, norm in _pairs(folded, images):
            fused = nn.utils.fuse_conv_bn_eval(conv, norm)
            conv.weight, conv.bias = fused.weight, fused.bias
            _replace(folded, norm, _after(norm))
    for module in [each for each in folded.modules() if isinstance(each, nn.ReLU6)]:
        _replace(folded, module, Clamp())
    return folded


def _pairs(network: nn.Module, images: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions, each with the batch normalisation that takes what it has just made."""
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    uses: Counter[nn.Module] = Counter()
    last: tuple[nn.Conv2d, Tensor] | None = None

    def look(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal last
        uses[module] += 1
        if isinstance(module, nn.Conv2d):
            last = module, output
        elif isinstance(module, nn.BatchNorm2d) and last is not None and inputs[0] is last[1]:
            pairs.append((last[0], module))

    watched = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    handles = [module.register_forward_hook(look) for module in watched]
    try:
        with torch.inference_mode():
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    return [(conv, norm) for conv, norm in pairs if uses[conv] == uses[norm] == 1 and not norm.training]


def _after(norm: nn.BatchNorm2d) -> nn.Module:
    """What a batch normalisation does beside it: timm's goes on with an activation."""
    return nn.Sequential(*(getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)))


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child is old:
                setattr(parent, name, new)
