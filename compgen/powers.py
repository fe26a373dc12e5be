"""Powers of two and logarithms of whole numbers as integers: the same on every machine."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

FRACTION = 12
"""Binary places of code lengths and logarithms: they are rounded to 2**-12 bits. Chosen: tables of 4,096 entries."""

TOP = 32
"""log2 of the largest power in the table. A power times 2**24, what frequencies sum to, must fit an int64."""


@functools.cache
def exp2_table() -> NDArray[np.int64]:
    """Return (2**FRACTION,) integers: 2**(TOP - i / 2**FRACTION), rounded, by integer roots and products."""
    guard = 128
    root = 1 << (guard - 1)  # one half, in units of 2**-guard
    for _ in range(FRACTION):
        root = math.isqrt(root << guard)
    value, table = 1 << guard, []
    for _ in range(1 << FRACTION):
        table.append((value + (1 << (guard - TOP - 1))) >> (guard - TOP))
        value = (value * root) >> guard
    return np.array(table, dtype=np.int64)


def exp2(units: int) -> int:
    """Return 2**(TOP - units / 2**FRACTION), rounded down to a whole number. ``units`` is 0 or more."""
    whole, fraction = divmod(units, 1 << FRACTION)
    return int(exp2_table()[fraction]) >> whole


@functools.cache
def log2(number: int) -> int:
    """Return log2 of a whole number of 1 or more, in units of 2**-FRACTION, rounded down. Slow beyond 2**16."""
    return int((number ** (1 << FRACTION)).bit_length() - 1)
