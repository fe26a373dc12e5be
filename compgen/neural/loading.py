"""Load models in one thread at a time, and let a forked child compute on one thread."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.RLock()
"""Held while a model is loaded, and while the process forks: so no child begins with half a model."""


@contextmanager
def loading() -> Iterator[None]:
    """Keep other threads from loading: while transformers loads a model, it changes settings of the whole process."""
    _prepare_for_forks()
    with _LOCK:
        yield


@functools.cache
def _prepare_for_forks() -> None:
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_in_child)


def _in_child() -> None:
    import torch

    _LOCK.release()
    torch.set_num_threads(1)  # a fork does not copy OpenMP's threads, and torch would wait for them for ever
