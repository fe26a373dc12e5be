"""PNG (W3C PNG, third edition; RFC 2083): rows are filtered, then DEFLATE codes what the filters leave.

Any viewer opens the files, and the code lengths are zlib's exact ones. A *filter* predicts each byte of a row and
leaves the differences (``compgen/laws/png_filters.py``). In a last row that is incomplete, the missing bytes are those
that the filter predicts, so that the differences are zeros. A private chunk then gives the length of the data; no code
length counts it.
"""

from __future__ import annotations

import binascii
import functools
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from compgen.compressors.base import Compressor, Meter, measure
from compgen.compressors.deflate import ENCODER_MEMORY, DeflateMeter, Zlib, keep_freed_memory
from compgen.errors import CorruptDataError, UsageError
from compgen.laws.base import Law
from compgen.laws.deflate import prices_in
from compgen.laws.lz77 import Prices
from compgen.laws.png import PngLaw
from compgen.laws.png_filters import filtered, paeth
from compgen.media.layout import Layout
from compgen.types import CodeLengths

if TYPE_CHECKING:
    from zlib import _Compress

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
"""The IHDR chunk: width, height, bits, colour type, and the methods of compression, filters and interlacing."""
_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
"""The colour type by the number of channels: gray, gray with alpha, RGB, RGB with alpha."""
_MARK = b"cgLN"
"""The type of compgen's chunk with the length of the data: ancillary, private, unsafe to copy."""
_CHUNK = 12
"""Bytes of a chunk around its data: length, type and CRC."""
_FILTER_TIME = 0.012
"""Microseconds that filtering a byte of the open row takes. Measured: 0.010."""
_WIDEST = 1 << 20
"""The largest width, pixels. Chosen: bounds the memory that a spec can ask for."""


