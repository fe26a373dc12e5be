"""Bytes in rows or records: their layout, the record length of a window, and contexts that reach into the row above."""

from __future__ import annotations

import numpy as np

from compgen.errors import UsageError
from compgen.media.layout import Layout
from compgen.models.contexts.patterns import Pattern

_WIDEST_PIXEL = 16
"""The most bytes of a pixel. Chosen: eight channels of 16 bits."""
_SEARCHED = 8192
"""Bytes at the end of a window that are searched for a record length. Chosen: 16 records of the longest length."""
_LONGEST = 512
"""The longest record length that is looked for, bytes. Chosen; the search costs one comparison of arrays a length."""
_LEAST_RECORDS = 4
"""Records of the longest length that a window must hold before it is searched. Chosen: fewer do not tell."""
_STANDS_OUT = 150
"""How much more often bytes must repeat at the record length than at the median lag, per mille. Chosen: it finds
records in kennedy.xls and geo, and none in text, sound and photographs (docs/calibration.md, "Layout")."""


def samples_layout(stride: int, pixel: int, depth: int) -> Layout:
    """Return the layout that the options of a model give.

    Args:
        stride: bytes in a row, or 0.
        pixel: bytes from one sample to the next of its channel; 0 for bytes that are not samples.
        depth: bits of a sample.

    Raises:
        UsageError: they do not fit together.
    """
    if not 0 <= pixel <= _WIDEST_PIXEL or (pixel and stride % pixel):
        raise UsageError(f"pixel must be 0 to {_WIDEST_PIXEL} bytes, and divide the stride, not {pixel}")
    if depth not in (8, 16) or pixel * 8 % depth:
        raise UsageError(f"depth must be 8 or 16 bits, and a pixel must be whole samples, not {depth}")
    return Layout(stride, pixel * 8 // depth, depth)


def period(window: bytes) -> int:
    """Return the record length of ``window`` in bytes, or 0 if no length stands out.

    For each lag from 1 to 512 count how often a byte equals the byte one lag before. The record length is the shortest
    lag with nine tenths of the highest count, provided that the highest count stands out from the median.
    """
    data = np.frombuffer(window, dtype=np.uint8)[-_SEARCHED:]
    if len(data) < _LEAST_RECORDS * _LONGEST:
        return 0
    lags = range(1, _LONGEST + 1)
    equal = np.array([1000 * np.count_nonzero(data[lag:] == data[:-lag]) // (len(data) - lag) for lag in lags])
    best = int(equal.max())
    if best < int(np.sort(equal)[len(equal) // 2]) + _STANDS_OUT:
        return 0
    shortest = int(np.flatnonzero(10 * equal >= 9 * best)[0]) + 1
    return 0 if shortest == 1 else shortest  # a run of equal bytes is no record


def above(layout: Layout) -> tuple[Pattern, ...]:
    """Return the contexts that reach into the row above: the byte above, its neighbours and the last byte.

    There are none if the layout has no rows. The masks drop low bits, since close values tell the same.
    """
    stride = layout.stride
    if not stride:
        return ()
    return (
        ((stride, 255),),
        ((1, 252), (stride, 252)),
        ((1, 254), (stride, 254)),
        ((1, 252), (stride, 252), (stride + 1, 248), (max(stride - 1, 1), 248)),
    )


ABOVE = len(above(Layout(stride=1)))
"""The number of contexts that a layout with rows adds."""
ABOVE_PERCENT = 50
"""Percent of the weight that experts over the rows above begin with, together, where records are found. No fit covers
records: chosen."""
