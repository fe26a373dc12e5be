"""bzip2, with bit-exact code lengths: the end mark shows where the last byte's padding begins."""

from __future__ import annotations

import bz2
from dataclasses import dataclass
from typing import ClassVar, NoReturn

from compgen.compressors.base import Compressor, whole_stream
from compgen.errors import CompressorError, CorruptDataError, UsageError
from compgen.laws.base import NoLaw

_END_MARK = 0x177245385090
"""48 bits that end a stream, before a checksum of 32 bits and up to 7 zeros of padding."""


@dataclass(frozen=True)
class Bzip2(Compressor):
    """Burrows-Wheeler block sorting, in blocks of ``level`` times 100,000 bytes."""

    level: int = 9

    name: ClassVar[str] = "bz2"
    law_kind: ClassVar[str] = "none"
    resolution: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.level <= 9:
            raise UsageError(f"bz2:level must be between 1 and 9, not {self.level}")

    @classmethod
    def version(cls) -> str:
        """Return the name of the library. Python's bz2 module does not tell its version."""
        return "libbz2"

    def law(self) -> NoReturn:
        """Raise NoLaw: nothing is decoded before the end of a block."""
        raise NoLaw(
            "bzip2 decodes nothing before the end of a block, so it has no law of the next byte; use --rule calibrated"
        )

    def compress(self, data: bytes) -> bytes:
        """Return ``data`` as one .bz2 stream."""
        return bz2.compress(data, self.level)

    def decompress(self, blob: bytes) -> bytes:
        """Return the data of one whole stream.

        Raises:
            CorruptDataError: the stream is damaged, cut short, or followed by other bytes.
        """
        decoder = bz2.BZ2Decompressor()
        try:
            data = decoder.decompress(blob)
        except OSError as error:
            raise CorruptDataError(f"not a bz2 stream: {error}") from None
        whole_stream("bz2 stream", decoder.eof, decoder.unused_data)
        return data

    def code_length(self, data: bytes) -> int:
        """Return the bits of the stream without the padding of its last byte."""
        blob = self.compress(data)
        tail = int.from_bytes(blob[-11:], "big")
        for padding in range(8):
            if (tail >> (padding + 32)) & (1 << 48) - 1 == _END_MARK:
                return 8 * len(blob) - padding
        raise CompressorError("libbz2 wrote a stream without an end mark; is another library in its place?")
