"""The further processes of a training on several devices: started, handed their work, watched and ended."""

import mmap
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cobnut.errors import CobnutError
from cobnut.training.epochs import Seat, Work

READY = b"ready\n"
# What a lost process gets to show in another, and a finished one to leave.
_SECONDS = 10.0
# What Lightning sets for its processes, and ours shall not keep.
_SURROUNDINGS = ("MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS")


class Companion:
    """A further process: it trains with this one, says nothing, and ends when this one does.

    It waits for its work, and then for the port to meet at, on its standard input; the end of that is the end of the
    process that started it.
    """

    def __init__(self, rank: int, on_loss: Callable[["Companion"], None]) -> None:
        self.rank, self.on_loss = rank, on_loss
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed at the end)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cobnut.training.companion"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._watch = threading.Thread(target=self._wait, daemon=True)
        self._watch.start()

    def tell(self, content: bytes) -> None:
        """Write to it; whether it heard is known by its answer."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(content)
            self._process.stdin.flush()

    def is_ready(self) -> bool:
        """Wait until it has read its work; false where it ended instead."""
        assert self._process.stdout is not None
        return READY in self._process.stdout  # line by line

    def why(self) -> str:
        """Why it ended: its last word, or the signal."""
        code = self._process.wait()
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace").split("\n")
        return next((" ".join(line.split())[:160] for line in reversed(words) if line.strip()), f"exit code {code}")

    def leave(self, at_once: bool) -> None:
        """See it end, by itself unless ``at_once``."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0 if at_once else _SECONDS)
        self._process.kill()
        self._watch.join()
        with suppress(OSError):  # what it did not read any more
            self._process.communicate()
        self._errors.close()

    def _wait(self) -> None:
        if self._process.wait():
            self.on_loss(self)


class _Losses:
    """The processes that ended before they should, in that order."""

    def __init__(self) -> None:
        self.lost: list[Companion] = []
        self.is_over = threading.Event()
        self._first = threading.Event()

    def add(self, companion: Companion) -> None:
        """Note a loss; where it leaves this process waiting on a GPU, which nothing can break off, end it in a line."""
        if self.is_over.is_set():
            return
        self.lost.append(companion)
        self._first.set()
        waits_on_gpu = torch.distributed.is_initialized() and torch.distributed.get_backend() == "nccl"
        if waits_on_gpu and not self.is_over.wait(_SECONDS):
            print(f"error: {self.told()}", file=sys.stderr, flush=True)
            os._exit(2)

    def happened(self, seconds: float) -> bool:
        """Whether there is one, or comes one within ``seconds``."""
        return self._first.wait(seconds)

    def told(self) -> str:
        """The first loss, which brought the others about, in one line."""
        first = self.lost[0]
        return (
            f"training.devices: the process of device {first.rank} ended before the training did ({first.why()}); "
            "mend that, or train with fewer devices"
        )


@contextmanager
def beside_others(work: Work) -> Iterator[Seat]:
    """This process's seat, the first, while further ones do the same ``work`` at theirs; one for each device.

    Raises :class:`CobnutError` when one of them is lost.
    """
    processes, losses = work.recipe.training.devices, _Losses()
    if processes == 1:
        yield Seat()
        return
    with _surroundings_kept(), ExitStack() as stack:
        try:
            companions = []
            for rank in range(1, processes):
                companions.append(Companion(rank, losses.add))
                stack.callback(companions[-1].leave, at_once=True)
            port = _begin(companions, work, losses)
            yield Seat(0, processes, port)
        except RuntimeError as error:  # how torch tells that it waited for somebody in vain
            if not losses.happened(_SECONDS):
                raise
            raise CobnutError(losses.told()) from error
        finally:
            losses.is_over.set()
        for companion in companions:
            companion.leave(at_once=False)


def _begin(companions: list[Companion], work: Work, losses: _Losses) -> int:
    """Hand everybody the work and, when all have it, the port to meet at."""
    for companion in companions:
        companion.tell(pickled((work, Seat(companion.rank, len(companions) + 1))))
    for companion in companions:
        if not companion.is_ready():
            losses.happened(_SECONDS)
            raise CobnutError(losses.told())
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    for companion in companions:
        companion.tell(b"%d\n" % port)
    return port


@contextmanager
def _surroundings_kept() -> Iterator[None]:
    """Take back what joining others changes in this process: threads, environment, and the others' address."""
    threads, before = torch.get_num_threads(), {name: os.environ.get(name) for name in _SURROUNDINGS}
    try:
        yield
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        torch.set_num_threads(threads)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def pickled(content: object) -> bytes:
    """``content`` for another process of this machine, which opens what lies memory-mapped on disk."""
    file = BytesIO()
    _Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(content)
    return file.getvalue()


class _Pickler(pickle.Pickler):
    """Hands on a whole memory-mapped file by its name: images and features may be larger than the memory.

    Of features it also hands on the view that has the channels first.
    """

    def reducer_override(self, value: Any) -> Any:
        """How ``value`` is made anew, where that is not the usual way."""
        if isinstance(value, np.memmap) and isinstance(value.base, mmap.mmap) and value.filename is not None:
            return _open, (Path(value.filename), value.shape)
        if isinstance(value, np.memmap) and isinstance(value.base, np.memmap):
            moved = np.moveaxis(value.base, -1, 1)
            if (moved.shape, moved.strides) == (value.shape, value.strides):
                return np.moveaxis, (value.base, -1, 1)
        return NotImplemented


def _open(path: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    kept: NDArray[Any] = np.load(path, mmap_mode="r")
    assert kept.shape == shape
    return kept
