"""Several files in one command, as in gzip, xz and zstd: a file that fails does not stop the others."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

import typer

from compgen.atomic import is_temporary
from compgen.cli.messages import failure, tell
from compgen.errors import CompgenError, UsageError
from compgen.signals import received


class Batch:
    """The files of one command.

    Attributes:
        files: the files that nothing has gone wrong with, in order.
        several: whether the user named several files, or a directory.
    """

    def __init__(
        self, names: list[str] | None, recursive: bool, wanted: Callable[[str], bool], *, verbose: bool = False
    ) -> None:
        """Find the files.

        Args:
            names: the names that the user typed; None or an empty list for standard input.
            recursive: whether a directory stands for the files in it and below it.
            wanted: returns whether a file in a directory is taken, by its name.
            verbose: whether to tell which files in directories are left out.

        Raises:
            UsageError: no name was typed and standard input is a terminal, or standard input is named twice.
        """
        if not names and sys.stdin.isatty():
            raise UsageError("name a file, or give - to read from the terminal")
        names = names or ["-"]
        if names.count("-") > 1:
            raise UsageError("standard input can be read once; give - once")
        self._code = 0
        self._told = verbose
        self.files: list[str] = []
        for name in names:
            if name == "-" or not os.path.isdir(name):  # noqa: PTH112 - no error for any name
                self.files.append(name)
            elif recursive:
                self.files += self._walk(name, wanted)
            else:
                self._fail(name, UsageError(f"'{name}' is a directory; -r takes the files in it"))
        self.several = len(names) > 1 or self.files != names

    def each(self, work: Callable[[str], None], *, go_on: bool = True) -> None:
        """Do ``work`` for each file. If it fails, print the error, and drop the file from ``files``.

        If ``go_on`` is False, the first failure ends the command.
        """
        done = []
        for name in self.files:
            try:
                work(name)
                done.append(name)
            except BrokenPipeError:
                raise  # nobody reads standard output any more
            except (CompgenError, OSError, MemoryError) as error:
                if received():
                    raise  # the command is interrupted
                self._fail(name, error)
                if not go_on:
                    self.end()
        self.files = done

    def check(self, check: Callable[[str], None], target_of: Callable[[str], str]) -> None:
        """Leave out each file that ``check`` refuses, or whose output is also another's or another file that is read.

        ``target_of(file)`` is the output of a file. If no file is left, the command ends.
        """
        self.each(check)
        self._keep_apart(target_of)
        if not self.files:
            self.end()

    def _keep_apart(self, target_of: Callable[[str], str]) -> None:
        read = {os.path.realpath(file) for file in self.files if file != "-"}
        taken: dict[str, str] = {}

        def check(file: str) -> None:
            target = target_of(file)
            place = os.path.realpath(target)
            if target == "-":
                return
            if place in taken:
                raise UsageError(f"output '{target}' is that of '{taken[place]}' too; give them to two commands")
            if place in read - {os.path.realpath(file)}:
                raise UsageError(f"output '{target}' is another file that is read; give them to two commands")
            taken[place] = file

        self.each(check)

    def end(self) -> NoReturn:
        """End the command with the highest exit code of its files: 0 if all are done."""
        raise typer.Exit(self._code)

    def _fail(self, name: str, error: Exception) -> None:
        """Print an error with the name of its file, and keep the highest exit code."""
        message, code = failure(error) or ("", 1)
        named = f"'{name}'" in message or message.startswith(f"{name}: ")
        tell(message if named else f"{shown(name)}: {message}")
        self._code = max(self._code, code)

    def _walk(self, folder: str, wanted: Callable[[str], bool]) -> Iterator[str]:
        """Yield the wanted files below ``folder``, in the order of their names. Links are not followed."""
        for place, folders, names in os.walk(folder, onerror=lambda error: self._fail(folder, error)):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(place, name)  # noqa: PTH118 - as the user typed it, with ./ too
                try:
                    meant = not is_temporary(name) and wanted(name) and stat.S_ISREG(os.lstat(path).st_mode)
                except OSError as error:  # the file is gone since
                    self._fail(path, error)
                    continue
                if meant:
                    yield path
                elif self._told:
                    tell(f"{path}: left out")


def shown(name: str) -> str:
    """Return the name of an input or output for messages."""
    return "standard input" if name == "-" else name
