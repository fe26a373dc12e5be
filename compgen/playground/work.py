"""Where the work is done: on a few threads, so that the server answers while models compute."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from compgen.compressors.base import threads
from compgen.errors import LimitError
from compgen.playground.limits import QUEUED_STREAMS, STREAMS, WAITING

T = TypeVar("T")


class _Line:
    """Threads, and a queue before them that has an end."""

    def __init__(self, count: int, most: int, kind: str) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=f"playground-{kind}")
        self._most, self._kind = most, kind
        self._waiting = 0

    async def do(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._most:
            raise LimitError(f"{self._most} {self._kind} are waiting; try again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class Shop:
    """Workers for short work, and others for continuations."""

    def __init__(self) -> None:
        self._short = _Line(max(threads(), 2), WAITING, "requests")
        self._long = _Line(STREAMS, QUEUED_STREAMS, "continuations")

    async def do(self, work: Callable[[], T]) -> tuple[T, float]:
        """Return what ``work`` returns, and the seconds of a processor that it took.

        Raises:
            LimitError: too many requests are waiting.
        """
        return await self._short.do(functools.partial(_timed, work))

    async def do_long(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns. It draws a continuation, and looks by itself whether anybody still listens.

        Raises:
            LimitError: too many continuations are waiting.
        """
        return await self._long.do(work)

    def close(self) -> None:
        """Start no more work. What runs goes on until it looks."""
        for line in (self._short, self._long):
            line.close()


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    begin = time.thread_time()
    return work(), time.thread_time() - begin
