"""How far a reconstruction is from its image: losses train a network, errors draw its anomaly map.

A loss takes (reconstruction, image), both (n, c, h, w) in [0, 1], and gives a scalar; an error takes the same and gives
a map (n, h, w), higher is worse. Adding one is a function in a file of its own and a line here.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from cobnut.errors import RecipeError
from cobnut.losses.cwssim import cw_ssim_error, cw_ssim_loss
from cobnut.losses.pixel import absolute_error, l1, mse, squared_error
from cobnut.losses.ssim import ms_ssim_error, ms_ssim_loss, ssim_error, ssim_loss

Loss = Callable[[Tensor, Tensor], Tensor]

LOSSES: dict[str, Loss] = {
    "mse": mse,
    "l1": l1,
    "ssim": ssim_loss,
    "ms_ssim": ms_ssim_loss,
    "cw_ssim": cw_ssim_loss,
}
ERRORS: dict[str, Loss] = {
    "squared": squared_error,
    "absolute": absolute_error,
    "ssim": ssim_error,
    "ms_ssim": ms_ssim_error,
    "cw_ssim": cw_ssim_error,
}


def build_error(name: str) -> Loss:
    """The named error; raises :class:`RecipeError` for a name that there is not."""
    if name not in ERRORS:
        raise RecipeError(f"score.error = {name!r}: there is no such error; valid are {', '.join(ERRORS)}")
    return ERRORS[name]


def build_loss(weights: Mapping[str, float]) -> Loss:
    """The weighted sum of the named losses; raises :class:`RecipeError` for a name that there is not."""
    for name in weights:
        if name not in LOSSES:
            raise RecipeError(f"training.loss.{name}: there is no such loss; valid are {', '.join(LOSSES)}")

    def weighted_sum(reconstruction: Tensor, image: Tensor) -> Tensor:
        terms = [weight * LOSSES[name](reconstruction, image) for name, weight in weights.items()]
        return sum(terms[1:], start=terms[0])

    return weighted_sum
