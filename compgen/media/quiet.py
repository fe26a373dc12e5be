"""Keep C libraries from writing to standard error: libtiff and mpg123 write what is wrong with a file there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.RLock()
"""Descriptors belong to the process: of two blocks side by side, the second would save what the first has put there."""


@contextmanager
def quiet(wanted: bool) -> Iterator[None]:
    """Discard what is written to descriptor 2 inside the block, by C code and by other threads, if that is wanted."""
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
    """Make a new lock: another thread, which a forked child lacks, may have held the old one."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
