"""Keep C libraries from writing to standard error: libtiff and mpg123 write what is wrong with a file there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.RLock()
"""Held while a block runs. A descriptor belongs to the whole process: if two threads ran such blocks at once, the
second would take the null device for the standard error that it must put back."""


@contextmanager
def quiet(wanted: bool) -> Iterator[None]:
    """If ``wanted``, discard what C code writes to descriptor 2 while the block runs, and what other threads write."""
    if not wanted:
        yield
        return
    with _lock:
        try:
            saved = os.dup(2)
        except OSError:  # the caller has closed it
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(nowhere)


def _renew() -> None:
    """Make a new lock in a forked child: the thread that held the old one may be missing there."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew)
