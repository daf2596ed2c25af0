"""What is refused before any image is read: recipes that cannot be built, promises that cannot be kept."""

import torch

from cobnut.calibration.decision import check_promise, settle
from cobnut.errors import RecipeError
from cobnut.losses import build_loss
from cobnut.models import build_network, check_error
from cobnut.options import TrainingOptions
from cobnut.recipe import Recipe


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe that cannot be built, at no cost of memory, before any image is read."""
    with torch.device("meta"):
        build_network(recipe)
        build_loss(recipe.training.loss)
    check_error(recipe)
    _check_devices(recipe.training)
    network = recipe.network
    if recipe.image.smallest_defect and not (recipe.image.follow and network.rebuilds == "features"):
        raise RecipeError(
            f"image.smallest_defect = {recipe.image.smallest_defect:g}: recipe {recipe.name} works at the size that "
            "image.size says; take one that rebuilds features, with image.follow = true"
        )
    if network.rebuilds == "features" and recipe.changes_images:
        raise RecipeError(
            f"network {network.name} learns from kept features: leave out patches, augmentation, corruption and robust"
            + (f"; {network.own_changes} change what it sees" if network.own_changes else "")
        )
    if network.losses and (others := sorted(set(recipe.training.loss) - set(network.losses))):
        raise RecipeError(
            f"training.loss.{others[0]}: network {network.name} has no such loss; valid are {', '.join(network.losses)}"
        )
    spoils = {
        "patches": bool(recipe.patches.size),
        "corruption": recipe.corruption.name != "none",
        f"network {network.name}": not network.keeps_size,
    }
    if recipe.robust.threshold and any(spoils.values()):
        raise RecipeError(
            f"robust.threshold = {recipe.robust.threshold}: a sparse part can only be split off images that the "
            "network gives back whole and unspoilt; set it to 0, or leave out "
            + " and ".join(name for name, is_so in spoils.items() if is_so)
        )


def _check_devices(options: TrainingOptions) -> None:
    devices = options.devices
    if devices == 1:
        return
    if 0 < (there := torch.cuda.device_count()) < devices:
        raise RecipeError(f"training.devices = {devices}: {there} GPUs are there; set it to {there}")
    if options.batch_size < 2 * devices:
        raise RecipeError(
            f"training.devices = {devices}: a batch gives each at least 2 images; set training.batch_size to "
            f"{2 * devices} or more, it is {options.batch_size}"
        )


def with_promise(recipe: Recipe, images: int) -> Recipe:
    """The recipe with an alpha that so many calibration images can promise; refused where they cannot."""
    calibration = settle(recipe.calibration, images)
    if isinstance(calibration.alpha, float):
        check_promise(calibration, images)
    return recipe.model_copy(update={"calibration": calibration})
