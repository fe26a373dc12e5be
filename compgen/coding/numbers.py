"""Whole numbers in as few bytes as they need: 7 bits in each byte, the low ones first; all but the last have bit 7."""

from __future__ import annotations

from compgen.errors import CorruptDataError

LONGEST = 4
"""Bytes of a number at most (docs/format.md). They hold 28 bits, more than any length has."""


def number(value: int) -> bytes:
    """Return the bytes of ``value``, from 0 to 2**28 - 1."""
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def read_number(data: bytes, begin: int = 0) -> tuple[int, int]:
    """Return the number that begins at ``begin`` in ``data``, and the place after it.

    Raises:
        CorruptDataError: no number ends within ``LONGEST`` bytes.
    """
    value = 0
    for place, digit in enumerate(data[begin : begin + LONGEST]):
        value |= (digit & 0x7F) << (7 * place)
        if digit < 0x80:
            return value, begin + place + 1
    raise CorruptDataError("a number in a segment's code is cut short or too long")
