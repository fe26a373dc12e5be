"""Where the contexts of a row occurred before, and so what followed them: the source of proposals."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from compgen.models.contexts.patterns import Pattern, suffix

_Index: TypeAlias = dict[bytes, list[int]]
"""For each value of a context, the positions that followed it, ascending."""

_DEEPEST = 8
"""Bytes of the longest suffix that is looked up in a dictionary: eight bytes fill the 64-bit keys of ``_sorted``."""


class History:
    """A window of bytes, and an index of where the value of each context occurred in it.

    Forks share the index of the bytes that the history was opened on, which never changes; each has an index of its
    own for later bytes.

    Args:
        window: the bytes to open on.
        patterns: one for each context.
        dictionary: text that stands before the window in ``data``. Suffixes of up to 8 bytes find what followed them
            there too.

    Attributes:
        data: the dictionary, then the window. Positions count from its start.
    """

    def __init__(self, window: bytes, patterns: Sequence[Pattern], dictionary: bytes = b"") -> None:
        self.data = bytearray(dictionary + window)
        self._dictionary = dictionary
        self._patterns = tuple(patterns)
        self._reaches = tuple(max(lag for lag, _ in pattern) for pattern in self._patterns)
        # The length of a pattern that is a suffix, otherwise 0: a suffix is cut faster than it is masked.
        pairs = zip(self._patterns, self._reaches, strict=True)
        self._suffixes = tuple(
            reach if len(pattern) == reach and pattern == suffix(reach) else 0 for pattern, reach in pairs
        )
        self._shared: list[_Index] = [{} for _ in self._patterns]
        self._own: list[_Index] = [{} for _ in self._patterns]
        self._is_frozen = False
        for number, (reach, index) in enumerate(zip(self._reaches, self._shared, strict=True)):
            for end in range(max(reach, self.begin), len(self.data)):
                index.setdefault(self._key(number, end), []).append(end)

    @property
    def begin(self) -> int:
        """Where the window begins in ``data``."""
        return len(self._dictionary)

    @property
    def window_size(self) -> int:
        """Bytes in the window."""
        return len(self.data) - len(self._dictionary)

    def _key(self, number: int, end: int) -> bytes:
        """Return the value of context ``number`` before position ``end``."""
        if self._suffixes[number]:
            return bytes(self.data[end - self._suffixes[number] : end])
        return bytes([self.data[end - lag] & mask for lag, mask in self._patterns[number]])

    def append(self, symbol: int) -> None:
        """Append one byte to the window, and its position to the index unless the history is frozen."""
        if not self._is_frozen:
            end = len(self.data)
            for number, reach in enumerate(self._reaches):
                if reach <= end:
                    self._own[number].setdefault(self._key(number, end), []).append(end)
        self.data.append(symbol)

    def occurrences(self, number: int, most: int) -> list[int]:
        """Return positions in ``data`` that followed the present value of context ``number``, the latest last.

        There are at most ``most``, the latest ones.
        """
        end = len(self.data)
        if self._reaches[number] > end:
            return []
        key = self._key(number, end)
        found = self._own[number].get(key, [])[-most:]
        if len(found) < most:
            found = [*self._shared[number].get(key, [])[len(found) - most :], *found]
        if len(found) < most and self._dictionary and 0 < self._suffixes[number] <= _DEEPEST:
            found = [*_occurrences(self._dictionary, key, most)[len(found) - most :], *found]
        return found

    def freeze(self) -> None:
        """Stop indexing: later bytes become part of contexts, but do not count as occurrences."""
        self._is_frozen = True

    def span(self, position: int, length: int) -> bytes:
        """Return ``length`` bytes from ``position``. Past the end of ``data`` they repeat, as an LZ77 copy would."""
        span = bytes(self.data[position : position + length])
        return (span * -(-length // len(span)))[:length]

    def fork(self) -> History:
        """Return an independent copy."""
        fork = copy.copy(self)
        fork.data = bytearray(self.data)
        fork._own = [{key: list(positions) for key, positions in index.items()} for index in self._own]
        return fork


@functools.lru_cache(maxsize=4)
def _sorted(dictionary: bytes) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return (n,) sorted keys and (n,) positions: the key of a position is the 8 bytes before it, the last one first.

    Positions with fewer bytes before them are left out.
    """
    data = np.frombuffer(dictionary, dtype=np.uint8).astype(np.uint64)
    count = max(len(data) - _DEEPEST, 0)
    keys = np.zeros(count, dtype=np.uint64)
    for lag in range(1, _DEEPEST + 1):
        keys = keys << np.uint64(8) | data[_DEEPEST - lag :][:count]
    order = np.argsort(keys, kind="stable")
    return keys[order], order + _DEEPEST


@functools.lru_cache(maxsize=1 << 16)
def _occurrences(dictionary: bytes, key: bytes, most: int) -> list[int]:
    """Return up to ``most`` positions that followed ``key`` in the dictionary, the latest last. Callers share the list.

    A suffix of fewer than 8 bytes is a range of keys, since a key begins with the last byte.
    """
    keys, positions = _sorted(dictionary)
    spare = 8 * (_DEEPEST - len(key))
    least = int.from_bytes(key[::-1], "big") << spare
    begin = np.searchsorted(keys, np.uint64(least))
    end = np.searchsorted(keys, np.uint64(least + (1 << spare) - 1), side="right")
    found: list[int] = np.sort(positions[begin:end])[-most:].tolist()
    return found
