"""The context window: how far back a model looks.

An encoder's state is not a function of the last N bytes, so a window cannot slide. Instead it grows to 2N units (bytes
or tokens) and then *reopens*: a new state starts on its last N units. The number of units alone decides when a window
reopens. So a fresh start on a prompt has the same window as a state that grew to it, and a decoder follows an encoder.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """The rule for windows of N = ``size`` units, 1 or more."""

    size: int

    @property
    def limit(self) -> int:
        """2N: a window reopens when it holds this many units."""
        return 2 * self.size

    def is_full(self, length: int) -> bool:
        """Return whether a window of ``length`` units must reopen."""
        return length >= self.limit

    def room(self, length: int) -> int:
        """Return how many more units a window of ``length`` units takes until it is full."""
        return self.limit - length

    def visible(self, data: bytes) -> bytes:
        """Return what a window holds after ``data``: its last N to 2N - 1 bytes, or all of it if it is shorter."""
        return data[self.size * max(0, len(data) // self.size - 1) :]

    def reopened(self, data: bytes) -> bytes:
        """Return what a full window keeps of its ``data`` when it reopens: the last N bytes."""
        return data[len(data) - self.size :]
