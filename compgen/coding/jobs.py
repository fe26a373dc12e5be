"""Work for several processes, whose results come back in order and in bounded memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Self, TypeVar

from compgen.errors import CompgenError

K = TypeVar("K")


class OrderedPool:
    """At most ``count`` processes at work, or this one alone; leaving the block stops them."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPoolExecutor | None = None
        self._queue: deque[tuple[Any, Future[Any]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._pool is not None:
            # The executor has no public way to stop its processes; once they are gone, it has nothing to wait for.
            for process in list((self._pool._processes or {}).values()) if self._queue else ():
                process.terminate()
            self._pool.shutdown(cancel_futures=True)

    def run(self, key: K, work: Callable[..., Any], *arguments: Any) -> Iterator[tuple[K, Any]]:
        """Start ``work(*arguments)``; yield (key, result) of what was started before and must be taken now."""
        if self._count == 1:
            yield key, work(*arguments)
            return
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._count, context, _prepare)
        self._queue.append((key, self._pool.submit(work, *arguments)))
        if len(self._queue) > 2 * self._count:
            yield self._next()

    def rest(self) -> Iterator[tuple[Any, Any]]:
        """Yield (key, result) of all that is still at work."""
        while self._queue:
            yield self._next()

    def _next(self) -> tuple[Any, Any]:
        key, future = self._queue[0]
        try:
            result = future.result()
        except BrokenProcessPool:
            raise CompgenError("a process was killed, perhaps for want of memory; use fewer jobs") from None
        self._queue.popleft()
        return key, result


def _prepare() -> None:
    """In a new process: leave interrupts to the parent, and do not start threads beside other processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("COMPGEN_THREADS", "1")
