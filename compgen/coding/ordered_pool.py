"""A pool of processes whose results come back in order and in bounded memory, or as they are finished."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Self, TypeVar

from compgen.errors import CompgenError
from compgen.signals import blocked, unblock

K = TypeVar("K")


class OrderedPool:
    """A pool of ``count`` processes; with ``count`` 1, this process alone. Leaving the block stops the others.

    At most ``most`` pieces of work are in hand, by default two for each process and one more.
    """

    def __init__(self, count: int, most: int | None = None) -> None:
        self._count = count
        self._most = 2 * count if most is None else most
        self._pool: ProcessPoolExecutor | None = None
        self._queue: deque[tuple[Any, Future[Any], float]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._pool is not None:
            if self._queue:
                self._stop(self._pool)
            self._pool.shutdown(cancel_futures=True)

    @staticmethod
    def _stop(pool: ProcessPoolExecutor) -> None:
        """End the processes of ``pool``, which has no public way to do so. Then its shutdown waits for nothing."""
        for process in list((pool._processes or {}).values()):
            process.terminate()
        # A thread may still be writing work to them. Before Python 3.11.5 it would wait for ever for a reader
        # (https://github.com/python/cpython/issues/94777).
        pool._call_queue._reader.close()  # type: ignore[attr-defined]

    def run(self, key: K, work: Callable[..., Any], *arguments: Any, share: float = 0.0) -> Iterator[tuple[K, Any]]:
        """Start ``work(*arguments)``, and yield (key, result) of earlier work if too many results would pile up.

        ``key`` comes back with the result. The generator must be exhausted: it does nothing before. ``share`` is what
        the work takes of a memory that all work in hand shares: it starts once there is room, or no other work.

        Raises:
            CompgenError: a process was killed. Errors of ``work`` are raised as they are.
        """
        if self._count == 1:
            yield key, work(*arguments)
            return
        while self._queue and share + sum(taken for _, _, taken in self._queue) > 1:
            yield self._next()
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._count, context, _prepare)
        with blocked():  # an interrupt that comes while processes start finds their work in the queue
            self._queue.append((key, self._pool.submit(work, *arguments), share))
        if len(self._queue) > self._most:
            yield self._next()

    def rest(self) -> Iterator[tuple[Any, Any]]:
        """Yield (key, result) of all work that has not come back yet; errors as in ``run``."""
        while self._queue:
            yield self._next()

    def finished(self) -> Iterator[tuple[Any, Any]]:
        """Yield (key, result) of all work that has not come back yet, first what is finished first."""
        while self._queue:
            done = wait([future for _, future, _ in self._queue], return_when=FIRST_COMPLETED).done
            for _ in range(len(self._queue)):
                if self._queue[0][1] in done:
                    yield self._next()
                else:
                    self._queue.rotate(-1)

    def _next(self) -> tuple[Any, Any]:
        key, future, _ = self._queue[0]
        try:
            result = future.result()
        except BrokenProcessPool:
            raise CompgenError("a process was killed, perhaps because memory ran out; use fewer jobs") from None
        self._queue.popleft()
        return key, result


def _prepare() -> None:
    """Prepare a new process: it may be ended, and no compressor starts threads of its own."""
    unblock()
    os.environ.setdefault("COMPGEN_THREADS", "1")
