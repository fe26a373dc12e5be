"""How bytes lie in two dimensions: rows of a picture, records of a table, frames of sound."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from compgen.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)

MIDDLE = 128
"""Silence, and middle gray."""


@dataclass(frozen=True)
class Layout:
    """Rows of ``stride`` bytes, one under the other; 0 for bytes in a line.

    Where the bytes are samples, ``channels`` of them stand together, each of ``bits``, the high byte first; no channels
    where they are not.
    """

    stride: int = 0
    channels: int = 0
    bits: int = 8

    def __post_init__(self) -> None:
        if not 0 <= self.stride <= 1 << 20:
            raise UsageError(f"stride must be a number of bytes between 0 and {1 << 20}, not {self.stride}")

    @property
    def pixel(self) -> int:
        """Bytes from a sample to the next of its channel, 0 where there are no samples."""
        return self.channels * self.bits // 8

    def fill(self, signal: T) -> T:
        """Return a compressor of signals with ``width``, ``channels`` and ``bits`` as here, if it has its defaults.

        One that cannot have them, as FLAC cannot have three channels, keeps its own.
        """
        here = {"width": self.stride // (self.pixel or 1), "channels": self.channels, "bits": self.bits}
        fields = {field.name: field.default for field in dataclasses.fields(signal) if field.name in here}
        if any(getattr(signal, name) != default for name, default in fields.items()):
            return signal
        try:
            return dataclasses.replace(signal, **{name: here[name] for name in fields if here[name]})
        except UsageError:
            return signal


def completed(data: bytes, size: int) -> bytes:
    """Return ``data`` as whole records of ``size`` bytes: what the last one lacks is as it was in the one before.

    Where there is none before it is ``MIDDLE``.
    """
    missing = -len(data) % size
    before = data[len(data) - size : len(data) - size + missing] if len(data) >= size else bytes([MIDDLE]) * missing
    return data + before
