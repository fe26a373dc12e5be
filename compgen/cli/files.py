"""Reading what a user names and writing what a user asked for, with errors that name the fix."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from compgen.atomic import replacing
from compgen.errors import UsageError


def read(path: str, what: str) -> bytes:
    """Return the bytes of a file, or of standard input for ``-``.

    Raises:
        UsageError: there is no such file, it is a directory, or it may not be read.
    """
    with opened(path, what) as file:
        return file.read()


def opened(path: str, what: str) -> AbstractContextManager[BinaryIO]:
    """Return a file opened to read, or standard input for ``-``.

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
    """Find out before long work whether ``path``, or standard output for ``-``, can be written and may be.

    Raises:
        UsageError: it exists already and ``force`` is false, it cannot be written, or it is a terminal and the
            output ``binary``.
    """
    if path == "-":
        if binary and sys.stdout.isatty() and not force:
            raise UsageError("compressed data is not written to a terminal; name a file with -o, or use --force")
        return
    check_writable(path)
    if Path(path).is_file() and not force:
        raise UsageError(f"output '{path}' exists already; use --force to overwrite it")


def check_writable(path: str) -> None:
    """Find out before long work whether ``path`` can be written.

    Raises:
        UsageError: its directory does not exist or may not be written to, or it is a directory itself.
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
    """Find out before long work that ``path`` is a directory, or nothing yet.

    Raises:
        UsageError: it is something else.
    """
    if Path(path).exists() and not Path(path).is_dir():
        raise UsageError(f"output '{path}' is a file; name a directory")


def check_other(path: str, source: str) -> None:
    """Find out that the output ``path`` is not the file that is read.

    Raises:
        UsageError: it is.
    """
    if all(name != "-" and Path(name).exists() for name in (path, source)) and Path(path).samefile(source):
        raise UsageError(f"output '{path}' is the file that is read; name another with -o")


def write(path: str, data: bytes) -> None:
    """Write a file in one step: it holds all of ``data`` or what it held before."""
    with replacing(path) as file:
        file.write(data)
