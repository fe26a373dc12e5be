"""Where the last bytes of a row were seen before, and what followed: the source of proposals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Context: TypeAlias = tuple[int, ...]
"""Masks of the last byte, the one before it, and so on: 255 keeps a byte, 0 passes over it, 252 keeps its high bits."""

_Index: TypeAlias = dict[bytes, list[int]]


class History:
    """A window of bytes and, for each context, the positions at which each of its values was followed.

    The index of the bytes it was opened on is shared by all forks; what came later is each fork's own.
    """

    def __init__(self, data: bytes, contexts: Sequence[Context]) -> None:
        self.data = bytearray(data)
        self._contexts = tuple(contexts)
        # A suffix is cut faster than it is masked.
        self._suffixes = [len(context) if set(context) == {255} else 0 for context in self._contexts]
        self._shared: list[_Index] = [{} for _ in self._contexts]
        self._own: list[_Index] = [{} for _ in self._contexts]
        for number, (context, index) in enumerate(zip(self._contexts, self._shared, strict=True)):
            for end in range(len(context), len(data)):
                index.setdefault(self._key(number, end), []).append(end)

    def _key(self, number: int, end: int) -> bytes:
        suffix = self._suffixes[number]
        if suffix:
            return bytes(self.data[end - suffix : end])
        return bytes([self.data[end - lag] & mask for lag, mask in enumerate(self._contexts[number], 1)])

    def append(self, symbol: int) -> None:
        """Add one byte, and itself to what followed its contexts."""
        end = len(self.data)
        for number, context in enumerate(self._contexts):
            if len(context) <= end:
                self._own[number].setdefault(self._key(number, end), []).append(end)
        self.data.append(symbol)

    def occurrences(self, number: int, most: int) -> list[int]:
        """Return up to ``most`` positions that followed the context's present value before, the latest last."""
        end = len(self.data)
        if len(self._contexts[number]) > end:
            return []
        key = self._key(number, end)
        late = self._own[number].get(key)
        if late is None:
            return self._shared[number].get(key, [])[-most:]
        if len(late) >= most:
            return late[-most:]
        return [*self._shared[number].get(key, [])[len(late) - most :], *late]

    def span(self, position: int, length: int) -> bytes:
        """Return ``length`` bytes from ``position``; past the end it goes on with the same period, as LZ77 does."""
        span = bytes(self.data[position : position + length])
        return (span * -(-length // len(span)))[:length]

    def fork(self) -> History:
        """Return an independent copy."""
        fork = History.__new__(History)
        fork.data = bytearray(self.data)
        fork._contexts, fork._suffixes, fork._shared = self._contexts, self._suffixes, self._shared
        fork._own = [{key: list(positions) for key, positions in index.items()} for index in self._own]
        return fork
