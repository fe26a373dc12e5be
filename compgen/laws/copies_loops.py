"""The counts of ``copies.py`` as loops that numba compiles. Constants are arguments: numba keeps compiled code."""

from __future__ import annotations

from typing import Any

import numba

_loop = numba.njit(cache=True)


@_loop
def link(data: Any, end: Any, before: Any, latest: Any) -> None:
    """Fill (n,) ``before``, the place before each of the same byte, and (256,) ``latest``; -1 for none."""
    for place in range(end):
        before[place] = latest[data[place]]
        latest[data[place]] = place


@_loop
def count(data: Any, end: Any, before: Any, latest: Any, roots: Any, orders: Any, found: Any, counts: Any) -> None:
    """Add to (K, 256) ``found`` what followed the last bytes, and fill (2, K) ``counts``; see ``Copies.weights``."""
    most = orders[len(orders) - 1]
    reach = len(roots) - 1
    counts[0, 0] = min(end, reach)
    if end > 0:
        place = before[end - 1] + 1
        while place > 0 and end - place <= reach:
            run = 1
            while run < most and place > run and data[place - 1 - run] == data[end - 1 - run]:
                run += 1
            k = 1
            while k + 1 < len(orders) and orders[k + 1] <= run:
                k += 1
            found[k, data[place]] += roots[end - place]
            counts[0, k] += 1
            place = before[place - 1] + 1
        for k in range(len(orders) - 2, 0, -1):
            counts[0, k] += counts[0, k + 1]
            for b in range(256):
                found[k, b] += found[k + 1, b]
    for k in range(len(orders)):
        for b in range(256):
            if found[k, b] > 0:
                counts[1, k] += 1
