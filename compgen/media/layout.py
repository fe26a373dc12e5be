"""How bytes lie in two dimensions: rows of a picture, records of a table, frames of sound."""

from __future__ import annotations

from dataclasses import dataclass

from compgen.errors import UsageError

MIDDLE = 128
"""Silence, and middle gray."""


@dataclass(frozen=True)
class Layout:
    """Rows of ``stride`` bytes, one under the other; 0 for bytes in a line."""

    stride: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.stride <= 1 << 20:
            raise UsageError(f"stride must be a number of bytes between 0 and {1 << 20}, not {self.stride}")


def completed(data: bytes, size: int) -> bytes:
    """Return ``data`` as whole records of ``size`` bytes: what the last one lacks is as it was in the one before.

    Where there is none before it is ``MIDDLE``.
    """
    missing = -len(data) % size
    before = data[len(data) - size : len(data) - size + missing] if len(data) >= size else bytes([MIDDLE]) * missing
    return data + before
