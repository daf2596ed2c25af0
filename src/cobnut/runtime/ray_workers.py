"""Shards judged by the actors of a Ray cluster: each has a bundle of its own, and one that dies is replaced.

Actors rather than Ray Data: a shard is what is kept and what is judged again, and its images are judged in the same
batches wherever that is, so the rows are those of the local engine to the last digit. The blocks of Ray Data are cut by
size and tell nobody when one of them is safe on disk.
"""

import socket
import tempfile
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cobnut.errors import CobnutError
from cobnut.runtime.bundle import MANIFEST, WEIGHTS, read_manifest, version_path
from cobnut.runtime.cluster import check_node, connect, software
from cobnut.runtime.shards import Answer, Job, Shard, ShardJudge, blame, roots_of

# A second shard waits at each actor, so that none idles while its answer travels; no more, so that memory stays flat.
_AT_ONCE = 2
_SECONDS_TO_WAIT = 600.0  # a cluster may have to start machines first


@dataclass(frozen=True, slots=True)
class RayWorkers:
    """So many actors, by default one a core, of the cluster at ``address``, by default one of its own here.

    Each has so many ``threads``, by default one.
    """

    workers: int | None = None
    address: str | None = None
    threads: int | None = None
    name: str = "ray"

    def judge(self, job: Job, shards: Sequence[Shard]) -> Iterator[Answer]:
        """The answer to each shard, in the order in which they are done; only its driver needs the batch's folder.

        Raises :class:`CobnutError` where there is no such cluster, or workers die at one shard again and again.
        """
        with connect(self.address, self.workers) as ray:
            threads = self.threads or 1
            count = self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
            team = _Team(ray, job, min(count, len(shards)), threads, shards)
            try:
                yield from team.answers()
            finally:
                team.end()


class RayJudge:
    """What each actor runs: a bundle out of the object store, and the judge of shards with it."""

    def __init__(self, files: dict[str, bytes], job: Job, threads: int) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="cobnut-")
        bundle = Path(self._home.name)
        for name, content in files.items():
            (bundle / name).parent.mkdir(exist_ok=True)
            (bundle / name).write_bytes(content)
        self._job, self._threads = replace(job, bundle=bundle), threads
        self._judge: ShardJudge | None = None

    def begin(self, asked: str) -> CobnutError | None:
        """Load the bundle; gives what keeps this node from judging as the others do."""
        try:
            check_node(asked)
            self._judge = ShardJudge(self._job, self._threads)
        except CobnutError as error:
            return error
        return None

    def judge(self, shard: Shard) -> Answer | CobnutError:
        """The answer to a shard, or what stops the whole batch."""
        assert self._judge is not None
        unseen = [root for root in roots_of(shard.images, self._job) if not root.exists()]
        if unseen:
            return CobnutError(
                f"node {socket.gethostname()} does not see {unseen[0]}; put the images where all nodes see them, "
                "or into a bucket (s3://…, gs://…)"
            )
        try:
            return self._judge.judge(shard)
        except CobnutError as error:
            return error


@dataclass(slots=True, eq=False)
class _Member:
    """An actor, and the shards that it is at by their number, the oldest first; one that is not ready gets none."""

    actor: Any
    at: dict[int, Shard] = field(default_factory=dict)
    is_ready: bool = False


class _Team:
    """The actors of a batch, what they are at, and what waits."""

    def __init__(self, ray: Any, job: Job, count: int, threads: int, shards: Sequence[Shard]) -> None:
        self._ray, self._waiting, self._deaths = ray, deque(shards), Counter[int]()
        self._actor = ray.remote(num_cpus=threads, max_restarts=0)(RayJudge)
        self._job, self._threads, self._files = job, threads, ray.put(_read_files(job))
        self._members: list[_Member] = []
        self._asked: dict[Any, _Member] = {}
        for _ in range(count):
            self._begin()

    def answers(self) -> Iterator[Answer]:
        """Every shard's answer, as they come."""
        while self._waiting or any(member.at for member in self._members):
            ready, _ = self._ray.wait(list(self._asked), num_returns=1, timeout=_SECONDS_TO_WAIT)
            if not ready and any(member.is_ready for member in self._members):
                continue  # a large shard, or a slow bucket
            if not ready:
                raise CobnutError(
                    f"Ray: no worker has answered for {_SECONDS_TO_WAIT:.0f} s; look at `ray status` whether a core is "
                    "free; the same command goes on"
                )
            answer = self._take(ready[0], self._asked.pop(ready[0]))
            self._occupy()
            if answer is not None:
                yield answer

    def end(self) -> None:
        """End all actors."""
        for member in self._members:
            self._ray.kill(member.actor)

    def _begin(self) -> None:
        member = _Member(self._actor.remote(self._files, self._job, self._threads))
        self._members.append(member)
        self._asked[member.actor.begin.remote(software())] = member

    def _take(self, asked: Any, member: _Member) -> Answer | None:
        """What an actor answered; one that has died is replaced, and its shards wait again."""
        try:
            answer: Answer | CobnutError | None = self._ray.get(asked)
        except self._ray.exceptions.RayTaskError as error:  # no death but a mistake of ours
            raise CobnutError(f"Ray: {' '.join(str(error).split())[-300:]}") from None
        except self._ray.exceptions.RayError as error:
            self._replace(member, type(error).__name__)
            return None
        if isinstance(answer, CobnutError):
            raise answer
        if answer is None:
            member.is_ready = True
        else:
            del member.at[answer.shard.number]
        return answer

    def _replace(self, member: _Member, how: str) -> None:
        if member not in self._members:  # told by another of its answers already
            return
        self._members.remove(member)
        shards = list(member.at.values())
        if shards or (self._waiting and not member.is_ready):
            blame(self._deaths, shards[0] if shards else self._waiting[0], how)
        self._waiting.extendleft(reversed(shards))
        if self._waiting:
            self._begin()

    def _occupy(self) -> None:
        """Give the actors that are ready what waits; near the end one shard each, so that all end about together."""
        for most in range(1, _AT_ONCE + 1):
            for member in self._members:
                is_end = most > 1 and len(self._waiting) < len(self._members)
                if member.is_ready and len(member.at) < most and self._waiting and not is_end:
                    shard = self._waiting.popleft()
                    member.at[shard.number] = shard
                    self._asked[member.actor.judge.remote(shard)] = member


def _read_files(job: Job) -> dict[str, bytes]:
    """What an actor needs of a bundle, by its place there."""
    manifest = read_manifest(job.bundle, job.version)
    names = {MANIFEST, *manifest.files} - {WEIGHTS}
    if job.version is not None:
        names.add(version_path(job.bundle, job.version).relative_to(job.bundle).as_posix())
    return {name: (job.bundle / name).read_bytes() for name in sorted(names)}
