"""Shards judged by processes of this machine: each has a bundle of its own, and one that dies is replaced."""

import multiprocessing as mp
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from cobnut.errors import CobnutError
from cobnut.machine import cores
from cobnut.runtime.shards import Answer, Job, Shard, ShardJudge, blame

# A new interpreter, not a fork: a fork would share this one's threads, locks and open files.
_PROCESSES = mp.get_context("spawn")


@dataclass(frozen=True, slots=True)
class LocalWorkers:
    """So many worker processes, each with so many threads, by default its share of this machine's cores."""

    workers: int
    threads: int | None = None
    name: str = "local"

    def judge(self, job: Job, shards: Sequence[Shard]) -> Iterator[Answer]:
        """The answer to each shard, in the order in which they are done.

        Raises :class:`CobnutError` when workers die at one shard again and again. However it ends, no process is left.
        """
        waiting, deaths = deque(shards), Counter[int]()
        threads = self.threads or max(1, cores() // self.workers)
        team = [_Worker(job, threads) for _ in range(min(self.workers, len(waiting)))]
        try:
            for worker in team:
                worker.give(waiting.popleft())
            while busy := [worker for worker in team if worker.shard is not None]:
                ready = wait([worker.pipe for worker in busy])
                for worker in (each for each in busy if each.pipe in ready):
                    answer = worker.take()
                    if isinstance(answer, Shard):
                        blame(deaths, answer, worker.ending())
                        waiting.appendleft(answer)
                        worker.begin()
                    worker.give(waiting.popleft() if waiting else None)
                    if isinstance(answer, Answer):
                        yield answer
        finally:
            for worker in team:
                worker.end()


class _Worker:
    """A process, begun anew when it has died, and the shard that it is at."""

    def __init__(self, job: Job, threads: int) -> None:
        self._work = (job, threads)
        self.shard: Shard | None = None
        self.begin()

    def begin(self) -> None:
        """Start the process."""
        self.pipe, theirs = _PROCESSES.Pipe()
        self.process = _PROCESSES.Process(target=_work, args=(*self._work, theirs), daemon=True)
        self.process.start()
        theirs.close()  # so that the pipe ends with the process

    def give(self, shard: Shard | None) -> None:
        """Let it judge a shard; that it has died meanwhile is found when the answer is taken."""
        self.shard = shard
        with suppress(OSError):
            if shard is not None:
                self.pipe.send(shard)

    def take(self) -> Answer | Shard | None:
        """Its answer, or the shard that it has died at. Raises the :class:`CobnutError` that it met."""
        try:
            answer: Answer | CobnutError = self.pipe.recv()
        except (EOFError, OSError):
            return self.shard
        if isinstance(answer, CobnutError):
            raise answer
        return answer

    def ending(self) -> str:
        """How it died, in words."""
        self.end()
        code = self.process.exitcode or 0
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def end(self) -> None:
        """End the process."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


def _work(job: Job, threads: int, pipe: Connection) -> None:
    """A worker's life: judge what comes until nothing comes any more, or whoever sends it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes: it is the parent's to end them
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        judge = ShardJudge(job, threads)
        while True:
            pipe.send(judge.judge(pipe.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except CobnutError as error:
        pipe.send(error)
    except OSError as error:
        pipe.send(CobnutError(f"{error.filename or 'a worker'}: {(error.strerror or str(error)).lower()}"))
    except MemoryError:  # as if it had been killed: another one tries
        os._exit(1)
    except Exception as error:  # a mistake of ours, or an engine's: another worker would make it again
        pipe.send(CobnutError(f"a worker failed: {' '.join(f'{type(error).__name__}: {error}'.split())[:300]}"))


def _end_with_parent() -> None:
    parent = mp.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
