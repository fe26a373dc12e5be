"""Where the work is done: on a few threads, so that the server answers while models compute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from compgen.compressors.base import threads
from compgen.errors import LimitError
from compgen.playground.limits import QUEUED_STREAMS, STREAMS, WAITING

T = TypeVar("T")


class Shop:
    """Workers for short work, and others for continuations, each with a queue that has an end."""

    def __init__(self) -> None:
        self._short = ThreadPoolExecutor(max(threads(), 2), thread_name_prefix="playground")
        self._long = ThreadPoolExecutor(STREAMS, thread_name_prefix="playground-sample")
        self._short_waiting = self._long_waiting = 0

    async def do(self, work: Callable[[], T]) -> tuple[T, float]:
        """Return what ``work`` returns, and the seconds of a processor that it took.

        Raises:
            LimitError: too many requests are waiting.
        """
        if self._short_waiting >= WAITING:
            raise LimitError(f"{WAITING} requests are waiting; try again in a moment")
        self._short_waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._short, _timed, work)
        finally:
            self._short_waiting -= 1

    async def do_long(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns. It draws a continuation, and looks by itself whether anybody still listens.

        Raises:
            LimitError: too many continuations are waiting.
        """
        if self._long_waiting >= QUEUED_STREAMS:
            raise LimitError(f"{QUEUED_STREAMS} continuations are waiting; try again in a moment")
        self._long_waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._long, work)
        finally:
            self._long_waiting -= 1

    def close(self) -> None:
        """Start no more work. What runs goes on until it looks."""
        for pool in (self._short, self._long):
            pool.shutdown(wait=False, cancel_futures=True)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    begin = time.thread_time()
    return work(), time.thread_time() - begin
