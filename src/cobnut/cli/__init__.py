"""The command line: parse, call the library, print. One small file a verb group; heavy imports inside the commands."""

from cobnut.cli.app import main

__all__ = ["main"]