@dataclass(frozen=True)
class Png(Compressor):
    """Bytes as a picture: rows of ``width`` pixels, each of ``channels`` samples of ``bits`` bits, the high byte first.

    The default width is that of the paper's patches.
    """

    width: int = 64
    channels: int = 1
    bits: int = 8

    name: ClassVar[str] = "png"
    law_kind: ClassVar[str] = "exact"
    resolution: ClassVar[float] = 1.0
    overhead: ClassVar[float] = Zlib.overhead + 8 * (_CHUNK + 8)
    window: ClassVar[int] = Zlib.window

    def __post_init__(self) -> None:
        if self.channels not in _COLOURS:
            raise UsageError(f"png:channels must be between 1 and 4, not {self.channels}")
        if self.bits not in (8, 16):
            raise UsageError(f"png:bits must be 8 or 16, not {self.bits}")
        if not 1 <= self.width <= _WIDEST:
            raise UsageError(f"png:width must be between 1 and {_WIDEST} pixels, not {self.width}")

    @property
    def pixel(self) -> int:
        """Bytes of a pixel."""
        return self.channels * self.bits // 8

    @property
    def row(self) -> int:
        """Bytes of a row, without the byte that names its filter."""
        return self.width * self.pixel

    @property
    def unit(self) -> int:
        """Bytes of a row: a window that begins within one would shear the picture."""
        return self.row

    def laid_out(self, layout: Layout) -> Png:
        """Return the compressor with width, channels and bits of ``layout``, if it has the defaults."""
        return layout.fill(self)

    @classmethod
    def version(cls) -> str:
        """Return the version of zlib in use."""
        return Zlib.version()

    def law(self) -> Law:
        """Return the law of DEFLATE over filtered rows, by the code lengths of zlib's own last blocks."""
        return PngLaw(self.row, self.pixel, _prices)

    def compress(self, data: bytes) -> bytes:
        """Return ``data`` as one PNG. Empty data makes one row of zeros."""
        height = max(-(-len(data) // self.row), 1)
        if height >= 1 << 31:
            raise UsageError(f"{height} rows are more than a PNG holds; give png a larger width")
        mark = b"" if data and len(data) % self.row == 0 else _chunk(_MARK, struct.pack(">Q", len(data)))
        encoder = _encoder(Zlib.wbits)
        coded = encoder.compress(self.filtered(data, bytes(self.row)) or bytes(1 + self.row)) + encoder.flush()
        return self._header(height) + mark + _chunk(b"IDAT", coded) + _chunk(b"IEND", b"")

    def _header(self, height: int) -> bytes:
        """Return the signature and the header of a PNG of ``height`` rows."""
        fields = _HEADER.pack(self.width, height, self.bits, _COLOURS[self.channels], 0, 0, 0)
        return _SIGNATURE + _chunk(b"IHDR", fields)

    def filtered(self, data: bytes, above: bytes) -> bytes:
        """Return the filtered rows of ``data``, below the row ``above``. Each begins with the number of its filter."""
        return filtered(data, above, self.pixel)

    def decompress(self, blob: bytes) -> bytes:
        """Return the data of one whole PNG.

        Raises:
            CorruptDataError: the blob is not the whole and unchanged output of ``compress``.
        """
        start = len(self._header(1))
        height = int.from_bytes(blob[20:24], "big")
        if blob[:start] != self._header(height):
            raise CorruptDataError(f"not a PNG as {self} writes them")
        length: int | None = None
        coded = b""
        for kind, content in _chunks(blob[start:]):
            if kind == _MARK and len(content) == 8:
                length = int.from_bytes(content, "big")
            elif kind == b"IDAT":
                coded = content
        rows = Zlib().decompress(coded)
        if len(rows) != height * (1 + self.row):
            raise CorruptDataError("the PNG does not hold the number of rows that its header gives")
        data = self._unfiltered(rows)[:length]
        if self.compress(data) != blob:
            raise CorruptDataError("the PNG is damaged: it is not what its data is coded as")
        return data

    def _unfiltered(self, coded: bytes) -> bytes:
        """Return the rows behind filtered ones.

        Raises:
            CorruptDataError: a row names a filter that PNG does not have.
        """
        above = np.zeros(self.pixel + self.row, dtype=np.uint8)
        rows = []
        for line in np.frombuffer(coded, dtype=np.uint8).reshape(-1, 1 + self.row):
            if line[0] > 4:
                raise CorruptDataError(f"a row of the PNG names filter {line[0]}; PNG has filters 0 to 4")
            above = _undo(int(line[0]), line[1:], above, self.pixel)
            rows.append(above[self.pixel :].tobytes())
        return b"".join(rows)

    @property
    def call_time(self) -> float:
        """Microseconds of a code length: zlib's, and the filters of a row."""
        return 90 + self.row * _FILTER_TIME

    def meter_memory(self, size: int) -> int:
        """Return the bytes of zlib's encoder and of two rows."""
        return ENCODER_MEMORY + 2 * self.row

    def encoder_memory(self, size: int) -> int:
        """Return the bytes of an encoder, and of the rows under every filter, as 64-bit sums."""
        return super().encoder_memory(max(size, 4 * self.row))

    def code_length(self, data: bytes) -> int:
        """Return the bits of the file, without what follows the last DEFLATE block that holds data."""
        return self.open(b"").code_length(data)

    def code_lengths(self, context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) L(context + continuation), bits."""
        return self.open(context).code_lengths(continuations)

    def open(self, context: bytes) -> PngMeter:
        """Return a meter that filters only the open row for each candidate, and clones zlib's encoder."""
        keep_freed_memory()
        meter = PngMeter(self, DeflateMeter(_encoder(-Zlib.wbits), Zlib.container), b"", b"")
        meter.extend(context)
        return meter


class PngMeter(Meter):
    """What a candidate is measured with.

    Args:
        compressor: whose lengths the meter tells.
        rows: measures DEFLATE after the whole rows.
        above: the last whole row; empty before the first.
        pending: bytes of the open row.
    """

    def __init__(self, compressor: Png, rows: DeflateMeter, above: bytes, pending: bytes) -> None:
        self._compressor = compressor
        self._rows = rows
        self._above = above
        self._pending = pending
        self._fixed = 8 * (len(compressor._header(1)) + 2 * _CHUNK)

    def code_length(self, continuation: bytes) -> int:
        """Return L(context + continuation), bits."""
        rows = self._compressor.filtered(self._pending + continuation, self._above or bytes(self._compressor.row))
        if not rows and not self._above:
            rows = bytes(1 + self._compressor.row)  # a picture has at least one row
        return self._fixed + self._rows.code_length(rows)

    def code_lengths(self, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) L(context + continuation), bits."""
        return measure(self.code_length, continuations, self._compressor.parallel)

    def extend(self, data: bytes) -> None:
        """Append ``data``. Whole rows go to the encoder."""
        data = self._pending + data
        size = self._compressor.row
        whole = len(data) // size * size
        if whole:
            self._rows.extend(self._compressor.filtered(data[:whole], self._above or bytes(size)))
            self._above = data[whole - size : whole]
        self._pending = data[whole:]

    def flushed(self) -> PngMeter:
        """Copy the meter and close its open DEFLATE block. The open row stays open."""
        return PngMeter(self._compressor, self._rows.flushed(), self._above, self._pending)

    def fork(self) -> PngMeter:
        """Return an independent copy, over a clone of the encoder."""
        return PngMeter(self._compressor, self._rows.fork(), self._above, self._pending)


def _encoder(wbits: int) -> _Compress:
    """Return zlib's strongest encoder, with its strategy for filtered data."""
    return zlib.compressobj(9, zlib.DEFLATED, wbits, zlib.DEF_MEM_LEVEL, zlib.Z_FILTERED)


@functools.lru_cache(maxsize=8)
def _prices(stream: bytes) -> Prices:
    """Return the prices in what zlib writes for a stream of filtered rows."""
    encoder = _encoder(-Zlib.wbits)
    return prices_in(encoder.compress(stream) + encoder.flush())


def _undo(number: int, line: NDArray[np.uint8], above: NDArray[np.uint8], pixel: int) -> NDArray[np.uint8]:
    """Return a row, with its pixel of zeros on the left, from what filter ``number`` left of it."""
    row = np.zeros_like(above)
    row[pixel:] = line
    if number == 1:
        row = np.add.accumulate(row.reshape(-1, pixel), axis=0, dtype=np.uint8).reshape(-1)
    elif number == 2:
        row += above
    elif number > 2:
        for x in range(pixel, len(row), pixel):
            left, up, corner = row[x - pixel : x], above[x : x + pixel], above[x - pixel : x]
            if number == 3:
                row[x : x + pixel] += ((left.astype(np.uint16) + up) >> 1).astype(np.uint8)
            else:
                row[x : x + pixel] += paeth(left, up, corner)
    return row


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of type ``kind``."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", binascii.crc32(kind + content))


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the type and the content of each chunk.

    Raises:
        CorruptDataError: a chunk is damaged or cut short.
    """
    found = []
    while data:
        size = _CHUNK + int.from_bytes(data[:4], "big")
        kind, content = data[4:8], data[8 : size - 4]
        if len(data) < _CHUNK or data[:size] != _chunk(kind, content):
            raise CorruptDataError("the PNG is damaged or cut short")
        found.append((kind, content))
        data = data[size:]
    return found
