"""The compressed size, counted in two ways: honestly, and as the paper counts it.

The honest count takes all 8 bits of every byte, and files as they are written. A compressor writes each chunk as a file
of its own. A model writes each chunk as a segment of a .cgn file, and the frame of that file counts once. A sample of
the chunks is decoded and compared.

The paper ("Language Modeling Is Compression", arXiv 2309.10668, and its published code) counts otherwise:

- Language models see 7 bits of each byte. In text, a byte above 127 loses its top bit; in other data every byte is
  shifted right by one. The size is then multiplied by 8 / 7 (all bits / bits kept). The lost bits are stored nowhere,
  so this count is **lossy**.
- For each chunk but one, the size of a compressed file of one byte is subtracted, as the "header".
- LZMA is the whole .xz container. PNG reads a chunk as the picture nearest to a square, so a patch 64 pixels wide is
  read as one 32 wide.

The published code gives classical compressors all 8 bits. Some figures in the paper's table come out only with 7. Both
are therefore counted here, as ``published`` and ``seven``.
"""

from __future__ import annotations

import dataclasses
import lzma
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compgen.compressors import Compressor
from compgen.compressors.png import Png
from compgen.compressors.xz import Xz

PAPER_BYTES = 1_000_000_000
"""Raw size of each of the paper's data sets, bytes: adjusted rates are given for as much data."""
BYTES_PER_PARAMETER = 2
"""Bytes that the paper counts for each parameter of a model."""


def seven_bits(data: bytes, mapping: str) -> tuple[bytes, int]:
    """Return ``data`` as the paper shows it to language models, and the number of bits lost.

    Args:
        data: the bytes.
        mapping: ``clear`` drops the top bit (the paper's way with text); ``shift`` drops the lowest one.
    """
    values = np.frombuffer(data, dtype=np.uint8)
    if mapping == "clear":
        return (values & 0x7F).tobytes(), int((values > 0x7F).sum())
    return (values >> 1).tobytes(), len(data)


