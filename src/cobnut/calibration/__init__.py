"""From the scores of good images to a decision; no torch."""
