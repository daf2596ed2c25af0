"""A Ray cluster: how it is reached, and what its nodes have to be like."""

import importlib
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cobnut
from cobnut.errors import CobnutError
from cobnut.machine import cores

# What Ray would tell its makers, say of itself, or warn of; set before it is imported.
_SILENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}


@contextmanager
def connect(address: str | None, workers: int | None) -> Iterator[Any]:
    """Ray, connected to the cluster at ``address``, or to one of its own on this machine for so many ``workers``.

    One that the caller has connected already is used, and stays so. Raises :class:`CobnutError` where none answers.
    """
    for name, value in _SILENT.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield ray
        return
    if address is not None:
        _check_address(address)
    own: dict[str, Any] = (
        {"num_cpus": max(workers or 0, cores()), "include_dashboard": False} if address is None else {}
    )
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _unanswered(address, error) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise :class:`CobnutError` at once where nobody listens; Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        if port.isdecimal():
            socket.create_connection((host, int(port)), timeout=20).close()
    except OSError as error:
        raise _unanswered(address, error) from None


def _unanswered(address: str | None, error: Exception) -> CobnutError:
    reason = " ".join(str(error).split())[:200]
    return CobnutError(f"--address {address}: no Ray cluster answers ({reason}); `ray start --head` tells an address")


def software() -> str:
    """What decodes images here and computes with them, by versions: other ones may give other last digits."""
    packages = {"onnxruntime": "onnxruntime", "NumPy": "numpy", "Pillow": "PIL"}
    versions = [f"{name} {importlib.import_module(module).__version__}" for name, module in packages.items()]
    return ", ".join([f"Cobnut {cobnut.__version__}", *versions])


def check_node(asked: str) -> None:
    """Raise :class:`CobnutError` where this node has another :func:`software` than the one that asks it."""
    here = software()
    if here != asked:
        raise CobnutError(f"node {socket.gethostname()} has {here}, not {asked}; install the same on all")
