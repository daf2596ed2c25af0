"""How well a bundle judges images whose truth is known; no torch."""
