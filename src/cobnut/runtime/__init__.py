"""A deployed bundle: read, verified and run; no torch."""
