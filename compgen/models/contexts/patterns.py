"""Contexts: what makes up the value of each, and the keys that stand for values.

A *context* is a function of the bytes so far. Where it had its present value before, it tells what may follow. A
*pattern* says which bytes make up a context. Two more contexts are words: the letters since the last byte that is no
letter, alone and with the word before.

A value is known by its *key*, 58 bits of a hash; the number of the context stands above them. The hash is linear: the
sum of each byte times a coefficient. Different values share a key with a chance of about 2**-58.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from compgen.jit import SMALL

Pattern: TypeAlias = tuple[tuple[int, int], ...]
"""What makes up a context: pairs of a lag, how many bytes back a byte lies (1 for the last), and a mask of its bits.
Mask 255 keeps the whole byte, 252 its six high bits."""

ORDERS = (1, 2, 3, 4, 5, 6, 8, 11, 16, 24)
"""Lengths of the contexts of the last bytes. Chosen: dense where contexts are frequent."""

SPARSE: tuple[Pattern, ...] = (
    ((2, 255),),
    ((2, 255), (3, 255)),
    ((1, 254), (2, 252)),
    ((1, 252), (2, 248), (3, 248)),
    ((1, 254), (2, 254), (3, 252), (4, 252)),
)
"""Sparse contexts: bytes before the last, and high bits of the last bytes. Chosen for sound, pictures and records, in
which values repeat only nearly."""

WORDS = 2
"""The number of contexts that are words."""

KEY_BITS = 58
"""Bits of a key below the number of its context. Chosen: 32 contexts, and no key is negative."""

_MASK = (1 << KEY_BITS) - 1
_WORD, _PREVIOUS = 0x9E3779B97F4A7C15 | 1, 0xC2B2AE3D27D4EB4F | 1
"""Multipliers of the hashes of words. Chosen: any odd numbers with mixed bits will do."""


def suffix(length: int) -> Pattern:
    """Return the pattern of the last ``length`` bytes."""
    return tuple((lag, 255) for lag in range(1, length + 1))


def _coefficients(count: int) -> list[int]:
    """Return odd 64-bit numbers with mixed bits (splitmix64, Steele et al. 2014), as signed integers."""
    found = []
    for number in range(1, count + 1):
        z = number * 0x9E3779B97F4A7C15 % (1 << 64)
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % (1 << 64)
        z = (z ^ z >> 27) * 0x94D049BB133111EB % (1 << 64)
        z = (z ^ z >> 31) | 1
        found.append(z - (1 << 64) if z >> 63 else z)
    return found


def _keys_by_numpy(
    data: NDArray[np.uint8],
    end: int,
    lags: NDArray[np.int64],
    masks: NDArray[np.int64],
    coefficients: NDArray[np.int64],
    bits: int,
    keys: NDArray[np.int64],
) -> None:
    # Products and sums of int64 wrap around; that is the arithmetic modulo 2**64 which the hash wants.
    hashes = ((data[end - lags] & masks) * coefficients).sum(axis=1)
    keys[: len(lags)] = (hashes & ((1 << bits) - 1)) | (np.arange(len(lags)) << bits)


@SMALL.loop(fallback=_keys_by_numpy)
def _keys(data: Any, end: Any, lags: Any, masks: Any, coefficients: Any, bits: Any, keys: Any) -> None:
    for k in range(lags.shape[0]):
        total = 0
        for p in range(lags.shape[1]):
            total += (np.int64(data[end - lags[k, p]]) & masks[k, p]) * coefficients[k, p]
        keys[k] = (total & ((1 << bits) - 1)) | (k << bits)


class Contexts:
    """The contexts of a row: patterns, then words if they are asked for.

    Attributes:
        count: K, the number of contexts, words included.
        reach: the largest lag.
        nested: how many contexts at the beginning are suffixes, each longer than the one before. Where one has not
            occurred, the next has not either.
    """

    def __init__(self, patterns: Sequence[Pattern], words: bool) -> None:
        self.patterns = tuple(patterns)
        self.words = words
        self.count = len(patterns) + WORDS * words
        lengths = [len(pattern) if pattern == suffix(len(pattern)) else 0 for pattern in patterns]
        self.nested = next((n for n in range(1, len(lengths)) if lengths[n] <= lengths[n - 1]), len(lengths))
        self.reach = max(lag for pattern in patterns for lag, _ in pattern)
        width = max(map(len, patterns))
        numbers = _coefficients(width)
        padded = [[*pattern, *[(1, 0)] * (width - len(pattern))] for pattern in patterns]
        self._lags = np.array([[lag for lag, _ in pattern] for pattern in padded], dtype=np.int64)
        self._masks = np.array([[mask for _, mask in pattern] for pattern in padded], dtype=np.int64)
        self._coefficients = np.array([numbers] * len(patterns), dtype=np.int64)

    def keys(self, data: NDArray[np.uint8], end: int, word: tuple[int, int]) -> NDArray[np.int64]:
        """Return (K,) keys of the contexts before place ``end`` of ``data``, where the words are ``word``."""
        keys = np.empty(self.count, dtype=np.int64)
        _keys(data, end, self._lags, self._masks, self._coefficients, KEY_BITS, keys)
        if self.words:
            keys[-2:] = self._word_keys(word)
        return keys

    def _word_keys(self, word: tuple[int, int]) -> tuple[int, int]:
        first = len(self.patterns) << KEY_BITS
        return first | (word[0] & _MASK), (first + (1 << KEY_BITS)) | ((word[0] + word[1] * _PREVIOUS) & _MASK)

    def all_keys(self, data: NDArray[np.uint8], begin: int, end: int) -> tuple[NDArray[np.int64], tuple[int, int]]:
        """Return (K, n) keys before each place from ``begin`` to ``end`` - 1, and the words before ``end``.

        The first word begins at ``begin``.
        """
        keys = np.zeros((self.count, end - begin), dtype=np.int64)
        for row, pattern, coefficients in zip(keys, self.patterns, self._coefficients, strict=False):
            for (lag, mask), coefficient in zip(pattern, coefficients, strict=False):
                row += (data[begin - lag : end - lag] & np.int64(mask)) * coefficient
        keys[: len(self.patterns)] &= _MASK
        keys[: len(self.patterns)] |= np.arange(len(self.patterns))[:, None] << KEY_BITS
        word = (0, 0)
        if self.words:
            found = []
            for symbol in data[begin:end].tolist():
                found.append(self._word_keys(word))
                word = word_after(word, symbol)
            keys[len(self.patterns) :] = np.array(found, dtype=np.int64).reshape(-1, WORDS).T
        return keys, word


def word_after(word: tuple[int, int], symbol: int) -> tuple[int, int]:
    """Return the hashes of the word so far and of the one before, after one more byte.

    Letters are those of ASCII in either case, and all bytes from 128 on, which UTF-8 makes other letters of.
    """
    if symbol >= 128 or 97 <= symbol | 32 <= 122:
        return (word[0] + (symbol if symbol >= 128 else symbol | 32)) * _WORD & _MASK, word[1]
    return (0, word[0]) if word[0] else word
