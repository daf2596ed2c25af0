"""A CPU build of torch beside a CUDA build of torchvision: declare what the latter asks for, so that it loads.

PyPI's torchvision is built for CUDA and registers its operators from a library that a CPU torch cannot load; then
``import torchvision``, and with it timm and Lightning, dies with «operator torchvision::nms does not exist». Declaring
the schemas of the two operators that are asked for is enough for models and transforms; ``nms`` itself does not run,
and nothing here runs it. Where torchvision loads by itself, or is absent, nothing is done.
"""

import importlib.util

import torch

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
# Schemas live as long as the library object that declared them.
_declared: list[torch.library.Library] = []


def mend_torchvision() -> None:
    """Make ``import torchvision`` work; calling it again changes nothing."""
    if _declared or importlib.util.find_spec("torchvision") is None:
        return
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for schema in SCHEMAS.values():
            library.define(schema)  # type: ignore[no-untyped-call]
        _declared.append(library)