def dropped_bytes(data: bytes, mapping: str) -> int:
    """Return the bytes that a lossless code adds for the bits that ``seven_bits`` drops.

    The low bits (``shift``) are stored as they are. Top bits (``clear``) are nearly all 0, so they are coded by how
    many are set and which of all such choices it is (enumerative coding: Cover, 1973).
    """
    if mapping == "shift":
        return -(-len(data) // 8)
    count, size = seven_bits(data, mapping)[1], len(data)
    bits = math.log2(size + 1) + math.log2(math.comb(size, count))
    return -int(-bits // 8)


def published(compressor: Compressor) -> Callable[[bytes], bytes]:
    """Return the function that the paper's published code compresses with under this compressor's name."""
    if isinstance(compressor, Xz):
        return lzma.compress
    if isinstance(compressor, Png):
        return lambda data: dataclasses.replace(compressor, width=near_square(len(data))).compress(data)
    return compressor.compress


def near_square(size: int) -> int:
    """Return the width of the picture of ``size`` pixels that is nearest to a square, as the paper's code finds it."""
    width = round(math.sqrt(size))
    while size % width:
        width -= 1
    return width


@dataclass(frozen=True)
class Rates:
    """Sums over chunks, and the rates that follow from them. A rate is compressed size / raw size; 1 is no compression.

    Attributes:
        chunks: number of chunks.
        raw: bytes before compression.
        written: bytes after compression, as written.
        decoded: number of chunks that were decoded and compared.
        own: bytes that the compressor itself writes, if this row is the coder derived from it; 0 otherwise.
        bits: the sum of -log2 p over all bytes, if this row is a model; 0 otherwise.
        once: bytes that a model's file needs once, however many segments it has.
        published: bytes that the paper's code writes, before it subtracts headers.
        seven: bytes that the paper's code writes for 7 bits of each byte.
        squares: the sum over chunks of the square of what the paper's code writes: ``seven`` of a model, ``published``
            of a compressor.
        counted_chunks: number of chunks behind these three.
        counted: bytes of those chunks before compression.
        lost: bits that the 7-bit mapping lost.
        dropped: bytes that a lossless code adds for those bits.
        header: size of one compressed byte, by the paper's code; 0 for models.
        parameters: parameters of the model; 0 for a compressor.
        shipped: bytes of the model's weights on disk.
    """

    chunks: int = 0
    raw: int = 0
    written: int = 0
    decoded: int = 0
    own: int = 0
    bits: float = 0.0
    once: int = 0
    published: int = 0
    seven: int = 0
    squares: float = 0.0
    counted_chunks: int = 0
    counted: int = 0
    lost: int = 0
    dropped: int = 0
    header: int = 0
    parameters: int = 0
    shipped: int = 0

    @classmethod
    def total(cls, records: Iterable[Mapping[str, Any]]) -> Rates:
        """Return the sums over the records of several shards."""
        rows = list(records)
        alike = ("once", "header", "parameters", "shipped")
        values = {f.name: [row[f.name] for row in rows if f.name in row] for f in dataclasses.fields(cls)}
        return cls(**{key: max(column, default=0) if key in alike else sum(column) for key, column in values.items()})

    @property
    def honest(self) -> float:
        """Rate as written. A file's frame counts in full, however small the sample is."""
        return (self.written + self.once) / self.raw

    @property
    def ideal(self) -> float:
        """Rate of an ideal coder: the sum of -log2 p, without frames."""
        return self.bits / 8 / self.raw

    @property
    def paper_code(self) -> float | None:
        """The rate that the paper's published code would print; None if the study did not count it."""
        if not self.published:
            return self.paper_seven
        return (self.published - self.header * (self.counted_chunks - 1)) / self.counted

    @property
    def paper_seven(self) -> float | None:
        """The rate by the paper's accounting with 7 bits for all compressors; None if the study did not count it."""
        return (
            (self.seven * self.paper_scale - self.header * (self.counted_chunks - 1)) / self.counted
            if self.seven
            else None
        )

    @property
    def paper_error(self) -> float | None:
        """The standard error of ``paper_code`` over chunks; None for fewer than two."""
        if self.counted_chunks < 2:
            return None
        scale = 1.0 if self.published else self.paper_scale
        mean = (self.published or self.seven) / self.counted_chunks
        variance = max(0.0, self.squares / self.counted_chunks - mean**2)
        return scale * math.sqrt(variance / (self.counted_chunks - 1)) * self.counted_chunks / self.counted

    @property
    def kept(self) -> float | None:
        """The rate of a model's 7 bits by the paper's accounting, with the dropped bits kept: lossless."""
        return (self.seven + self.dropped) / self.counted if self.dropped else None

    @property
    def paper_scale(self) -> float:
        """All bits over the bits kept: what the paper multiplies the size of 7 bits by."""
        return 8 * self.counted / (8 * self.counted - self.lost)

    def adjusted(self, rate: float, raw_bytes: int, shipped: bool = False) -> float:
        """Return the adjusted rate: the model's size is added to the compressed size of ``raw_bytes`` of data.

        Args:
            rate: the rate without the model.
            raw_bytes: size of the data, bytes.
            shipped: count the bytes of the weights on disk instead of the paper's 2 bytes per parameter.
        """
        return rate + (self.shipped if shipped else BYTES_PER_PARAMETER * self.parameters) / raw_bytes


def break_even(model_bytes: int, model_rate: float, other_rate: float) -> float:
    """Return the data size, in bytes, above which a model pays for itself; infinite if it never does.

    Args:
        model_bytes: size of the model.
        model_rate: rate of the model, without its size.
        other_rate: rate of a compressor that needs no weights.
    """
    return model_bytes / (other_rate - model_rate) if model_rate < other_rate else math.inf
