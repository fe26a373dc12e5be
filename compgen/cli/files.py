"""Open the files that a user names, with errors that say what to do."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from compgen.atomic import replacing
from compgen.errors import UsageError


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
        if Path(path).is_dir():
            raise UsageError(f"{what} '{path}' is a directory; name a file in it")
        return Path(path).open("rb")
    except FileNotFoundError:
        raise UsageError(f"{what} '{path}' does not exist; check the path") from None
    except OSError as error:
        raise UsageError(f"{what} '{path}' cannot be read: {error.strerror}") from None


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
    check_writable(path)
    if Path(path).is_file() and not force:
        raise UsageError(f"output '{path}' exists already; use --force to overwrite it")


def check_writable(path: str) -> None:
    """Check before long work that ``path`` can be written.

    Raises:
        UsageError: ``path`` is a directory, or its directory does not exist or may not be written to.
    """
    try:
        target = Path(path).resolve()
        exists, parent = target.exists(), target.parent
        if not Path(path).name or target.is_dir():
            raise UsageError(f"output '{path}' is a directory; name a file in it")
        if not parent.is_dir():
            raise UsageError(f"output '{path}': there is no directory '{parent}'; make it first")
    except OSError as error:
        raise UsageError(f"output '{path}' cannot be written: {error.strerror}; choose another place") from None
    if not os.access(target if exists and not target.is_file() else parent, os.W_OK):
        raise UsageError(f"output '{path}' may not be written; choose another place")


def check_folder(path: str) -> None:
    """Check before long work that ``path`` is a directory or does not exist.

    Raises:
        UsageError: it is a file.
    """
    if Path(path).exists() and not Path(path).is_dir():
        raise UsageError(f"output '{path}' is a file; name a directory")


def check_other(path: str, source: str) -> None:
    """Check that the output ``path`` is not the file ``source`` that is read.

    Raises:
        UsageError: it is.
    """
    if all(name != "-" and Path(name).exists() for name in (path, source)) and Path(path).samefile(source):
        raise UsageError(f"output '{path}' is the file that is read; name another with -o")


def write(path: str, data: bytes) -> None:
    """Write ``data`` to a file in one step: if that fails, the old file stays."""
    with replacing(path) as file:
        file.write(data)
