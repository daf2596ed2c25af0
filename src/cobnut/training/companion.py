"""A further process of a training on several devices (``devices.py``): it trains at its seat, and that is all."""

import os
import pickle
import signal
import sys
import threading
from typing import NoReturn

from cobnut.training.callbacks import Record
from cobnut.training.devices import READY
from cobnut.training.epochs import Seat, Work, run_epochs


def main() -> None:
    """Read the work, then the port to meet the others at, from standard input, and train."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us tells us when to stop
    work: Work
    seat: Seat
    work, seat = pickle.load(sys.stdin.buffer)
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads on
    seat.port = int(sys.stdin.buffer.readline() or _leave())
    threading.Thread(target=_leave_with_the_first, daemon=True).start()
    run_epochs(work, [Record(work.recipe.seed, lambda *_: None)], [], [], seat)


def _leave_with_the_first() -> None:
    """End at once when whoever started us is gone: it may be that nothing else breaks off a wait for it."""
    while os.read(sys.stdin.fileno(), 1):  # not through its buffer, which Python could not close while this waits
        pass
    _leave()


def _leave() -> NoReturn:
    os._exit(1)


if __name__ == "__main__":
    main()
