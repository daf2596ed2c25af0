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
    """A copy of a network in evaluation with fewer operations, which answers ``images`` alike; else the network itself.

    Batch normalisations go into the two-dimensional convolutions whose outputs they take: which those are is seen while
    the network looks at ``images``. ReLU6 becomes a clamp.
    """
    folded = copy.deepcopy(network)
    with torch.no_grad():
        for conv, norm in _pairs(folded, images):
            fused = nn.utils.fuse_conv_bn_eval(conv, norm)
            conv.weight, conv.bias = fused.weight, fused.bias
            _replace(folded, norm, _after(norm))
    for module in [each for each in folded.modules() if isinstance(each, nn.ReLU6)]:
        _replace(folded, module, Clamp())
    with torch.inference_mode():
        return folded if _alike(folded(images), network(images)) else network


def _pairs(network: nn.Module, images: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions, each with the batch normalisation that every time takes what it has just made."""
    pairs: Counter[tuple[nn.Conv2d, nn.BatchNorm2d]] = Counter()
    uses: Counter[nn.Module] = Counter()
    last: tuple[nn.Conv2d, Tensor] | None = None

    def look(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal last
        uses[module] += 1
        if isinstance(module, nn.Conv2d):
            last = module, output
        elif isinstance(module, nn.BatchNorm2d) and last is not None and inputs and inputs[0] is last[1]:
            pairs[last[0], module] += 1

    watched = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    handles = [module.register_forward_hook(look) for module in watched]
    try:
        with torch.inference_mode():
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    return [
        (conv, norm)
        for (conv, norm), times in pairs.items()
        if times == uses[conv] == uses[norm] and not conv.training and not norm.training and norm.track_running_stats
    ]


def _after(norm: nn.BatchNorm2d) -> nn.Module:
    """What a batch normalisation does beside it: timm's goes on with an activation."""
    return nn.Sequential(*(getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)))


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, child in list(parent._modules.items()):
            if child is old:
                setattr(parent, name, new)


def _alike(ours: Any, theirs: Any) -> bool:
    """Whether two answers, tensors or several of them, differ on average by no more than rounding makes of them.

    At single places they may: of two prototypes that are as near the other one is found.
    """
    if not isinstance(ours, Tensor):
        return all(_alike(*each) for each in zip(ours, theirs, strict=True))
    ours, theirs = ours.double(), theirs.double()
    return bool((ours - theirs).abs().mean() <= 1e-3 * theirs.abs().mean() + 1e-9)
