"""Write files under a temporary name and rename them: after a failure, the old file is still there.

A process that is killed leaves its temporary file behind. Each writer locks its temporary file, and the system frees
the lock when the process ends. So the next writer in the same directory knows which files nobody writes any more.
"""

from __future__ import annotations

import fcntl
import functools
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = re.compile(r"\.cgn-[0-9a-f]{16}\.tmp")
"""The names of temporary files. They are made in the directory of the file that they will replace."""

_ABANDONED = 300
"""Seconds since the last change after which an unlocked temporary file is deleted. Chosen: far longer than the moment
between its creation and its lock, and some time for writers on another machine, whose locks a network may not show."""


@contextmanager
def replacing(path: str | os.PathLike[str], like: os.stat_result | None = None) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces ``path`` when the block ends. If the block fails, the file is deleted.

    Links are followed. Pipes and devices cannot be replaced, and are written to directly. Temporary files that killed
    processes left in the same directory are deleted.

    Args:
        path: the file to write.
        like: the status of a source. The new file gets its permissions, its times and, as far as the system allows, its
            owner; until then, only its owner may read it. Without a source, it gets the permissions of the file that
            it replaces, or those of any new file.

    Raises:
        OSError: the file cannot be written.
    """
    old = status_of(path)
    if old is not None and not stat.S_ISREG(old.st_mode):
        with Path(path).open("wb") as file:
            yield file
        return
    target = Path(os.path.realpath(path))
    _sweep(target.parent)
    temporary = target.with_name(f".cgn-{secrets.token_hex(8)}.tmp")
    mode = 0o666 if like is None and old is None else 0o600
    owner = os.getpid()
    try:
        # Opened inside the block, so that an interrupt at any moment finds the name that must be deleted.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            _lock(handle)
            _written[temporary] = handle
            yield file
            if os.getpid() != owner:
                return  # a forked child leaves the file to its parent
            file.flush()
            if like is not None:
                _take_attributes(handle, like)
            elif old is not None:
                os.fchmod(handle, old.st_mode & 0o777)
            os.fsync(handle)
            temporary.replace(target)
            _written.pop(temporary, None)
        _sync(target.parent)
    except BaseException as failure:
        _written.pop(temporary, None)
        if os.getpid() == owner:
            temporary.unlink(missing_ok=True)
        if isinstance(failure, OSError) and str(failure.filename) == str(temporary):
            failure.filename = os.fspath(path)  # the name that the caller knows
        raise


_written: dict[Path, int] = {}
"""The temporary files that this process writes, and their open handles."""


def _leave_to_parent() -> None:
    """Let a forked child write nothing into its parent's files, not even what waits in a buffer when the child ends."""
    for handle in _written.values():
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), handle)
    _written.clear()


os.register_at_fork(after_in_child=_leave_to_parent)


def is_temporary(name: str) -> bool:
    """Return whether a file of this name is one that ``replacing`` has not renamed yet."""
    return _TEMPORARY.fullmatch(name) is not None


def status_of(path: str | os.PathLike[str]) -> os.stat_result | None:
    """Return the status of what ``path`` leads to, or None if nothing is there.

    Raises:
        OSError: links lead in a circle, or a directory may not be entered.
    """
    try:
        return Path(path).stat()
    except FileNotFoundError:
        return None


def _lock(handle: int) -> None:
    """Lock a temporary file until it is closed. On a drive without locks, no file is swept either."""
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync(folder: Path) -> None:
    """Make the new name in ``folder`` survive a power cut, where the system can: a source may be deleted next."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _take_attributes(handle: int, like: os.stat_result) -> None:
    """Give an open file the owner, mode and times of a source, as xz does. At no moment can more people read it."""
    mode = like.st_mode & 0o777
    with suppress(OSError):  # only root may give files away
        os.fchown(handle, like.st_uid, -1)
    try:
        os.fchown(handle, -1, like.st_gid)
    except OSError:
        # The members of another group get only what everybody may do.
        shared = mode >> 3 & mode & 0o007
        mode = mode & 0o700 | shared << 3 | shared
    os.fchmod(handle, mode)
    os.utime(handle, ns=(like.st_atime_ns, like.st_mtime_ns))


@functools.cache
def _sweep(folder: Path) -> None:
    """Delete the temporary files in ``folder`` that killed processes left. Once in a process: folders may be large."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if is_temporary(entry.name):
                with suppress(OSError):
                    _delete_if_abandoned(entry.path)


def _delete_if_abandoned(path: str) -> None:
    """Delete a temporary file unless somebody may still write it.

    Raises:
        OSError: somebody writes it, or it cannot be opened.
    """
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(handle)
        ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1
        # A writer may have renamed the file since it was found: then the name is gone, or the status is another's.
        same = os.path.samestat(status, os.lstat(path))
        if ours and same and time.time() - status.st_mtime > _ABANDONED:
            os.unlink(path)  # noqa: PTH108
    finally:
        os.close(handle)
