"""Folders that one run at a time writes to."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compgen.errors import CompgenError

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

_NAME = ".lock"
"""Name of the file in a folder that is locked. Chosen."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make ``folder`` if need be, and lock it while the block runs. A process that is killed leaves no lock.

    The system holds the lock on an open file, which no child process inherits. Where there are no locks, on Windows and
    on some network drives, the block runs without one.

    Raises:
        CompgenError: another process, or this one, is in such a block with this folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / _NAME, "a+", encoding="utf-8", errors="replace", opener=_unlinked) as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = "".join(filter(str.isprintable, file.read(100))) or "another process"
                raise CompgenError(
                    f"'{folder}' is in use by {holder}; wait for its end, or choose another folder with --out"
                ) from None
            except OSError:  # the drive has no locks
                pass
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        yield


def _unlinked(path: str, flags: int) -> int:
    """Open a file, but not through a symbolic link: what a folder from elsewhere links to is not written to."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
