"""LZMA2 (the method of xz and 7z) without the xz container, with a dictionary that fits the data."""

from __future__ import annotations

import functools
import lzma
from dataclasses import dataclass
from typing import Any, ClassVar

from compgen.compressors.base import Compressor, whole_stream
from compgen.errors import CorruptDataError, UsageError
from compgen.laws.base import Law
from compgen.laws.lzma import decode, prices_of
from compgen.laws.states import StatePrices, state_law

_SMALLEST = 12
"""log2 of the bytes of LZMA2's smallest dictionary."""
_LARGEST = 26
"""log2 of the bytes of preset 9's dictionary, 64 MB."""


@dataclass(frozen=True)
class Xz(Compressor):
    """One byte with log2 of the dictionary's size, then a raw LZMA2 stream.

    The presets reserve up to 94 MB for tables. A dictionary no larger than the data finds the same matches at a
    fraction of the cost.
    """

    level: int = 6

    name: ClassVar[str] = "xz"
    law_kind: ClassVar[str] = "exact"

    def __post_init__(self) -> None:
        if not 0 <= self.level <= 9:
            raise UsageError(f"xz:level must be between 0 and 9, not {self.level}")

    @classmethod
    def version(cls) -> str:
        """Return the name of the library. Python's lzma module does not tell its version."""
        return "liblzma"

    def compress(self, data: bytes) -> bytes:
        """Return the size of the dictionary, and the raw LZMA2 stream."""
        size = min(max((len(data) - 1).bit_length(), _SMALLEST), _LARGEST)
        return bytes([size]) + lzma.compress(data, format=lzma.FORMAT_RAW, filters=self._filters(size))

    def decompress(self, blob: bytes) -> bytes:
        """Return the data of one whole stream.

        Raises:
            CorruptDataError: the stream is damaged, cut short, or followed by other bytes.
        """
        if not blob or not _SMALLEST <= blob[0] <= _LARGEST:
            raise CorruptDataError("not an xz blob of compgen: its first byte is not a dictionary size")
        decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=self._filters(blob[0]))
        try:
            data = decoder.decompress(blob[1:])
        except lzma.LZMAError as error:
            raise CorruptDataError(f"not an LZMA2 stream: {error}") from None
        whole_stream("LZMA2 stream", decoder.eof, decoder.unused_data)
        return data

    def law(self) -> Law:
        """Return the law by the probabilities at the end of liblzma's own output."""
        return state_law(functools.partial(_prices, self))

    def _filters(self, size: int) -> list[dict[str, Any]]:
        """Return liblzma's settings for a dictionary of 2**size bytes."""
        return [{"id": lzma.FILTER_LZMA2, "preset": self.level, "dict_size": 1 << size}]


@functools.lru_cache(maxsize=8)
def _prices(compressor: Xz, context: bytes) -> StatePrices:
    """Return the prices at the end of the stream that liblzma writes for ``context``."""
    return prices_of(decode(compressor.compress(context)[1:], len(context)))
