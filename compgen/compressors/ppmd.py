"""PPMd variant H (the method of 7z): prediction by partial matching and a range coder, from pyppmd.

pyppmd's decoder can crash the process on hostile input, so decoding happens in a child process, which
``ppmd_decoder.py`` describes.
"""

from __future__ import annotations

import importlib.metadata
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyppmd

from compgen.compressors.base import Compressor, ReplayMeter
from compgen.errors import CompressorError, CorruptDataError, UsageError

_LENGTH = struct.Struct("<Q")
_ATTEMPTS = 8
_PIECE = 1 << 14  # bytes coded in one call: where a call's output outgrows 32 KB, pyppmd 1.3.1 may write a wrong code
_DECODER = Path(__file__).with_name("ppmd_decoder.py")


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
        """Return the length of ``data`` and its code."""
        encoder = pyppmd.Ppmd7Encoder(self.order, self.memory << 20)
        pieces = [bytes(encoder.encode(data[i : i + _PIECE])) for i in range(0, len(data), _PIECE)]
        return b"".join([_LENGTH.pack(len(data)), *pieces, bytes(encoder.flush())])

    def decompress(self, blob: bytes) -> bytes:
        """Return the data, decoded by a child process.

        Raises:
            CorruptDataError: the blob is not the whole and unchanged output of ``compress``.
        """
        words = [sys.executable, "-I", str(_DECODER), str(self.order), str(self.memory)]
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
            words = [sys.executable, "-I", str(_DECODER), *map(str, (self.order, self.memory, length, seed + attempt))]
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
