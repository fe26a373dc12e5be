"""An external program that compresses its standard input to its standard output."""

from __future__ import annotations

import os
import re
import selectors
import shlex
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from typing import ClassVar

from compgen.compressors.base import Compressor
from compgen.errors import CompressorError, CorruptDataError, UsageError

_LONGEST = 1_000_000
"""The largest timeout, seconds. Chosen: far above any use, and every system's clock can count it."""

_MOST_CODED = 1 << 20
"""Bytes that a program may write beyond twice what it reads. Chosen: no compressor's headers are so long."""

_MOST_DECODED = 1 << 30
"""Bytes that a program may write when it decodes. Chosen: far above what is worth a program's run for each byte."""

_BLOCK = 1 << 16


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
            CompressorError: the program is missing, fails, takes too long, or writes nothing or far too much.
        """
        out = self._run([], data, 2 * len(data) + _MOST_CODED)
        if data and not out:
            raise CompressorError(f"'{self.words}' wrote nothing; does it compress standard input to standard output?")
        return out

    def decompress(self, blob: bytes) -> bytes:
        """Return what the program writes with ``-d`` added, as gzip, bzip2, xz, zstd, lz4 and brotli decompress.

        Raises:
            CorruptDataError: the program refuses the blob.
        """
        try:
            return self._run(["-d"], blob, _MOST_DECODED)
        except CompressorError as error:
            raise CorruptDataError(f"cannot decode: {error}") from None

    def _run(self, extra: list[str], data: bytes, most: int) -> bytes:
        """Return what the program, with the arguments ``extra`` added, writes when it reads ``data``.

        Raises:
            CompressorError: the program is missing, fails, takes too long, or writes over ``most`` bytes.
        """
        words = [*shlex.split(self.words), *extra]
        try:
            with tempfile.TemporaryFile() as given:
                given.write(data)
                given.seek(0)
                with subprocess.Popen(words, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                    try:
                        out, said = _read(process, most, time.monotonic() + self.timeout)
                    except BaseException:
                        process.kill()
                        raise
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
        if len(out) > most:
            raise CompressorError(
                f"'{shlex.join(words)}' was given {len(data):,} bytes and wrote over {most:,}, so it was stopped; "
                "does it compress standard input to standard output?"
            )
        if process.returncode != 0:
            lines = said.decode(errors="replace").strip().splitlines()
            raise CompressorError(
                f"'{shlex.join(words)}' failed with exit code {process.returncode}{': ' + lines[-1] if lines else ''}"
            )
        return out


def _read(process: subprocess.Popen[bytes], most: int, deadline: float) -> tuple[bytes, bytes]:
    """Return all that a program writes and the end of what it says; stop it when it has written over ``most`` bytes.

    Raises:
        TimeoutExpired: it still runs at ``deadline``, on the monotonic clock.
    """
    out, said = bytearray(), bytearray()
    with selectors.DefaultSelector() as ready:
        for pipe, kept in ((process.stdout, out), (process.stderr, said)):
            if pipe is not None:
                ready.register(pipe, selectors.EVENT_READ, kept)
        while ready.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(process.args, deadline)
            for key, _ in ready.select(left):
                block = os.read(key.fd, _BLOCK)
                key.data.extend(block)
                if not block:
                    ready.unregister(key.fileobj)
            del said[:-_BLOCK]
            if len(out) > most:
                process.kill()
                break
    process.wait(max(deadline - time.monotonic(), 0))
    return bytes(out), bytes(said)
