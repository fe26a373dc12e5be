"""Brotli (RFC 7932), its window sized to the data, and the dictionary that every decoder has built in."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import brotli

from compgen.compressors.base import Compressor
from compgen.errors import CorruptDataError, UsageError

_WORD_BITS = dict(enumerate((10, 10, 11, 11, 10, 10, 10, 10, 10, 9, 9, 8, 7, 7, 8, 7, 7, 6, 6, 5, 5), 4))
"""log2 of how many words of each length the dictionary holds (RFC 7932, section 8)."""
_COPIES = ((4, 0, 2), (10, 1, 0), (12, 1, 1), (14, 2, 2), (18, 2, 3), (22, 3, 4))
"""The least length of a copy, its extra bits, and its place among the insert-and-copy codes of its cell (section 5)."""
_WINDOW = (1 << 16) - 16  # the one that costs no bits to name
_LOOKS_UP = 4  # the least quality at which the encoder uses the dictionary


@dataclass(frozen=True)
class Brotli(Compressor):
    """One stream. Quality 11 is up to 40 times slower than 9 and some 10% smaller."""

    quality: int = 9

    name: ClassVar[str] = "brotli"

    def __post_init__(self) -> None:
        if not 0 <= self.quality <= 11:
            raise UsageError(f"brotli:quality must be between 0 and 11, not {self.quality}")

    @classmethod
    def version(cls) -> str:
        """Return the version of the brotli package."""
        return f"brotli {brotli.version}"

    def compress(self, data: bytes) -> bytes:
        """Return ``data`` as one stream; a window larger than the data would only cost time."""
        window = min(max((len(data) + 15).bit_length(), 10), 24)
        return bytes(brotli.compress(data, quality=self.quality, lgwin=window))

    def static_dictionary(self) -> bytes:
        """Return the words of the format's dictionary, blanks between them: the shorter and commoner, the later."""
        return _words() if self.quality >= _LOOKS_UP else b""

    def decompress(self, blob: bytes) -> bytes:
        """Return the data of one whole stream.

        Raises:
            CorruptDataError: the stream is damaged, cut short, or followed by other bytes.
        """
        try:
            return bytes(brotli.decompress(blob))
        except brotli.error:
            raise CorruptDataError("the brotli stream is damaged, cut short or followed by other bytes") from None


@functools.cache
def _words() -> bytes:
    """Return the words, read from the decoder: a stream that copies each of them from the dictionary, and nothing else.

    The library keeps them to itself, and a copy of ours could be another's.
    """
    words, begin = [], 0
    text = bytes(brotli.decompress(_all_words()))
    for length, bits in _WORD_BITS.items():
        for _ in range(1 << bits):
            words.append(text[begin : begin + length])
            begin += length
    return b" ".join(reversed(words)) + b" "


def _all_words() -> bytes:
    """Return a stream of one meta-block a word, each one copy from beyond the window (sections 4, 8, 9.2 and 10)."""
    digits = ["0"]  # the window's size; a number's low bit comes first
    position = 0
    for length, bits in _WORD_BITS.items():
        for index in range(1 << bits):
            distance = min(position, _WINDOW) + 1 + index
            digits += [format(value, f"0{width}b")[::-1] for value, width in _meta_block(length, distance) if width]
            position += length
    digits.append("11")  # the last meta-block, and empty
    whole = "".join(digits)
    return int(whole[::-1], 2).to_bytes(-(-len(whole) // 8), "little")


def _meta_block(length: int, distance: int) -> Iterator[tuple[int, int]]:
    """Give the (value, bits) of a meta-block that is one copy. Each prefix code has one symbol, and takes no bits."""
    yield from [(0, 1), (0, 2), (length - 1, 16), (0, 1)]  # not the last; four nibbles of length; compressed
    yield 0, 13  # one type of each block, no direct distances, a literal context, one tree each
    # Copies of 10, 12, 14, 18 and 22 bytes on have extra bits (section 5).
    base, extra, code = max(row for row in _COPIES if row[0] <= length)
    symbol = 128 + code + length - base if length < 10 else 192 + code
    width = (distance + 3).bit_length() - 2
    far, low = divmod(distance + 3, 1 << width)
    for value, bits in ((0, 8), (symbol, 10), (14 + 2 * width + far % 2, 6)):  # literal, copy, distance
        yield from [(1, 2), (0, 2), (value, bits)]  # a simple code of one symbol
    yield from [(length - base if extra else 0, extra), (low, width)]
