"""What a process keeps for its next call, such as a pool of threads. A forked child must make its own."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def kept(make: Callable[..., T]) -> Callable[..., T]:
    """Cache the results of ``make`` for as long as the process lives. A forked child begins with an empty cache.

    A fork copies the memory of a process, and of its threads only the one that forks. In the child a pool has no
    threads, a lock may be held for ever, and a pipe leads to a process that still serves the parent.
    """
    cached = functools.cache(make)
    os.register_at_fork(after_in_child=cached.cache_clear)
    return cached
