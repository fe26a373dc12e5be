"""What counts as the compressed size: honestly, and as the paper counts.

Honest: all 8 bits of every byte, in files as they are written. A chunk of a compressor is one such file; a chunk of a
model is a segment of a .cgn file, whose own frame comes once. What is reported was decoded on a sample.

The paper ("Language Modeling Is Compression", arXiv 2309.10668, and its published code) counts otherwise:

- Language models see 7 bits: of text, what is not ASCII loses its top bit; of other data each byte is shifted right by
  one. The size is then multiplied by 8 / 7 (all bits / bits kept), and the lost bits are stored nowhere: **lossy**.
- The size of a compressed file of one byte is subtracted for each chunk but one, as the "header".
- LZMA is the whole .xz container; PNG reads a chunk as the picture nearest to a square, so that patches 64 wide are
  read as 32 wide.

Its published code gives classical compressors all 8 bits. Some figures in its table come out only with 7, so both
are counted here, as ``published`` and ``seven``.
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
"""Raw size of each of the paper's sets, bytes."""
BYTES_PER_PARAMETER = 2
"""What the paper counts for each parameter of a model."""


def seven_bits(data: bytes, mapping: str) -> tuple[bytes, int]:
    """Return ``data`` as the paper shows it to language models, and how many bits were lost.

    ``mapping`` is ``clear``, for text, or ``shift``.
    """
    values = np.frombuffer(data, dtype=np.uint8)
    if mapping == "clear":
        return (values & 0x7F).tobytes(), int((values > 0x7F).sum())
    return (values >> 1).tobytes(), len(data)


def published(compressor: Compressor) -> Callable[[bytes], bytes]:
    """Return what the paper's code runs under this compressor's name."""
    if isinstance(compressor, Xz):
        return lzma.compress
    if isinstance(compressor, Png):
        return lambda data: dataclasses.replace(compressor, width=near_square(len(data))).compress(data)
    return compressor.compress


def near_square(size: int) -> int:
    """Return the width of the picture of ``size`` pixels nearest to a square, as the paper's code finds it."""
    width = round(math.sqrt(size))
    while size % width:
        width -= 1
    return width


@dataclass(frozen=True)
class Rates:
    """Sums over chunks, and the rates that they come to. Rates are compressed / raw size: 1 is no compression.

    Attributes:
        chunks: how many.
        raw: bytes before.
        written: bytes after, as written.
        decoded: chunks that were decoded and compared.
        own: bytes after, by the compressor itself whose derived coder this is; 0 where it is none.
        bits: the sum of -log2 p, of a model; 0 otherwise.
        once: bytes that a file of a model needs once.
        published: bytes after, by what the paper's code runs, before its corrections.
        seven: the same, of 7 bits.
        lost: bits that the 7-bit mapping lost.
        header: bytes of one byte, compressed by what the paper's code runs; 0 for models.
        parameters: of a model.
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
    lost: int = 0
    header: int = 0
    parameters: int = 0
    shipped: int = 0

    @classmethod
    def total(cls, records: Iterable[Mapping[str, Any]]) -> Rates:
        """Return the sum of what several shards found."""
        rows = list(records)
        alike = ("once", "header", "parameters", "shipped")
        values = {f.name: [row[f.name] for row in rows if f.name in row] for f in dataclasses.fields(cls)}
        return cls(**{key: max(column, default=0) if key in alike else sum(column) for key, column in values.items()})

    @property
    def honest(self) -> float:
        """What was written, of what there was; a file's frame counts in full, though the sample may be small."""
        return (self.written + self.once) / self.raw

    @property
    def ideal(self) -> float:
        """The sum of -log2 p, of what there was."""
        return self.bits / 8 / self.raw

    @property
    def paper_code(self) -> float | None:
        """The rate that the paper's published code would print; None where it was not counted."""
        if self.bits:
            return self.paper_seven
        return (self.published - self.header * (self.chunks - 1)) / self.raw if self.published else None

    @property
    def paper_seven(self) -> float | None:
        """The same with 7 bits for all compressors."""
        scale = 8 * self.raw / (8 * self.raw - self.lost)
        return (self.seven * scale - self.header * (self.chunks - 1)) / self.raw if self.seven else None

    def adjusted(self, rate: float, raw_bytes: int, shipped: bool = False) -> float:
        """Return ``rate`` with the model in the numerator, for ``raw_bytes`` of data.

        The model's size is the paper's 2 bytes per parameter, or the bytes really ``shipped``.
        """
        return rate + (self.shipped if shipped else BYTES_PER_PARAMETER * self.parameters) / raw_bytes


def break_even(model_bytes: int, model_rate: float, other_rate: float) -> float:
    """Return the bytes of data above which a model that must be shipped compresses better than what need not be.

    Infinite where it never does.
    """
    return model_bytes / (other_rate - model_rate) if model_rate < other_rate else math.inf
