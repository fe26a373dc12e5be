"""Where the last bytes of a row were seen before, and what followed: the source of proposals."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Context: TypeAlias = tuple[tuple[int, int], ...]
"""Pairs of how far back a byte lies, 1 for the last, and a mask: 255 keeps it whole, 252 its high bits."""


def suffix(length: int) -> Context:
    """Return the context of the last ``length`` bytes."""
    return tuple((lag, 255) for lag in range(1, length + 1))


_Index: TypeAlias = dict[bytes, list[int]]


_DEEPEST = 8  # bytes of the longest suffix that is looked up in a dictionary


class History:
    """A window of bytes and, for each context, the positions at which each of its values was followed.

    The index of the bytes it was opened on is shared by all forks; what came later is each fork's own. A dictionary
    may stand before the window: text that was there before all contexts, for short suffixes alone.
    """

    def __init__(self, window: bytes, contexts: Sequence[Context], dictionary: bytes = b"") -> None:
        self.data = bytearray(dictionary + window)
        self._dictionary = dictionary
        self._contexts = tuple(contexts)
        self._reaches = [max(lag for lag, _ in context) for context in self._contexts]
        # A suffix is cut faster than it is masked.
        self._suffixes = [r if c == suffix(r) else 0 for c, r in zip(self._contexts, self._reaches, strict=True)]
        self._shared: list[_Index] = [{} for _ in self._contexts]
        self._own: list[_Index] = [{} for _ in self._contexts]
        self._learns = True
        for number, (reach, index) in enumerate(zip(self._reaches, self._shared, strict=True)):
            for end in range(max(reach, len(dictionary)), len(self.data)):
                index.setdefault(self._key(number, end), []).append(end)

    @property
    def window(self) -> int:
        """Bytes in the window."""
        return len(self.data) - len(self._dictionary)

    def _key(self, number: int, end: int) -> bytes:
        if self._suffixes[number]:
            return bytes(self.data[end - self._suffixes[number] : end])
        return bytes([self.data[end - lag] & mask for lag, mask in self._contexts[number]])

    def append(self, symbol: int) -> None:
        """Add one byte, and itself to what followed its contexts."""
        if self._learns:
            end = len(self.data)
            for number, reach in enumerate(self._reaches):
                if reach <= end:
                    self._own[number].setdefault(self._key(number, end), []).append(end)
        self.data.append(symbol)

    def occurrences(self, number: int, most: int) -> list[int]:
        """Return up to ``most`` positions that followed the context's present value before, the latest last."""
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
        """Let what is added follow nothing: proposals come from what is known by now."""
        self._learns = False

    def span(self, position: int, length: int) -> bytes:
        """Return ``length`` bytes from ``position``; past the end it goes on with the same period, as LZ77 does."""
        span = bytes(self.data[position : position + length])
        return (span * -(-length // len(span)))[:length]

    def fork(self) -> History:
        """Return an independent copy."""
        fork = History.__new__(History)
        fork.data = bytearray(self.data)
        fork._dictionary = self._dictionary
        fork._contexts, fork._reaches, fork._suffixes = self._contexts, self._reaches, self._suffixes
        fork._shared = self._shared
        fork._learns = self._learns
        fork._own = [{key: list(positions) for key, positions in index.items()} for index in self._own]
        return fork


@functools.lru_cache(maxsize=4)
def _sorted(dictionary: bytes) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the ``_DEEPEST`` bytes before each position, the last one first, as sorted numbers; and the positions."""
    data = np.frombuffer(dictionary, dtype=np.uint8).astype(np.uint64)
    count = max(len(data) - _DEEPEST, 0)  # of positions that have as many before them
    keys = np.zeros(count, dtype=np.uint64)
    for lag in range(1, _DEEPEST + 1):
        keys = keys << np.uint64(8) | data[_DEEPEST - lag :][:count]
    order = np.argsort(keys, kind="stable")
    return keys[order], order + _DEEPEST


@functools.lru_cache(maxsize=1 << 16)
def _occurrences(dictionary: bytes, key: bytes, most: int) -> list[int]:
    """Return up to ``most`` positions that followed ``key`` in the dictionary, the latest last."""
    keys, positions = _sorted(dictionary)
    spare = 8 * (_DEEPEST - len(key))
    least = int.from_bytes(key[::-1], "big") << spare
    begin = np.searchsorted(keys, np.uint64(least))
    end = np.searchsorted(keys, np.uint64(least + (1 << spare) - 1), side="right")
    found: list[int] = np.sort(positions[begin:end])[-most:].tolist()
    return found
