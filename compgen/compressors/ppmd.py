"""PPMd variant H (the method of 7z): prediction by partial matching and a range coder, from pyppmd.

pyppmd's decoder can crash its process on hostile input, and each of its encoders leaks some 35 KB. So both run in child
processes, which execute ``ppmd_child.py``.
"""

from __future__ import annotations

import atexit
import importlib.metadata
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyppmd  # noqa: F401 - so that a missing package is an error here and not in a child

from compgen.compressors.base import Compressor, ReplayMeter
from compgen.errors import CompressorError, CorruptDataError, UsageError
from compgen.laws.base import Law
from compgen.laws.ppmd import PpmdLaw
from compgen.processes import kept

_LENGTH = struct.Struct("<Q")
"""Bytes of the data: the header of a blob."""
_REQUEST = struct.Struct("<IIQ")
"""What ``ppmd_child.py`` reads before data: order, megabytes of memory, bytes of data."""
_PIECES = 1000
"""Pieces of data that one child codes, by when it has leaked 35 MB. Chosen: memory against starts of children."""
_CHILD = (sys.executable, "-I", str(Path(__file__).with_name("ppmd_child.py")))


@dataclass(frozen=True)
class Ppmd(Compressor):
    """The length of the data in 8 bytes, then the range coder's output.

    Attributes:
        order: bytes of the longest context, 2 to 64.
        memory: megabytes of the model, 1 to 1,024; a full model starts again.
    """

    order: int = 6
    memory: int = 16

    name: ClassVar[str] = "ppmd"
    law_kind: ClassVar[str] = "exact"
    parallel: ClassVar[bool] = False  # two threads in pyppmd are slower than one

    def __post_init__(self) -> None:
        if not 2 <= self.order <= 64:
            raise UsageError(f"ppmd:order must be between 2 and 64, not {self.order}")
        if not 1 <= self.memory <= 1024:
            raise UsageError(f"ppmd:memory must be between 1 and 1024 (MB), not {self.memory}")

    def law(self) -> Law:
        """Return the law of its own model."""
        return PpmdLaw(self.order, self.memory << 20)

    @property
    def law_window(self) -> int:
        """N, bytes: 2N of them fit into its memory, of all inputs that were tried (see ``laws/ppmd.py``)."""
        return (self.memory << 17) // (self.order + 2)

    @property
    def call_time(self) -> float:
        """Microseconds of a code length by the child process."""
        return 700

    def encoder_memory(self, size: int) -> int:
        """Return the bytes of an encoder's and of a decoder's model, each in a child process."""
        return 2 * (self.memory << 20)

    def open(self, context: bytes) -> PpmdMeter:
        """Return a meter that can read the range coder's codes."""
        return PpmdMeter(self, context)

    @classmethod
    def version(cls) -> str:
        """Return the version of pyppmd."""
        return f"pyppmd {importlib.metadata.version('pyppmd')}"

    def compress(self, data: bytes) -> bytes:
        """Return the length of ``data``, and its code.

        Raises:
            CompressorError: the child process that encodes was lost, for example because memory ran out.
        """
        return _LENGTH.pack(len(data)) + _encoder().code(self.order, self.memory, data)

    def decompress(self, blob: bytes) -> bytes:
        """Return the data, decoded by a child process.

        Raises:
            CorruptDataError: the blob is not the whole and unchanged output of ``compress``.
        """
        words = [*_CHILD, "decode", str(self.order), str(self.memory)]
        child = subprocess.run(words, input=blob, capture_output=True, check=False)
        if child.returncode != 0:
            raise CorruptDataError("the ppmd blob is damaged or cut short: its decoder gave up")
        # PPMd has no checksum. Its encoder is deterministic, so coding the data again is a check.
        if self.compress(child.stdout) != blob:
            raise CorruptDataError("the ppmd blob is damaged: it is not what its data is coded as")
        return child.stdout


class PpmdMeter(ReplayMeter):
    """A replaying meter that also reads the range coder's output as a number."""

    def code_values(self, continuations: Sequence[bytes]) -> list[int]:
        """Return the range coder's outputs as integers, each padded with zeros to the length of the longest."""
        codes = [self._compressor.compress(self._context + y)[_LENGTH.size :] for y in continuations]
        places = max(map(len, codes), default=0)
        return [int.from_bytes(code.ljust(places, b"\0"), "big") for code in codes]

    def fork(self) -> PpmdMeter:
        """Return an independent copy."""
        return PpmdMeter(self._compressor, self._context)


class _Encoder:
    """A child process that codes one piece of data after another, and is replaced before it has grown large."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._left = 0
        self._owner = os.getpid()
        atexit.register(self.close)

    def code(self, order: int, memory: int, data: bytes) -> bytes:
        """Return the code of ``data`` by a model of ``order`` in ``memory`` megabytes.

        Raises:
            CompressorError: the child was lost, for example because memory ran out.
        """
        with self._lock:
            if not self._left:
                self.close()
            try:
                return self._ask(_REQUEST.pack(order, memory, len(data)) + data)
            except OSError:
                self.close()
                raise CompressorError(f"ppmd's encoder stopped; is there memory for {memory} MB more?") from None
            except BaseException:  # an interrupt: the child's answer would be taken for the answer to the next request
                self.close()
                raise

    def close(self) -> None:
        """Kill the child, if there is one. A fork of this process leaves it alone: it serves the parent."""
        if self._owner != os.getpid():
            return
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None
        self._left = 0

    def _ask(self, request: bytes) -> bytes:
        """Return the child's answer to ``request``, from a new child if there is none.

        Raises:
            OSError: the child was lost.
        """
        if self._child is None:
            # In a session of its own, so that the terminal sends an interrupt to this process alone.
            self._child = subprocess.Popen(
                [*_CHILD, "encode"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._left = _PIECES
        self._left -= 1
        assert self._child.stdin is not None  # noqa: S101 - Popen was told to make both pipes
        assert self._child.stdout is not None  # noqa: S101
        self._child.stdin.write(request)
        self._child.stdin.flush()
        header = self._child.stdout.read(_LENGTH.size)
        length = _LENGTH.unpack(header)[0] if len(header) == _LENGTH.size else 0
        code = self._child.stdout.read(length)
        if not code or len(code) < length:
            raise BrokenPipeError
        return code


@kept
def _encoder() -> _Encoder:
    """Return the process's encoder."""
    return _Encoder()
