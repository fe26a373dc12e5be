"""DEFLATE in its three containers (RFC 1950, 1951, 1952), with bit-exact code lengths from zlib.

The exact length is read as follows. ``flush(Z_BLOCK)`` closes the open block without padding. ``flush(Z_FINISH)``
then has nothing left to write but a final, empty, static block: the bits 1, 1, 0 and seven zeros. So the last 1 in
the stream is the second bit of that block, whatever the padding is, and the data ends one bit before that 1.

The code length ends with the last block that holds data. A whole stream must end with a block marked final, which
nearly always is the block with the data. But if there is no data, or the last symbol just filled a block (one state
in 16,383), zlib adds an empty final block of 10 bits. That block says nothing about the data and is not counted: see
``overhead``.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from compgen.compressors.base import Compressor, Meter, measure, whole_stream
from compgen.errors import CompressorError, CorruptDataError, UsageError
from compgen.laws.base import Law
from compgen.laws.deflate import prices_in
from compgen.laws.lz77 import Lz77Law, Prices
from compgen.types import CodeLengths

if TYPE_CHECKING:
    from zlib import _Compress

_RAW = -zlib.MAX_WBITS
ENCODER_MEMORY = 280 << 10
"""Bytes of memory of an encoder: 268 KB in zlib 1.3, and the object around it."""
_LEAST_FOR_THREADS = 4096
"""Bytes in the open block from which threads measure candidates. Chosen: fewer are coded sooner than threads switch."""
_LARGE_BLOCK = 8 << 20
"""Bytes of the block that ``keep_freed_memory`` frees. Chosen: above a clone (268 KB), below glibc's limit of 32 MB."""


@dataclass(frozen=True)
class Deflate(Compressor):
    """Raw DEFLATE, without a container (RFC 1951)."""

    level: int = 9

    name: ClassVar[str] = "deflate"
    resolution: ClassVar[float] = 1.0
    overhead: ClassVar[float] = 10.0
    window: ClassVar[int] = 32768
    law_kind: ClassVar[str] = "exact"
    wbits: ClassVar[int] = _RAW
    container: ClassVar[int] = 0
    """Bits of header and trailer around the DEFLATE stream."""

    def __post_init__(self) -> None:
        if not 1 <= self.level <= 9:
            raise UsageError(f"{self.name}:level must be between 1 and 9, not {self.level}")

    @classmethod
    def version(cls) -> str:
        """Return the version of zlib in use."""
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}"

    def compress(self, data: bytes) -> bytes:
        """Return ``data`` as one stream. gzip's time stamp is 0, so equal data gives equal streams."""
        encoder = zlib.compressobj(self.level, zlib.DEFLATED, self.wbits)
        return encoder.compress(data) + encoder.flush()

    def decompress(self, blob: bytes) -> bytes:
        """Return the data of one whole stream.

        Raises:
            CorruptDataError: the stream is damaged, cut short, or followed by other bytes.
        """
        decoder = zlib.decompressobj(self.wbits)
        try:
            data = decoder.decompress(blob)
        except zlib.error as error:
            raise CorruptDataError(f"not a {self.name} stream: {error}") from None
        whole_stream(f"{self.name} stream", decoder.eof, decoder.unused_data)
        return data

    def code_length(self, data: bytes) -> int:
        """Return the bits of the container, and of the blocks up to the last one that holds data."""
        return self.open(b"").code_length(data)

    def law(self) -> Law:
        """Return the law by the code lengths of zlib's own last blocks."""
        return Lz77Law(functools.partial(_prices, self.level))

    def meter_memory(self, size: int) -> int:
        """Return the bytes of zlib's encoder."""
        return ENCODER_MEMORY

    def open(self, context: bytes) -> DeflateMeter:
        """Return a meter that clones the encoder instead of compressing the context again."""
        keep_freed_memory()
        meter = DeflateMeter(zlib.compressobj(self.level, zlib.DEFLATED, _RAW), self.container)
        meter.extend(context)
        return meter


@functools.lru_cache(maxsize=8)
def _prices(level: int, context: bytes) -> Prices:
    """Return the prices in the stream that zlib writes for ``context``."""
    encoder = zlib.compressobj(level, zlib.DEFLATED, _RAW)
    return prices_in(encoder.compress(context) + encoder.flush())


@dataclass(frozen=True)
class Zlib(Deflate):
    """DEFLATE in the zlib container (RFC 1950)."""

    name: ClassVar[str] = "zlib"
    wbits: ClassVar[int] = zlib.MAX_WBITS
    container: ClassVar[int] = 8 * (2 + 4)


@dataclass(frozen=True)
class Gzip(Deflate):
    """DEFLATE in the gzip container (RFC 1952)."""

    name: ClassVar[str] = "gzip"
    wbits: ClassVar[int] = 16 + zlib.MAX_WBITS
    container: ClassVar[int] = 8 * (10 + 8)


class DeflateMeter(Meter):
    """A zlib encoder that stands after the context. A clone of it codes each candidate.

    A candidate costs a copy of the encoder (about 268 KB) and the coding of the open block.

    Args:
        encoder: stands after the bytes read so far.
        written: bits that have left the encoder, those of the container included.
    """

    def __init__(self, encoder: _Compress, written: int) -> None:
        self._encoder = encoder
        self._written = written
        self._pending = 0  # bytes since the last flush, which are coded again for each candidate

    def code_length(self, continuation: bytes) -> int:
        """Return L(context + continuation), bits."""
        encoder = self._encoder.copy()
        out = encoder.compress(continuation) + encoder.flush(zlib.Z_BLOCK) + encoder.flush(zlib.Z_FINISH)
        tail = int.from_bytes(out[-3:], "little")
        end = 8 * max(len(out) - 3, 0) + tail.bit_length() - 2
        if -(-(end + 10) // 8) != len(out):
            raise CompressorError(
                f"zlib {zlib.ZLIB_RUNTIME_VERSION} does not end a stream with an empty static block, so exact "
                "bit lengths cannot be read from it; run Python with another zlib"
            )
        return self._written + end

    def code_lengths(self, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) L(context + continuation), bits, exact."""
        return measure(self.code_length, continuations, self._pending >= _LEAST_FOR_THREADS)

    def extend(self, data: bytes) -> None:
        """Append ``data`` to the encoder's input."""
        self._written += 8 * len(self._encoder.compress(data))
        self._pending += len(data)

    def flushed(self) -> DeflateMeter:
        """Copy the meter and close its open block. That costs no bits but the block's end mark."""
        fork = self.fork()
        fork._written += 8 * len(fork._encoder.flush(zlib.Z_BLOCK))
        fork._pending = 0
        return fork

    def fork(self) -> DeflateMeter:
        """Return an independent copy, over a clone of the encoder."""
        fork = DeflateMeter(self._encoder.copy(), self._written)
        fork._pending = self._pending
        return fork


@functools.cache
def keep_freed_memory() -> None:
    """Make the C library keep the memory of a freed encoder clone for the next one, in this process.

    By default glibc's malloc maps a block of a clone's size on its own, returns it to the kernel when it is freed,
    and the next clone faults its pages in again; that takes longer than the copy. Freeing one large block raises the
    size from which glibc does so (mallopt(3), M_MMAP_THRESHOLD), as any large array would. Other allocators are not
    affected.
    """
    bytearray(_LARGE_BLOCK)
