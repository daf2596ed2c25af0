"""Which engine runs a model: the one that is named, or the fastest that is installed, measured once and remembered."""

import hashlib
import json
import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cobnut.data.store import cache_folder
from cobnut.errors import BundleError, CobnutError
from cobnut.files import write_whole
from cobnut.machine import cores
from cobnut.runtime.agreement import TOLERANCE
from cobnut.runtime.session import ENGINES, EngineName, Session, check_engine

# onnxruntime, which has calibrated, stays unless another engine needs less than this share of its time.
_WORTH = 0.9
_RUNS = 7


def open_session(
    model: Path,
    files: Mapping[str, bytes],
    example: NDArray[np.uint8],
    spread: float,
    threads: int | None,
    wanted: str | None,
) -> Session:
    """The session of a model, by its ``files`` that were checked, in the engine ``wanted``, warmed up with ``example``.

    ``own`` is the engine that has calibrated the model. ``None`` asks ``$COBNUT_ENGINE``, and where that is not set
    either, or ``auto``, takes the fastest of those that are installed and score ``example``, uint8 (n, h, w, c), noise
    and a slope of light as onnxruntime does, by the ``spread`` of good images' scores. Raises :class:`BundleError` when
    the model cannot judge such images.
    """
    name = wanted or os.environ.get("COBNUT_ENGINE") or "auto"
    if model.suffix == ".xml":
        if wanted not in (None, "auto", "own", "openvino"):
            raise CobnutError(f"engine {wanted}: cannot run {model}, which is OpenVINO's; leave the engine out")
        name = "openvino"
    elif name == "own":
        name = "onnxruntime"
    engine = _fastest(model, files, example, spread, threads) if name == "auto" else check_engine(name)
    session = Session(model, threads, engine, files)
    _run(session, model, example)
    return session


def _fastest(
    model: Path, files: Mapping[str, bytes], example: NDArray[np.uint8], spread: float, threads: int | None
) -> EngineName:
    """The engine that runs here fastest, as it was remembered, or measured now."""
    installed = _installed()
    if len(installed) == 1:
        return next(iter(installed))
    kept = cache_folder() / "engines" / f"{_key(files[model.name], threads, installed)}.json"
    try:
        return check_engine(json.loads(kept.read_text(encoding="utf-8"))["engine"])
    except (OSError, ValueError, KeyError, TypeError, CobnutError):
        pass
    chosen, milliseconds = _measure(model, files, example, spread, threads, list(installed))
    try:
        with write_whole(kept) as partial:
            partial.write_text(json.dumps({"engine": chosen, "ms_per_image": milliseconds}), encoding="utf-8")
    except (OSError, CobnutError):
        pass  # a line PC whose disk cannot be written to measures anew each time
    return chosen


def _measure(
    model: Path,
    files: Mapping[str, bytes],
    example: NDArray[np.uint8],
    spread: float,
    threads: int | None,
    engines: list[EngineName],
) -> tuple[EngineName, dict[EngineName, float]]:
    """The fastest engine that scores as onnxruntime, and the milliseconds of each, all in turns."""
    sessions = {engines[0]: Session(model, threads, engines[0], files)}
    for name in engines[1:]:
        with suppress(CobnutError):  # one that is installed but broken does not stop the line
            sessions[name] = Session(model, threads, name, files)
    probes = np.concatenate([example, _probes(example)])
    scores = {name: _run(session, model, probes) for name, session in sessions.items()}
    took: dict[EngineName, list[float]] = {name: [] for name in sessions}
    for _ in range(_RUNS):
        for name, session in sessions.items():
            started = time.perf_counter()
            session.run(example)
            took[name].append(1000 * (time.perf_counter() - started) / len(example))
    milliseconds = {name: float(np.median(each)) for name, each in took.items()}
    reference: EngineName = "onnxruntime"
    agreeing = [name for name in sessions if np.abs(scores[name] - scores[reference]).max() < TOLERANCE * spread]
    best = min(agreeing, key=lambda name: milliseconds[name], default=reference)
    return (best if milliseconds[best] < _WORTH * milliseconds[reference] else reference), milliseconds


def _probes(example: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images of an example's size that excite all of a model: noise, fine and coarse, and a slope of light."""
    shape, random = example.shape[1:], np.random.default_rng(0)
    fine = random.integers(0, 256, shape, np.uint8)
    coarse = fine[::8, ::8].repeat(8, axis=0).repeat(8, axis=1)[: shape[0], : shape[1]]
    slope = np.broadcast_to(np.linspace(0, 255, shape[1])[None, :, None], shape).astype(np.uint8)
    return np.stack([fine, coarse, slope])


def _run(session: Session, model: Path, example: NDArray[np.uint8]) -> NDArray[np.float32]:
    try:
        return session.run(example)[1]
    except Exception as error:  # engines' errors share no public parent
        reason = " ".join(str(error).split())[:200]
        raise BundleError(f"{model}: cannot judge images of {example.shape[1:]} ({reason}); train it again") from None


def _installed() -> dict[EngineName, str]:
    """The engines that are there, by their versions; onnxruntime comes first."""
    found: dict[EngineName, str] = {}
    for name in ENGINES:
        if find_spec(name) is not None:
            try:
                found[name] = version(name)
            except PackageNotFoundError:  # packed under another name, or a mere folder that is called so
                found[name] = "unknown"
    return found


def _key(content: bytes, threads: int | None, engines: Mapping[EngineName, str]) -> str:
    machine = (platform.machine(), _processor(), threads or cores())
    told = json.dumps([hashlib.sha256(content).hexdigest(), machine, [*engines.items()]])
    return hashlib.sha256(told.encode()).hexdigest()


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("model name")), platform.processor())
