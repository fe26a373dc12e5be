"""The layout of bytes: rows of a picture, records of a table, frames of sound."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from compgen.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)

MOST_STRIDE = 1 << 20
"""Bytes of a row at most. Chosen: wider than any picture that is continued."""

MIDDLE = 128
"""The byte of silence, and of middle gray."""


@dataclass(frozen=True)
class Layout:
    """The layout of bytes.

    Attributes:
        stride: the bytes of a row, or 0 if the bytes are one line.
        channels: samples that belong together, as those of a pixel do, or 0 if the bytes are not samples.
        bits: the bits of a sample. If it has 16, the high byte comes first.
    """

    stride: int = 0
    channels: int = 0
    bits: int = 8

    def __post_init__(self) -> None:
        if not 0 <= self.stride <= MOST_STRIDE:
            raise UsageError(f"stride must be a number of bytes between 0 and {MOST_STRIDE}, not {self.stride}")

    @property
    def pixel(self) -> int:
        """The bytes from a sample to the next sample of its channel, or 0 if the bytes are not samples."""
        return self.channels * self.bits // 8

    def fill(self, signal: T) -> T:
        """Return a compressor of signals with the ``width``, ``channels`` and ``bits`` of this layout.

        It stays as it is if its options are not at their defaults, or if it cannot have this layout: FLAC, for example,
        cannot have three channels.
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
    """Return ``data``, completed to whole records of ``size`` bytes.

    The last record takes the bytes that it lacks from the record before, or is filled with ``MIDDLE`` if it is the only
    one.
    """
    missing = -len(data) % size
    before = data[len(data) - size : len(data) - size + missing] if len(data) >= size else bytes([MIDDLE]) * missing
    return data + before
