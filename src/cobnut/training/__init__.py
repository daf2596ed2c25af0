"""From a recipe and good images to a trained detector."""

from cobnut.models.torchvision_mend import mend_torchvision

mend_torchvision()  # before Lightning, which looks for torchvision
