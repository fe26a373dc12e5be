"""Engines: what runs shards, and hands back what each found as it comes. All give the same results."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from compgen.coding.jobs import Jobs
from compgen.errors import UsageError
from compgen.evaluation.shards import Record, Shard
from compgen.registry import suggest

ENGINES = ("local",)


@dataclass(frozen=True)
class Done:
    """A shard, what it found, and what it took: seconds on the process ``worker``."""

    shard: Shard
    record: Record
    seconds: float
    worker: int

    @property
    def timing(self) -> Record:
        """What it took, as a line of timings."""
        return {"id": self.shard.id, "bytes": self.shard.size, "seconds": round(self.seconds, 4), "worker": self.worker}


def work(shard: Shard) -> Done:
    """Run one shard, here."""
    begin = time.perf_counter()
    record = shard.run()
    return Done(shard, record, time.perf_counter() - begin, os.getpid())


def engine(name: str, jobs: int, address: str | None = None) -> Callable[[Sequence[Shard]], Iterator[Done]]:
    """Return the engine of this name.

    Raises:
        UsageError: there is none.
        MissingExtraError: it needs a package that is not installed.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine '{name}'{suggest(name, ENGINES)}")
    return lambda shards: local(shards, jobs)


def local(shards: Sequence[Shard], jobs: int) -> Iterator[Done]:
    """Run shards on ``jobs`` processes of this machine."""
    with Jobs(jobs) as pool:
        for shard in shards:
            for _, done in pool.run(shard, work, shard):
                yield done
        for _, done in pool.rest():
            yield done
