"""An external program that compresses its standard input to its standard output."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass, field
from typing import ClassVar

from compgen.compressors.base import Compressor
from compgen.errors import CompressorError, CorruptDataError, UsageError

_LONGEST = 1_000_000
"""The largest timeout, seconds. Chosen: far above any use, and every system's clock can count it."""


@dataclass(frozen=True)
class Command(Compressor):
    """Runs a program, without a shell, once for each code length.

    Attributes:
        words: the program and its arguments.
        timeout: seconds that one run may take.
    """

    words: str = field(default="", metadata={"argument": True})
    timeout: float = 60.0

    name: ClassVar[str] = "command"

    def __post_init__(self) -> None:
        try:
            words = shlex.split(self.words)
        except ValueError as error:
            raise UsageError(f"command: {error} in '{self.words}'; close the quote") from None
        if not words:
            raise UsageError("command: needs a program, such as command:xz -9e -c")
        if re.match(r"[a-z][a-z0-9_]*=", words[0]):
            raise UsageError(f"command: '{words[0]}' reads as a setting; write the program as './{words[0]}'")
        if not 0 < self.timeout <= _LONGEST:
            raise UsageError(f"command: timeout must be above 0 and at most {_LONGEST} seconds, not {self.timeout}")
        object.__setattr__(self, "words", shlex.join(words))

    @classmethod
    def version(cls) -> str:
        """Return a fixed text: a program's version is not known here."""
        return "any program"

    def compress(self, data: bytes) -> bytes:
        """Return what the program writes when it reads ``data``.

        Raises:
            CompressorError: the program is missing, fails, takes too long, or writes nothing.
        """
        out = self._run([], data)
        if data and not out:
            raise CompressorError(f"'{self.words}' wrote nothing; does it compress standard input to standard output?")
        return out

    def decompress(self, blob: bytes) -> bytes:
        """Return what the program writes with ``-d`` added, as gzip, bzip2, xz, zstd, lz4 and brotli decompress.

        Raises:
            CorruptDataError: the program refuses the blob.
        """
        try:
            return self._run(["-d"], blob)
        except CompressorError as error:
            raise CorruptDataError(f"cannot decode: {error}") from None

    def _run(self, extra: list[str], data: bytes) -> bytes:
        """Return what the program, with the arguments ``extra`` added, writes when it reads ``data``.

        Raises:
            CompressorError: the program is missing, fails or takes too long.
        """
        words = [*shlex.split(self.words), *extra]
        try:
            done = subprocess.run(words, input=data, capture_output=True, check=False, timeout=self.timeout)
        except FileNotFoundError:
            raise CompressorError(f"no program '{words[0]}' here; install it or give its full path") from None
        except PermissionError:
            raise CompressorError(f"'{words[0]}' is not a program that may be run; check its path and mode") from None
        except OSError as error:
            raise CompressorError(f"'{words[0]}' does not start: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise CompressorError(
                f"'{shlex.join(words)}' took over {self.timeout:g} s; allow more with command:timeout=SECONDS ..."
            ) from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise CompressorError(
                f"'{shlex.join(words)}' failed with exit code {done.returncode}{': ' + said[-1] if said else ''}"
            )
        return done.stdout
