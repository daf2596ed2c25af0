"""Pretrained encoders by their timm names: images in, feature maps at chosen strides out."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cobnut.errors import RecipeError
from cobnut.models.torchvision_mend import mend_torchvision
from cobnut.models.weights import LITE0, Source, hub_place, locate_weights, read_weights

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# (x − 127) / 128 of values up to 255
LITE0_NORMALISATION = ((127 / 255,) * 3, (128 / 255,) * 3)


class Encoder(nn.Module):
    """The stages of a timm network: images (n, 3, h, w) or (n, 1, h, w) in [0, 1] in, a list of feature maps out.

    The normalisation that the weights were trained with is inside. ``channels`` and ``strides`` describe the maps:
    number i is (n, channels[i], h / strides[i], w / strides[i]).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, stages: nn.Module, order: Sequence[int], channels: list[int], strides: list[int]) -> None:
        super().__init__()
        self.stages = stages
        self.order = list(order)
        self.channels = channels
        self.strides = strides
        self.set_normalisation(*IMAGENET)

    def set_normalisation(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        """What is taken away from, and then divides, the three channels."""
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps of images in [0, 1], one per tap, in the order in which the taps were asked for."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        maps = self.stages((images - self.mean) / self.deviation)
        return [maps[place] for place in self.order]


def build_encoder(name: str, weights: str, taps: Sequence[int]) -> Encoder:
    """The timm network ``name`` with ``weights`` (see :func:`find_weights`), tapped at the strides ``taps``.

    Of several stages of one stride the deepest is taken; what lies behind the last tap is left out. On the meta device
    nothing is read. Raises :class:`RecipeError` for an unknown name or stride, and for weights that are missing,
    damaged or of another network.
    """
    hub_place(name)  # refuses an unknown name before anything is looked for
    stages_of = _plan(name)
    missing = [tap for tap in taps if tap not in stages_of]
    if missing or not taps:
        valid = ", ".join(map(str, stages_of))
        raise RecipeError(f"encoder {name}: stride {missing[0] if missing else 'none'} is not there; valid are {valid}")
    source = locate_weights(name, weights)
    wanted = sorted(set(taps))
    stages = _build_stages(name, [stages_of[tap] for tap in wanted])
    info: Any = stages.feature_info
    _drop_later_blocks(stages)
    if source.kind != "random" and not any(parameter.is_meta for parameter in stages.parameters()):
        _load(name, source, stages)
    order = [wanted.index(tap) for tap in taps]
    channels: list[int] = info.channels()
    encoder = Encoder(stages, order, [channels[place] for place in order], list(taps))
    encoder.set_normalisation(*_normalisation(name))
    return encoder


def _plan(name: str) -> dict[int, int]:
    """Every stride that the network has, with the index of its deepest stage."""
    with torch.device("meta"):
        info: Any = _build_stages(name, None).feature_info
    return {stride: index for index, stride in enumerate(info.reduction())}


def _build_stages(name: str, indices: list[int] | None) -> nn.Module:
    mend_torchvision()
    import timm

    chosen: dict[str, Any] = {} if indices is None else {"out_indices": indices}
    try:
        stages: nn.Module = timm.create_model(name, pretrained=False, features_only=True, **chosen)
    except (RuntimeError, AttributeError, TypeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise RecipeError(f"encoder {name}: timm cannot tap its stages ({reason}); choose another") from None
    return stages


def _drop_later_blocks(stages: nn.Module) -> None:
    """Leave out the blocks of an EfficientNet behind its last tap, which timm keeps and would run."""
    blocks, tapped = getattr(stages, "blocks", None), getattr(stages, "_stage_out_idx", None)
    if isinstance(blocks, nn.Sequential) and tapped:
        stages.blocks = blocks[: max(tapped)]


def _normalisation(name: str) -> tuple[Sequence[float], Sequence[float]]:
    import timm

    if name.partition(".")[0] == LITE0:
        return LITE0_NORMALISATION
    pretrained: Any = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return (pretrained.mean, pretrained.std) if pretrained is not None else IMAGENET


def _load(name: str, source: Source, stages: nn.Module) -> None:
    """Copy the source's tensors into the stages; every one of theirs must be there and fit."""
    tensors = read_weights(name, source)
    if source.kind == "package":
        tensors = _by_position(name, tensors)
    # timm's tapped networks write features_0 for features.0
    flat = {_flat(key): tensor for key, tensor in tensors.items()}
    state = {key: tensor for key, tensor in stages.state_dict().items() if not key.endswith("num_batches_tracked")}
    for key, own in state.items():
        given = flat.get(_flat(key))
        if given is None:
            raise RecipeError(f"encoder {name}: {source} has no {_layer(key)}; {_advice(name, set(flat))}")
        if given.shape != own.shape:
            raise RecipeError(
                f"encoder {name}: in {source} {key} is {tuple(given.shape)} where {tuple(own.shape)} is needed; "
                "it holds the weights of another network"
            )
        state[key] = given.to(torch.float32)
    stages.load_state_dict(state, strict=False)


def _by_position(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package's tensors under timm's names: the two networks list the same tensors in the same order."""
    import timm

    with torch.device("meta"):
        keys = list(timm.create_model(name, pretrained=False).state_dict())
    if len(keys) != len(tensors):
        raise RecipeError(f"encoder {name}: its package holds {len(tensors)} tensors where timm has {len(keys)}")
    return dict(zip(keys, tensors.values(), strict=True))


def _advice(name: str, given: set[str]) -> str:
    """The largest stride whose stages are all among the given tensors."""
    strides: list[int] = []
    for stride, index in _plan(name).items():
        with torch.device("meta"):
            stages = _build_stages(name, [index])
        _drop_later_blocks(stages)
        keys = (_flat(key) for key in stages.state_dict() if not key.endswith("num_batches_tracked"))
        if all(key in given for key in keys):
            strides.append(stride)
    return f"the largest stride that it can give is {max(strides)}" if strides else "it is of another network"


def _layer(key: str) -> str:
    """``layer4`` of ``layer4.0.conv1.weight``, ``blocks.6`` of ``blocks.6.0.bn3.bias``."""
    first, second, *_ = key.split(".")
    return f"{first}.{second}" if second.isdigit() and first in ("blocks", "stages", "features") else first


def _flat(key: str) -> str:
    return key.replace(".", "_")
