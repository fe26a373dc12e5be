"""Brotli (RFC 7932), with a window that fits the data, and the dictionary that every decoder has built in."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import brotli

from compgen.compressors.base import Compressor
from compgen.errors import CorruptDataError, UsageError

_WORD_BITS = dict(enumerate((10, 10, 11, 11, 10, 10, 10, 10, 10, 9, 9, 8, 7, 7, 8, 7, 7, 6, 6, 5, 5), 4))
"""For each word length, log2 of the number of words in the dictionary (RFC 7932, section 8)."""
_COPIES = ((4, 0, 2), (10, 1, 0), (12, 1, 1), (14, 2, 2), (18, 2, 3), (22, 3, 4))
"""Groups of copy lengths: the least length, extra bits, and place among the insert-and-copy codes (section 5)."""
_WINDOW = (1 << 16) - 16
"""Bytes of the window whose size takes one bit to name (section 9.1)."""
_LEAST_QUALITY_WITH_WORDS = 4
"""The least quality at which the brotli library's encoder uses the dictionary."""


@dataclass(frozen=True)
class Brotli(Compressor):
    """One brotli stream. Quality 11 is up to 40 times slower than 9, and its streams are some 10% smaller."""

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
        """Return ``data`` as one stream. Its window fits the data, since a larger one would only cost time."""
        window = min(max((len(data) + 15).bit_length(), 10), 24)
        return bytes(brotli.compress(data, quality=self.quality, lgwin=window))

    def static_dictionary(self) -> bytes:
        """Return the words of the format's dictionary, separated by blanks; shorter and commoner words come later."""
        return _words() if self.quality >= _LEAST_QUALITY_WITH_WORDS else b""

    @property
    def call_time(self) -> float:
        """Microseconds of a code length; from quality 10 on, the encoder searches for the best parse."""
        return 900 if self.quality > 9 else 60

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
    """Return the words as ``static_dictionary`` does, read from the decoder by a stream that copies each word.

    The library does not export its dictionary, and a copy in compgen might differ from the library's.
    """
    words, begin = [], 0
    text = bytes(brotli.decompress(_all_words()))
    for length, bits in _WORD_BITS.items():
        for _ in range(1 << bits):
            words.append(text[begin : begin + length])
            begin += length
    return b" ".join(reversed(words)) + b" "


def _all_words() -> bytes:
    """Return a stream with one meta-block for each word: a copy from beyond the window (sections 4, 8, 9.2 and 10)."""
    digits = ["0"]  # the size of the window; each number begins with its low bit
    position = 0
    for length, bits in _WORD_BITS.items():
        for index in range(1 << bits):
            distance = min(position, _WINDOW) + 1 + index
            digits += [format(value, f"0{width}b")[::-1] for value, width in _meta_block(length, distance) if width]
            position += length
    digits.append("11")  # the last meta-block, which is empty
    whole = "".join(digits)
    return int(whole[::-1], 2).to_bytes(-(-len(whole) // 8), "little")


def _meta_block(length: int, distance: int) -> Iterator[tuple[int, int]]:
    """Give the fields (value, bits) of a meta-block that is one copy. Each prefix code has one symbol of no bits."""
    yield from [(0, 1), (0, 2), (length - 1, 16), (0, 1)]  # not the last; length in four nibbles; compressed
    yield 0, 13  # one type of each block; no direct distances; one literal context; one tree each
    # From 10 bytes on, copy lengths share codes and have extra bits (section 5).
    base, extra, code = max(row for row in _COPIES if row[0] <= length)
    symbol = 128 + code + length - base if length < 10 else 192 + code
    width = (distance + 3).bit_length() - 2
    far, low = divmod(distance + 3, 1 << width)
    for value, bits in ((0, 8), (symbol, 10), (14 + 2 * width + far % 2, 6)):  # literal, copy, distance
        yield from [(1, 2), (0, 2), (value, bits)]  # a simple code of one symbol
    yield from [(length - base if extra else 0, extra), (low, width)]
