"""Open the files that a user names, with errors that say what to do."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from compgen.atomic import replacing, status_of
from compgen.errors import CompgenError, UsageError


def read(path: str, what: str) -> bytes:
    """Return the bytes of a file, or of standard input for ``-``. ``what`` names the file in errors.

    Raises:
        UsageError: there is no such file, it is a directory, or it may not be read.
    """
    with opened(path, what) as file:
        return file.read()


def opened(path: str, what: str) -> AbstractContextManager[BinaryIO]:
    """Open a file to read, or standard input for ``-``. ``what`` names the file in errors.

    Raises:
        UsageError: there is no such file, it is a directory, or it may not be read.
    """
    if path == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        if os.path.isdir(path):  # noqa: PTH112 - Path("") is the current directory
            raise UsageError(f"{what} '{path}' is a directory; name a file in it")
        return open(path, "rb")  # noqa: PTH123 - likewise
    except FileNotFoundError:
        raise UsageError(f"{what} '{path}' does not exist; check the path") from None
    except OSError as error:
        raise UsageError(f"{what} '{path}' cannot be read: {error.strerror}") from None


def attributes(path: str, file: BinaryIO) -> os.stat_result | None:
    """Return the status of the open ``file``, or None if it is standard input, a pipe or a device."""
    status = os.fstat(file.fileno()) if path != "-" else None
    return status if status is not None and stat.S_ISREG(status.st_mode) else None


def remove(path: str, status: os.stat_result | None) -> None:
    """Delete a file that was read whole and had ``status`` when it was opened.

    Raises:
        CompgenError: the file has changed since.
        OSError: the file may not be deleted.
    """
    now = Path(path).stat()
    if status is None or any(
        getattr(now, key) != getattr(status, key) for key in ("st_dev", "st_ino", "st_size", "st_mtime_ns")
    ):
        raise CompgenError(f"'{path}' has changed since it was read, and is kept")
    Path(path).unlink()


def check_output(path: str, force: bool, binary: bool) -> None:
    """Check before long work that ``path``, or standard output for ``-``, can and may be written.

    Raises:
        UsageError: the file exists and ``force`` is False, it cannot be written, or standard output is a terminal and
            ``binary`` is True.
    """
    if path == "-":
        if binary and sys.stdout.isatty() and not force:
            raise UsageError("compressed data is not written to a terminal; name a file with -o, or use --force")
        return
    try:
        status = status_of(path)
        parent = Path(os.path.realpath(path)).parent
        if not Path(path).name or (status is not None and stat.S_ISDIR(status.st_mode)):
            raise UsageError(f"output '{path}' is a directory; name a file in it")
        if not parent.is_dir():
            raise UsageError(f"output '{path}': there is no directory '{parent}'; make it first")
    except OSError as error:
        raise UsageError(f"output '{path}' cannot be written: {error.strerror}; choose another place") from None
    is_file = status is not None and stat.S_ISREG(status.st_mode)
    if is_file and not force:
        raise UsageError(f"output '{path}' exists already; use --force to overwrite it")
    if not os.access(path if status is not None and not is_file else parent, os.W_OK):
        raise UsageError(f"output '{path}' may not be written; choose another place")


def check_folder(path: str) -> None:
    """Check before long work that ``path`` is a directory, or does not exist.

    Raises:
        UsageError: ``path`` is a file, or cannot be reached.
    """
    try:
        status = status_of(path)
    except OSError as error:
        raise UsageError(f"output '{path}' cannot be written: {error.strerror}; choose another place") from None
    if status is not None and not stat.S_ISDIR(status.st_mode):
        raise UsageError(f"output '{path}' is a file; name a directory")


def check_left_by_us(folder: str, writes: str, beside: str, force: bool) -> None:
    """Check before long work that the file ``writes`` in ``folder`` is missing, or was left by an earlier run.

    Args:
        folder: the directory that the command writes to.
        writes: the name of a file that the command will write there.
        beside: the name of what each run of the command leaves beside that file.
        force: whether the file may be overwritten in any case.

    Raises:
        UsageError: the file exists and ``beside`` does not, so another program or a user wrote the file.
    """
    file = Path(folder) / writes
    if file.exists() and not file.with_name(beside).exists() and not force:
        raise UsageError(f"output '{file}' exists already; name another directory, or use --force")


def check_one_output(out: str | None, several: bool) -> None:
    """Check that one named output is not for several files.

    Raises:
        UsageError: it is.
    """
    if several and out not in (None, "-"):
        raise UsageError(f"-o '{out}' is one output for several files; leave it out, or give -o - for standard output")


def check_source(source: str, target: str, remove: bool) -> None:
    """Check that the file ``source`` can be read, and that nothing is lost if its data goes to ``target``.

    Raises:
        UsageError: ``source`` cannot be read or is ``target``; or ``remove`` asks to delete it, but ``source`` is no
            file or ``target`` will not be one.
    """
    if source != "-" and not (Path(source).exists() and stat.S_ISFIFO(Path(source).stat().st_mode)):
        with opened(source, "file"):  # a pipe, which is read once, is opened later
            pass
    if all(name != "-" and Path(name).exists() for name in (target, source)) and Path(target).samefile(source):
        raise UsageError(f"output '{target}' is the file that is read; name another with -o")
    if remove and any(name == "-" or (Path(name).exists() and not Path(name).is_file()) for name in (source, target)):
        raise UsageError(f"--rm is for files whose output is a file too; leave it out for '{source}'")


def write(path: str, data: bytes) -> None:
    """Write ``data`` to a file in one step: if that fails, the old file stays."""
    with replacing(path) as file:
        file.write(data)
