"""Zstandard (RFC 8878): plain, and with the context as a dictionary."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import zstandard

from compgen.compressors.base import Compressor, Meter, measure, whole_stream
from compgen.errors import CorruptDataError, UsageError
from compgen.laws.base import Law
from compgen.laws.states import StatePrices, state_law
from compgen.laws.zstd import blocks, prices_of
from compgen.types import CodeLengths

_DIGEST = 256 << 10
"""Bytes of memory of a dictionary of few bytes, digested. Measured: 110 KB at level 19."""
_SHORTEST_DICTIONARY = 8
"""Bytes of the shortest dictionary that zstd uses."""


@dataclass(frozen=True)
class Zstd(Compressor):
    """One frame without content size and checksum, which any zstd program reads."""

    level: int = 3

    name: ClassVar[str] = "zstd"
    law_kind: ClassVar[str] = "exact"

    def __post_init__(self) -> None:
        if not 1 <= self.level <= zstandard.MAX_COMPRESSION_LEVEL:
            raise UsageError(
                f"{self.name}:level must be between 1 and {zstandard.MAX_COMPRESSION_LEVEL}, not {self.level}"
            )

    @classmethod
    def version(cls) -> str:
        """Return the version of libzstd in use."""
        return f"libzstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}"

    def compress(self, data: bytes) -> bytes:
        """Return ``data`` as one frame."""
        return self.encoder(None).compress(data)

    def decompress(self, blob: bytes) -> bytes:
        """Return the data of one whole frame.

        Raises:
            CorruptDataError: the frame is damaged, cut short, or followed by other bytes.
        """
        decoder = zstandard.ZstdDecompressor().decompressobj()
        try:
            data = decoder.decompress(blob)
        except zstandard.ZstdError as error:
            raise CorruptDataError(f"not a zstd frame: {error}") from None
        whole_stream("zstd frame", decoder.eof, decoder.unused_data)
        return data

    def law(self) -> Law:
        """Return the law by the tables of zstd's own last blocks."""
        return state_law(functools.partial(_prices, self))

    def encoder(self, dictionary: zstandard.ZstdCompressionDict | None) -> zstandard.ZstdCompressor:
        """Return a new encoder of such frames, with a dictionary if one is given."""
        # A compressor object is not thread-safe, so each use makes its own.
        return zstandard.ZstdCompressor(
            level=self.level,
            dict_data=dictionary,
            write_content_size=False,
            write_checksum=False,
            write_dict_id=False,
        )


@functools.lru_cache(maxsize=8)
def _prices(compressor: Zstd, context: bytes) -> StatePrices:
    """Return the prices in the frame that zstd writes for ``context``."""
    return prices_of(blocks(compressor.compress(context)), len(context))


@dataclass(frozen=True)
class ZstdDict(Zstd):
    """Codes a continuation alone, with the context as a raw-content dictionary.

    L(context + continuation) is the length of the continuation's frame; the context costs nothing. Once the dictionary
    is digested, at each new context, a candidate takes one or two microseconds. The lengths differ from plain zstd's,
    since each continuation starts with fresh entropy tables. All single bytes take equally long frames, so the one-step
    rule over this compressor is uniform. zstd ignores a context under 8 bytes.
    """

    level: int = 19

    name: ClassVar[str] = "zstd-dict"
    law_kind: ClassVar[str] = "fitted"
    conditional: ClassVar[bool] = True
    window: ClassVar[int] = 32768

    def code_lengths(self, context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) bits of the frame of each continuation, given the context."""
        return self.open(context).code_lengths(continuations)

    def law(self) -> Law:
        """Return the law fitted from code lengths: frames behind a dictionary have tables of their own."""
        return Compressor.law(self)

    def meter_memory(self, size: int) -> int:
        """Return the bytes of a digested dictionary."""
        return _DIGEST + 32 * size

    def open(self, context: bytes) -> ZstdDictMeter:
        """Return a meter that digests the context once for all candidates."""
        return ZstdDictMeter(self, context)


class ZstdDictMeter(Meter):
    """A context, which is digested into a dictionary when the first length is asked for."""

    def __init__(self, compressor: ZstdDict, context: bytes) -> None:
        self._compressor = compressor
        self._context = context
        self._encoder: zstandard.ZstdCompressor | None = None

    def code_lengths(self, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) bits of the frame of each continuation, given the context."""
        if self._encoder is None:
            self._encoder = self._compressor.encoder(self._dictionary())
        encoder = self._encoder
        return measure(lambda y: 8 * len(encoder.compress(y)), continuations, parallel=False)

    def _dictionary(self) -> zstandard.ZstdCompressionDict | None:
        """Return the context as a dictionary, or None if it is too short for one."""
        if len(self._context) < _SHORTEST_DICTIONARY:
            return None
        dictionary = zstandard.ZstdCompressionDict(self._context, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        dictionary.precompute_compress(level=self._compressor.level)
        return dictionary

    def extend(self, data: bytes) -> None:
        """Append ``data`` to the context. The next measurement digests the context again."""
        self._context += data
        self._encoder = None

    def flushed(self) -> ZstdDictMeter:
        """Return a fork: a dictionary has no open block to close."""
        return self.fork()

    def fork(self) -> ZstdDictMeter:
        """Return an independent copy, which digests the context for itself."""
        return ZstdDictMeter(self._compressor, self._context)
