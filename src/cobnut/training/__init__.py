"""From a recipe and good images to a trained detector."""
