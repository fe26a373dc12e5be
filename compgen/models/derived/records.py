"""Bytes in rows or records: the record length of a window, and the contexts that reach into the row above."""

from __future__ import annotations

import numpy as np

from compgen.media.layout import Layout
from compgen.models.derived.history import Pattern

_SEARCHED = 8192
"""Bytes at the end of a window that are searched for a record length. Chosen: 16 records of the longest length."""
_LONGEST = 512
"""The longest record length that is looked for, bytes. Chosen; the search costs one comparison of arrays a length."""
_LEAST_RECORDS = 4
"""Records of the longest length that a window must hold before it is searched. Chosen: fewer do not tell."""
_STANDS_OUT = 150
"""How much more often bytes must repeat at the record length than at the median lag, per mille. Chosen: it finds
records in kennedy.xls and geo, and none in text, sound and photographs (docs/calibration.md, "Layout")."""


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
