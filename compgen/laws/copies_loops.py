"""The parts of ``copies.py`` as loops that numba compiles. Constants are arguments: numba keeps compiled code."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_loop = numba.njit(cache=True)


@_loop
def link(data: Any, end: Any, before: Any, latest: Any) -> None:
    """Fill (n,) ``before``, the place before each of the same byte, and (256,) ``latest``; -1 for none."""
    for place in range(end):
        before[place] = latest[data[place]]
        latest[data[place]] = place


@_loop
def append(symbol: Any, end: Any, data: Any, before: Any, latest: Any, begin: Any, changes: Any, steps: Any) -> None:
    """Take in the byte before ``end``; see ``Copies.append``."""
    before[end - 1] = latest[symbol]
    latest[symbol] = end - 1
    for i in range(len(changes)):
        if changes[i] > end:
            break
        begin[data[end - changes[i]]] += steps[i]


@_loop
def _count(data: Any, end: Any, before: Any, roots: Any, orders: Any, found: Any, occurrences: Any) -> None:
    """Add to (K, 256) ``found`` what followed the last bytes, and fill (K,) ``occurrences``; see ``Copies.counted``."""
    most = orders[len(orders) - 1]
    reach = len(roots) - 1
    occurrences[0] = min(end, reach)
    if end == 0:
        return
    place = before[end - 1] + 1
    while place > 0 and end - place <= reach:
        run = 1
        while run < most and place > run and data[place - 1 - run] == data[end - 1 - run]:
            run += 1
        k = 1
        while k + 1 < len(orders) and orders[k + 1] <= run:
            k += 1
        found[k, data[place]] += roots[end - place]
        occurrences[k] += 1
        place = before[place - 1] + 1
    for k in range(len(orders) - 2, 0, -1):
        occurrences[k] += occurrences[k + 1]
        for b in range(256):
            found[k, b] += found[k + 1, b]


@_loop
def _bits(number: Any, most: Any) -> Any:
    """Return the bit length of ``number``, ``most`` at most."""
    count = 0
    while number > 0 and count < most:
        number >>= 1
        count += 1
    return count


@_loop
def _number(occurrences: Any, followers: Any, numbers: Any) -> None:
    """See ``contexts_apart``."""
    longest: Any = -1
    for k in range(len(occurrences)):
        longest += occurrences[k] > 0
    longest = max(longest, 0)
    seen = max(_bits(occurrences[longest], 4), 1) - 1
    of_longest = max(min(followers[longest], 3), 1) - 1
    of_shorter = max(min(followers[max(longest - 1, 0)], 4), 1) - 1
    numbers[0] = longest
    numbers[1] = of_longest * 16 + of_shorter * 4 + seen
    numbers[2] = 8 * _bits(followers[1], 7) + _bits(followers[2], 7)


@_loop
def _share(weights: Any, escape: Any, shorter: Any, bits: Any, shares: Any) -> None:
    """Fill (256,) ``shares`` by ``weights``, and an ``escape`` that is shared out as in ``shorter``."""
    divisor: Any = escape
    for b in range(256):
        divisor += weights[b]
    for b in range(256):
        shares[b] = (shorter[b] * escape + (weights[b] << bits)) // divisor


@_loop
def parts(
    data: Any,
    end: Any,
    before: Any,
    latest: Any,
    roots: Any,
    orders: Any,
    begin: Any,
    literals: Any,
    recent: Any,
    rest: Any,
    whole: Any,
    bits: Any,
    shares: Any,
    numbers: Any,
) -> None:
    """Fill (K + 3, 256) ``shares`` and (3,) ``numbers``; see ``Copies.parts``."""
    size = len(orders)
    found = np.zeros((size, 256), np.int64)
    occurrences = np.zeros(size, np.int64)
    followers = np.zeros(size, np.int64)
    found[0] = begin
    _count(data, end, before, roots, orders, found, occurrences)
    total = np.int64(0)
    for b in range(256):
        total += literals[b]
    for b in range(256):
        shares[0, b] = (literals[b] << bits) // max(total, 1)
    for k in range(size):
        total = np.int64(0)
        for b in range(256):
            total += found[k, b]
            followers[k] += found[k, b] > 0
        if total == 0:
            shares[k + 1] = shares[k]
        else:
            escape = total * (followers[k] + 1) * 3 // (4 * occurrences[k] + 1) + 1
            _share(found[k], escape, shares[k], bits, shares[k + 1])
    shares[size + 2] = whole
    _share(recent, rest, whole, bits, shares[size + 1])
    _number(occurrences, followers, numbers)
