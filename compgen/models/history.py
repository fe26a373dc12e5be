"""Where the last bytes of a row were seen before, and what followed: the source of proposals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Context: TypeAlias = tuple[tuple[int, int], ...]
"""Pairs of how far back a byte lies, 1 for the last, and a mask: 255 keeps it whole, 252 its high bits."""


def suffix(length: int) -> Context:
    """Return the context of the last ``length`` bytes."""
    return tuple((lag, 255) for lag in range(1, length + 1))


_Index: TypeAlias = dict[bytes, list[int]]


class History:
    """A window of bytes and, for each context, the positions at which each of its values was followed.

    The index of the bytes it was opened on is shared by all forks; what came later is each fork's own.
    """

    def __init__(self, data: bytes, contexts: Sequence[Context]) -> None:
        self.data = bytearray(data)
        self._contexts = tuple(contexts)
        self._reaches = [max(lag for lag, _ in context) for context in self._contexts]
        # A suffix is cut faster than it is masked.
        self._suffixes = [r if c == suffix(r) else 0 for c, r in zip(self._contexts, self._reaches, strict=True)]
        self._shared: list[_Index] = [{} for _ in self._contexts]
        self._own: list[_Index] = [{} for _ in self._contexts]
        self._learns = True
        for number, (reach, index) in enumerate(zip(self._reaches, self._shared, strict=True)):
            for end in range(reach, len(data)):
                index.setdefault(self._key(number, end), []).append(end)

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
        late = self._own[number].get(key)
        if late is None:
            return self._shared[number].get(key, [])[-most:]
        if len(late) >= most:
            return late[-most:]
        return [*self._shared[number].get(key, [])[len(late) - most :], *late]

    def settle(self) -> None:
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
        fork._contexts, fork._reaches, fork._suffixes = self._contexts, self._reaches, self._suffixes
        fork._shared = self._shared
        fork._learns = self._learns
        fork._own = [{key: list(positions) for key, positions in index.items()} for index in self._own]
        return fork
