"""Models are loaded by one thread at a time, and a forked child computes on one thread."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.RLock()


@contextmanager
def loading() -> Iterator[None]:
    """Keep other threads from loading, which transformers does with settings of the whole process."""
    _prepare_for_forks()
    with _LOCK:
        yield


@functools.cache
def _prepare_for_forks() -> None:
    if hasattr(os, "register_at_fork"):  # Windows has no fork
        os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_in_child)


def _in_child() -> None:
    import torch

    _LOCK.release()
    torch.set_num_threads(1)  # the threads of OpenMP are not copied by a fork, and torch would wait for them for ever
