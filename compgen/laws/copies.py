"""What copies expect: the parts of the law of a decoder that copies what it has seen.

A copy that has run k bytes goes on with the byte that its source goes on with. So for each k of ORDERS there is a part:
the bytes that follow the places where the last k bytes stood before, within the reach of the compressor's distances.
Each counts the fourth root of the compressor's own price for its distance, so what the compressor reaches cheaply
counts most, and what it cannot reach counts nothing. Part 0 is a match that begins. Below it stand the literals.

The root is chosen: a decoder pays for a distance once for a whole match, and a match of some length pays for several
bytes. Roots of 1/2 and 1/8 were within 0.05 bits per byte for each part alone.

NumPy here and the loops in ``copies_loops.py`` give the same integers.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from compgen.jit import Loops
from compgen.laws.base import PRECISION, SHARE_BITS
from compgen.laws.parts import ORDERS, blend, contexts_apart

LOOPS = Loops(cost=0.5)
"""Compiled loops: loading them takes about as long as those of ``SMALL``."""


def roots(distances: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (reach + 1,) fourth roots of prices in units of 2**-28, in units of 2**-15."""
    prices, where = np.unique(distances, return_inverse=True)
    found = [math.isqrt(math.isqrt(price << 32)) for price in prices.tolist()]
    return np.array(found, dtype=np.int64)[where]


Agreeing: TypeAlias = Callable[[int], NDArray[np.int64]]
"""Returns the positions behind bytes that equal the last one, within a reach."""


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
        self.end += 1
        if self._links is not None:
            _loops().append(symbol, self.end, self._data, *self._links, self._begin, self._changes, self._steps)
            return
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

    def parts(
        self,
        literals: NDArray[np.int64],
        recent: tuple[NDArray[np.int64], int],
        whole: NDArray[np.int64],
        agreeing: Agreeing,
    ) -> tuple[NDArray[np.int64], list[int]]:
        """Return (K + 3, 256) shares and the numbers of ``contexts_apart``.

        The shares are of literals; of each of ORDERS, blended with the shorter one; of the last match's distance,
        blended with the law as a whole; and of that.

        Args:
            literals: (256,) weights below 2**32.
            recent: see ``ForwardPass.recent``.
            whole: (256,) frequencies.
            agreeing: finds the positions behind bytes that equal the last one; see ``ForwardPass.agreeing``.
        """
        masses, rest = recent
        scale = max((int(masses.sum()) + rest).bit_length() - 30, 0)
        masses, rest = masses >> scale, (rest >> scale) + 1
        if LOOPS.run_compiled:
            shares, numbers = np.empty((len(ORDERS) + 3, 256), dtype=np.int64), np.empty(3, dtype=np.int64)
            _loops().parts(
                self._data, self.end, *self._linked(), self._roots, _ORDERS, self._begin,
                literals, masses, rest, whole << (SHARE_BITS - PRECISION), SHARE_BITS, shares, numbers,
            )  # fmt: skip
            return shares, numbers.tolist()
        with LOOPS.fallback():
            self._links = None
            weights, occurrences, followers = self.counted(agreeing(len(self._roots) - 1))
            totals, times = weights.sum(axis=1), np.array(occurrences, dtype=np.int64)
            # A byte that never followed counts 3/4 of the mean of those that did, for each distinct one and one more.
            escapes = totals * (np.array(followers, dtype=np.int64) + 1) * 3 // (4 * times + 1) + 1
            found = np.empty((len(ORDERS) + 3, 256), dtype=np.int64)
            found[0] = (literals << SHARE_BITS) // max(int(literals.sum()), 1)
            blend(weights, escapes, SHARE_BITS, found[: len(ORDERS) + 1])
            found[-1] = whole << (SHARE_BITS - PRECISION)
            found[-2] = ((masses << SHARE_BITS) + found[-1] * rest) // (int(masses.sum()) + rest)
            return found, contexts_apart(occurrences, followers)

    def counted(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[int], list[int]]:
        """Return (K, 256) weights of the next byte by ORDERS, (K,) how often each occurred, and (K,) distinct bytes.

        ``places`` are those behind bytes that equal the last one.
        """
        data, end = self._data, self.end
        least = max(end - len(self._roots) + 1, 0)
        found = np.zeros((len(ORDERS), 256), dtype=np.int64)
        found[0] = self._begin
        occurrences = [end - least] + [0] * (len(ORDERS) - 1)
        length = min(end, 1)
        for k, order in enumerate(ORDERS[1:], start=1):
            while length < min(order, end):
                places = places[places > length]
                places = places[data[places - 1 - length] == data[end - 1 - length]]
                length += 1
            if length < order or not len(places):
                break
            # Sums of integers under 2**53 are exact in float64, in any order.
            found[k] = np.bincount(data[places], self._roots[end - places], 256)
            occurrences[k] = len(places)
        followers: list[int] = np.bincount(np.flatnonzero(found) >> 8, minlength=len(ORDERS)).tolist()
        return found, occurrences, followers

    def _linked(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return for each place the one before of the same byte, and (256,) the last of each byte; -1 for none."""
        if self._links is None:
            self._links = np.full(len(self._data), -1, dtype=np.int32), np.full(256, -1, dtype=np.int32)
            _loops().link(self._data, self.end, *self._links)
        return self._links


def _loops() -> Any:
    from compgen.laws import copies_loops

    return copies_loops


_ORDERS = np.array(ORDERS, dtype=np.int64)
