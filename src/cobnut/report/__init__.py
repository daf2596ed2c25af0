"""Plots and the report that a person reads."""
