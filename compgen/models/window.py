"""The context window: how far back a model looks.

An encoder's state is not a function of the last N bytes, so a window cannot slide. It grows to 2N units (bytes, or
tokens) instead, and then *reopens*: a new state starts on its last N. Where that happens depends on the number of units
alone, so that a fresh start on the same prompt stands in the same window, and a decoder follows an encoder.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """The rule for a window of N = ``size`` units, 1 or more."""

    size: int

    @property
    def limit(self) -> int:
        """2N: a window of so many units reopens."""
        return 2 * self.size

    def is_full(self, length: int) -> bool:
        """Return whether a window of ``length`` units must reopen."""
        return length >= self.limit

    def room(self, length: int) -> int:
        """Return how many units a window of ``length`` units takes until it is full."""
        return self.limit - length

    def visible(self, data: bytes) -> bytes:
        """Return the end of ``data`` that the window holds after it: its last N to 2N - 1 bytes, or all it has."""
        return data[self.size * max(0, len(data) // self.size - 1) :]

    def reopened(self, data: bytes) -> bytes:
        """Return what a full window keeps of its ``data``: the last N bytes."""
        return data[len(data) - self.size :]
