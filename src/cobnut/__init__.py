"""Cobnut learns from photographs of good parts only; finds, shows and proves the defective ones."""

__version__ = "0.1.0"
