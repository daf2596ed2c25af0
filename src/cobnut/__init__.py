"""Cobnut learns from photographs of good parts only; finds, shows and proves the defective ones.

What a program on the line needs of it::

    from cobnut import Inspector

    inspector = Inspector("hazelnut.cobnut")
    verdict = inspector.inspect("part.png")
    print(verdict.is_defective, verdict.score, verdict.p_value)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cobnut.data.images import resize_map
    from cobnut.errors import BundleError, CobnutError, ImageError
    from cobnut.records import Verdict
    from cobnut.runtime.inspect import Inspector

__version__ = "0.1.0"
__all__ = ["BundleError", "CobnutError", "ImageError", "Inspector", "Verdict", "__version__", "resize_map"]

# Loaded when they are first asked for, so that the command line starts at once.
_PLACES = {
    "BundleError": "cobnut.errors",
    "CobnutError": "cobnut.errors",
    "ImageError": "cobnut.errors",
    "Inspector": "cobnut.runtime.inspect",
    "Verdict": "cobnut.records",
    "resize_map": "cobnut.data.images",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
