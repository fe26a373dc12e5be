"""What copies expect: the parts of the law of a decoder that copies what it has seen.

A copy that has run k bytes goes on with the byte that its source goes on with. So for each k of ORDERS there is a part:
the bytes that follow the places where the last k bytes stood before, within the reach of the compressor's distances.
Each counts the fourth root of the compressor's own price for its distance, so what the compressor reaches cheaply
counts most, and what it cannot reach counts nothing. Part 0 is a match that begins. Below it stand the literals.

The root is chosen: a decoder pays for a distance once for a whole match, and a match of some length pays for several
bytes. Roots of 1/2 and 1/8 were within 0.03 bits per byte for each part alone.

NumPy here and the loops in ``copies_loops.py`` give the same integers.
"""

from __future__ import annotations

import copy
import math
from typing import Self

import numpy as np
from numpy.typing import NDArray

from compgen.jit import Loops
from compgen.laws.parts import ORDERS

LOOPS = Loops(cost=0.5)
"""Compiled loops: loading them takes about as long as those of ``SMALL``."""


def roots(distances: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (reach + 1,) fourth roots of prices in units of 2**-28, in units of 2**-15."""
    prices, where = np.unique(distances, return_inverse=True)
    found = [math.isqrt(math.isqrt(price << 32)) for price in prices.tolist()]
    return np.array(found, dtype=np.int64)[where]


class Copies:
    """A context, and where its last bytes stood before.

    Args:
        context: the bytes so far.
        distances: (reach + 1,) ``roots`` of the prices of distances.
        room: bytes that may be appended.
    """

    def __init__(self, context: bytes, distances: NDArray[np.int64], room: int) -> None:
        self.end = len(context)
        self._data = np.zeros(self.end + room, dtype=np.uint8)
        self._data[: self.end] = np.frombuffer(context, dtype=np.uint8)
        self._roots = distances
        self._changes = np.flatnonzero(np.diff(distances, append=0)) + 1
        self._steps = np.append(distances, 0)[self._changes] - distances[self._changes - 1]
        # Sums of roots by the byte that lies so far back.
        self._begin = np.zeros(256, dtype=np.int64)
        reach = min(self.end, len(distances) - 1)
        np.add.at(self._begin, self._data[self.end - reach : self.end][::-1], distances[1 : reach + 1])
        self._links: tuple[NDArray[np.int32], NDArray[np.int32]] | None = None  # for loops

    def append(self, symbol: int) -> None:
        """Append one byte."""
        self._data[self.end] = symbol
        if self._links is not None:
            before, latest = self._links
            before[self.end] = latest[symbol]
            latest[symbol] = self.end
        self.end += 1
        back = self.end - self._changes
        inside = back >= 0
        np.add.at(self._begin, self._data[back[inside]], self._steps[inside])

    def fork(self) -> Self:
        """Return an independent copy."""
        fork = copy.copy(self)
        fork._data, fork._begin = self._data.copy(), self._begin.copy()
        if self._links is not None:
            fork._links = self._links[0].copy(), self._links[1].copy()
        return fork

    def weights(self) -> tuple[NDArray[np.int64], list[int], list[int]]:
        """Return (K, 256) weights of the next byte by ORDERS, (K,) how often each occurred, and (K,) distinct bytes."""
        if LOOPS.run_compiled:
            return self._compiled()
        with LOOPS.fallback():
            self._links = None
            return self._by_numpy()

    def _by_numpy(self) -> tuple[NDArray[np.int64], list[int], list[int]]:
        data, end = self._data, self.end
        least = max(end - len(self._roots) + 1, 0)
        found = np.zeros((len(ORDERS), 256), dtype=np.int64)
        found[0] = self._begin
        occurrences = [end - least] + [0] * (len(ORDERS) - 1)
        places, length = np.empty(0, dtype=np.int64), 0
        for k, order in enumerate(ORDERS[1:], start=1):
            while length < min(order, end):
                wanted = data[end - 1 - length]
                if length:
                    places = places[places > length]
                    places = places[data[places - 1 - length] == wanted]
                else:
                    low = max(least, 1)
                    places = np.flatnonzero(data[low - 1 : end - 1] == wanted) + low
                length += 1
            if length < order or not len(places):
                break
            # Sums of integers under 2**53 are exact in float64, in any order.
            found[k] = np.bincount(data[places], self._roots[end - places], 256)
            occurrences[k] = len(places)
        followers: list[int] = np.bincount(np.flatnonzero(found) >> 8, minlength=len(ORDERS)).tolist()
        return found, occurrences, followers

    def _compiled(self) -> tuple[NDArray[np.int64], list[int], list[int]]:
        from compgen.laws import copies_loops

        if self._links is None:
            self._links = np.full(len(self._data), -1, dtype=np.int32), np.full(256, -1, dtype=np.int32)
            copies_loops.link(self._data, self.end, *self._links)
        found = np.zeros((len(ORDERS), 256), dtype=np.int64)
        counts = np.zeros((2, len(ORDERS)), dtype=np.int64)
        found[0] = self._begin
        copies_loops.count(self._data, self.end, *self._links, self._roots, _ORDERS, found, counts)
        return found, counts[0].tolist(), counts[1].tolist()


_ORDERS = np.array(ORDERS, dtype=np.int64)
