"""PPMd variant H (the method of 7z): prediction by partial matching and a range coder, from pyppmd.

pyppmd's decoder can crash the process on hostile input, and each of its encoders keeps some 35 KB for good. Both
therefore run in child processes, which ``ppmd_child.py`` describes.
"""

from __future__ import annotations

import atexit
import functools
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

import pyppmd  # noqa: F401 - where it is missing, this says so, and not a child

from compgen.compressors.base import Compressor, ReplayMeter
from compgen.errors import CompressorError, CorruptDataError, UsageError

_LENGTH = struct.Struct("<Q")
_REQUEST = struct.Struct("<IIQ")  # what ppmd_child.py reads before the data
_ATTEMPTS = 8
_CHILD = (sys.executable, "-I", str(Path(__file__).with_name("ppmd_child.py")))


@dataclass(frozen=True)
class Ppmd(Compressor):
    """The original length in 8 bytes, then the range coder's output."""

    order: int = 6
    memory: int = 16

    name: ClassVar[str] = "ppmd"
    parallel: ClassVar[bool] = False  # two threads inside pyppmd are slower than one

    def __post_init__(self) -> None:
        if not 2 <= self.order <= 64:
            raise UsageError(f"ppmd:order must be between 2 and 64, not {self.order}")
        if not 1 <= self.memory <= 1024:
            raise UsageError(f"ppmd:memory must be between 1 and 1024 (MB), not {self.memory}")

    def open(self, context: bytes) -> PpmdMeter:
        """Return a meter that can read the range coder's values."""
        return PpmdMeter(self, context)

    @classmethod
    def version(cls) -> str:
        """Return the version of pyppmd."""
        return f"pyppmd {importlib.metadata.version('pyppmd')}"

    def compress(self, data: bytes) -> bytes:
        """Return the length of ``data`` and its code.

        Raises:
            CompressorError: the child process that codes it was lost, for example for want of memory.
        """
        return _LENGTH.pack(len(data)) + _encoder(os.getpid()).code(self.order, self.memory, data)

    def decompress(self, blob: bytes) -> bytes:
        """Return the data, decoded by a child process.

        Raises:
            CorruptDataError: the blob is not the whole and unchanged output of ``compress``.
        """
        words = [*_CHILD, "decode", str(self.order), str(self.memory)]
        child = subprocess.run(words, input=blob, capture_output=True, check=False)
        if child.returncode != 0:
            raise CorruptDataError("the ppmd blob is damaged or cut short: its decoder gave up")
        # PPMd has no checksum. Its encoder is deterministic, so that coding again is one.
        if self.compress(child.stdout) != blob:
            raise CorruptDataError("the ppmd blob is damaged: it is not what its data is coded as")
        return child.stdout

    def decode_noise(self, context: bytes, length: int, seed: int) -> bytes:
        """Return what random bytes decode to after the code of ``context``: a sample from PPMd's own distribution."""
        if not length:
            return b""
        # What the decoder is fed may crash it; other noise may not.
        for attempt in range(_ATTEMPTS):
            words = [*_CHILD, "noise", *map(str, (self.order, self.memory, length, seed + attempt))]
            child = subprocess.run(words, input=self.compress(context), capture_output=True, check=False)
            if child.returncode == 0:
                return child.stdout
        raise CompressorError(f"ppmd's decoder gave up on {_ATTEMPTS} streams of noise; use the decode sampler instead")


class PpmdMeter(ReplayMeter):
    """Replays the encoder, and reads what its range coder wrote as a number."""

    def code_values(self, continuations: Sequence[bytes]) -> list[int]:
        """Return the range coder's output after its length, padded to the longest of these."""
        codes = [self._compressor.compress(self._context + y)[_LENGTH.size :] for y in continuations]
        places = max(map(len, codes), default=0)
        return [int.from_bytes(code.ljust(places, b"\0"), "big") for code in codes]

    def fork(self) -> PpmdMeter:
        """Return a meter over the same bytes."""
        return PpmdMeter(self._compressor, self._context)


class _Encoder:
    """A child process that codes one piece of data after another, followed by a new one before it has grown large."""

    _PIECES = 1000  # coded by one child, which by then keeps 35 MB

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._left = 0
        atexit.register(self.close)

    def code(self, order: int, memory: int, data: bytes) -> bytes:
        """Return the code of ``data`` by a model of ``order`` in ``memory`` megabytes.

        Raises:
            CompressorError: the child was lost.
        """
        with self._lock:
            if not self._left:
                self.close()
            try:
                return self._ask(_REQUEST.pack(order, memory, len(data)) + data)
            except OSError:
                self.close()
                raise CompressorError(f"ppmd's encoder stopped; is there memory for {memory} MB more?") from None
            except BaseException:  # an interrupt: what the child still says would be taken for the next answer
                self.close()
                raise

    def close(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None
        self._left = 0

    def _ask(self, request: bytes) -> bytes:
        if self._child is None:
            # In a session of its own, so that an interrupt from the terminal is this process's affair.
            self._child = subprocess.Popen(
                [*_CHILD, "encode"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._left = self._PIECES
        self._left -= 1
        assert self._child.stdin is not None  # noqa: S101 - both are pipes
        assert self._child.stdout is not None  # noqa: S101
        self._child.stdin.write(request)
        self._child.stdin.flush()
        header = self._child.stdout.read(_LENGTH.size)
        length = _LENGTH.unpack(header)[0] if len(header) == _LENGTH.size else 0
        code = self._child.stdout.read(length)
        if not code or len(code) < length:
            raise BrokenPipeError
        return code


@functools.cache
def _encoder(process: int) -> _Encoder:
    """Return the encoder of this ``process``: after a fork, the pipes belong to the parent."""
    return _Encoder()
