"""The networks that rebuild, and the detector that judges by what they could not rebuild."""

from torch import nn

from cobnut.errors import RecipeError
from cobnut.models.dense import DenseAutoencoder
from cobnut.recipe import Recipe

NETWORKS: dict[str, type[DenseAutoencoder]] = {"dense": DenseAutoencoder}


def build_network(recipe: Recipe) -> nn.Module:
    """The recipe's network with fresh weights: images (n, c, s, s) in [0, 1] in, reconstructions out."""
    if recipe.image.size % 8:
        raise RecipeError(f"image.size = {recipe.image.size}: network {recipe.network.name} needs a multiple of 8")
    return NETWORKS[recipe.network.name](recipe.network, recipe.image)
