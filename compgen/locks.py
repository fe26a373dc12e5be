"""Folders that one run at a time writes to."""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compgen.errors import CompgenError

_NAME = ".lock"
"""The name of the file that is locked in a folder. Chosen."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make ``folder`` if need be, and lock it while the block runs. A process that is killed leaves no lock.

    The system holds the lock on an open file, which no child process inherits. On a drive without locks, as some
    network drives are, the block runs without one.

    Raises:
        CompgenError: another process, or this one, is in such a block with this folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / _NAME, "a+", encoding="utf-8", errors="replace", opener=_open_no_link) as file:
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


def _open_no_link(path: str, flags: int) -> int:
    """Open a file, but not through a symbolic link: a folder from elsewhere must not choose what is written to."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)
