"""Where contexts occurred before, and so what followed them.

The index is exact and needs no hash table. The keys of all positions but the latest lie sorted in one array; a context's
occurrences are a range of it. Later keys wait in a *tail*, which is searched from end to end. A tail that has grown to
an eighth of the index is sorted into it, so a byte costs the same on average however long the window is.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compgen.jit import SMALL
from compgen.models.contexts.patterns import Contexts, word_after

_SHORTEST_TAIL = 512
"""Positions that a tail holds before it is sorted in, at least. Chosen: to sort costs about 1 ms."""
_TAIL_SHIFT = 3
"""A tail holds at most 2**-3 of the positions that are sorted. Chosen: a longer one costs more to search."""


class Counts(NamedTuple):
    """What followed the K contexts of the present.

    Attributes:
        weights: (K, 256) the sum of what the occurrences count that each byte followed.
        sizes: (K,) occurrences that count.
        distinct: (K,) different bytes among those that followed.
        latest: (K,) place in ``data`` of the byte that followed the latest occurrence, or -1.
    """

    weights: NDArray[np.int64]
    sizes: NDArray[np.int64]
    distinct: NDArray[np.int64]
    latest: NDArray[np.int64]


class Occurrences:
    """A window of bytes, and the index of where each value of a context occurred in it.

    Forks share the sorted part of the index, which never changes.

    Args:
        contexts: the contexts.
        window: the bytes to open on. The bytes before it count as zeros.
        most: (K,) for each context, how many of its latest occurrences count.
        worth: (M,) what an occurrence counts: the latest, the one before, and so on; M is the largest of ``most``.

    Attributes:
        data: the window's bytes after ``margin`` zeros; only ``end`` of them are in use.
        end: where the next byte will lie in ``data``.
    """

    def __init__(self, contexts: Contexts, window: bytes, most: NDArray[np.int64], worth: NDArray[np.int64]) -> None:
        self._contexts = contexts
        self._most, self._worth = most, worth
        self.margin = contexts.reach
        self.end = self.margin + len(window)
        self.data = np.zeros(self.end + 256, dtype=np.uint8)
        self.data[self.margin : self.end] = np.frombuffer(window, dtype=np.uint8)
        keys, self._word = contexts.all_keys(self.data, self.margin, self.end)
        self._is_frozen = False
        self._sort(keys, np.broadcast_to(np.arange(self.margin, self.end, dtype=np.int32), keys.shape))

    def _sort(self, keys: NDArray[np.int64], places: NDArray[np.int32]) -> None:
        """Index (K, n) ``keys`` and the ``places`` that followed them, which ascend, and begin an empty tail."""
        orders = [np.argsort(row, kind="stable") for row in keys]
        # Keys begin with the number of their context, so the sorted rows in a line are sorted.
        self._keys = np.concatenate([row[order] for row, order in zip(keys, orders, strict=True)])
        self._places = np.concatenate([row[order] for row, order in zip(places, orders, strict=True)])
        size = keys.shape[1]
        self._tail = np.empty((len(keys), max(size >> _TAIL_SHIFT, _SHORTEST_TAIL)), dtype=np.int64)
        self._tail_begin, self._tail_size = self.margin + size, 0
        self._present = self._contexts.keys(self.data, self.end, self._word)

    def append(self, symbol: int) -> None:
        """Append one byte to the window, and the contexts before it to the index unless the index is frozen."""
        if self.end == len(self.data):
            self.data = np.concatenate([self.data, np.zeros_like(self.data)])
        self.data[self.end] = symbol
        self.end += 1
        if self._contexts.words:
            self._word = word_after(self._word, symbol)
        if not self._is_frozen:
            self._tail[:, self._tail_size] = self._present
            self._tail_size += 1
            if self._tail_size == self._tail.shape[1]:
                tail = np.arange(self._tail_begin, self.end, dtype=np.int32)
                rows = len(self._tail)
                self._sort(
                    np.hstack([self._keys.reshape(rows, -1), self._tail]),
                    np.hstack([self._places.reshape(rows, -1), np.broadcast_to(tail, (rows, len(tail)))]),
                )
        self._present = self._contexts.keys(self.data, self.end, self._word)

    def counts(self) -> Counts:
        """Return what followed the present contexts before."""
        count = self._contexts.count
        found = Counts(np.zeros((count, 256), dtype=np.int64), *(np.zeros(count, dtype=np.int64) for _ in range(3)))
        _count(
            self.data,
            self._present,
            self._keys,
            self._places,
            self._tail,
            self._tail_begin,
            self._tail_size,
            self._most,
            self._worth,
            self._contexts.nested,
            *found,
        )
        return found

    def run(self, place: int, most: int) -> int:
        """Return how many bytes before ``place`` equal those before the present, at most ``most``."""
        most = min(most, place - self.margin)
        differ = self.data[place - most : place] != self.data[self.end - most : self.end]
        found: NDArray[np.intp] = np.flatnonzero(differ)
        return most - 1 - int(found[-1]) if len(found) else most

    @property
    def window(self) -> bytes:
        """The bytes of the window."""
        return self.data[self.margin : self.end].tobytes()

    @property
    def window_size(self) -> int:
        """Bytes in the window."""
        return self.end - self.margin

    def freeze(self) -> None:
        """Stop indexing: later bytes become part of contexts, but do not count as occurrences."""
        self._is_frozen = True

    def fork(self) -> Occurrences:
        """Return an independent copy."""
        fork = copy.copy(self)
        fork.data, fork._tail = self.data.copy(), self._tail.copy()
        return fork


def _count_by_numpy(
    data: NDArray[np.uint8],
    present: NDArray[np.int64],
    keys: NDArray[np.int64],
    places: NDArray[np.int32],
    tail: NDArray[np.int64],
    tail_begin: int,
    tail_size: int,
    most: NDArray[np.int64],
    worth: NDArray[np.int64],
    nested: int,
    weights: NDArray[np.int64],
    sizes: NDArray[np.int64],
    distinct: NDArray[np.int64],
    latest: NDArray[np.int64],
) -> None:
    count = len(present)
    ends = np.searchsorted(keys, present, side="right")
    older = ends - np.searchsorted(keys, present)
    equal = np.flatnonzero(tail[:, :tail_size] == present[:, None])  # nonzero in two dimensions takes ten times as long
    context, late = np.divmod(equal, max(tail_size, 1))
    newer = np.bincount(context, minlength=count)
    sizes[:] = np.minimum(older + newer, most)
    # The age of an occurrence is how many later ones there are.
    age = np.cumsum(newer)[context] - 1 - np.arange(len(context))
    kept = np.minimum(older, np.maximum(most - newer, 0))
    olders = np.repeat(np.arange(count), kept)
    back = np.arange(len(olders)) - (np.cumsum(kept) - kept)[olders]
    found = np.concatenate([places[ends[olders] - 1 - back], late + tail_begin])
    ages = np.concatenate([newer[olders] + back, age])
    cells = np.concatenate([olders, context])
    counts = ages < most[cells]
    found, ages, cells = found[counts], ages[counts], cells[counts]
    # Sums of integers under 2**53 are exact in float64, in any order.
    summed = np.bincount(data[found] + 256 * cells, worth[ages].astype(np.float64), 256 * count)
    weights[:] = summed.astype(np.int64).reshape(count, 256)
    distinct[:] = np.bincount(np.flatnonzero(summed) >> 8, minlength=count)
    latest[:] = -1
    first = ages == 0
    latest[cells[first]] = found[first]


@SMALL.loop(fallback=_count_by_numpy)
def _count(
    data: Any,
    present: Any,
    keys: Any,
    places: Any,
    tail: Any,
    tail_begin: Any,
    tail_size: Any,
    most: Any,
    worth: Any,
    nested: Any,
    weights: Any,
    sizes: Any,
    distinct: Any,
    latest: Any,
) -> None:
    size = len(keys) // len(present)
    found, alike = 0, np.empty(tail_size, dtype=np.int64)  # places in the tail of the present value, the latest first
    for k in range(len(present)):
        key, age = present[k], 0
        latest[k] = -1
        if 0 < k < nested:
            if sizes[k - 1] == 0:
                continue
            before, found = found, 0
            for j in range(before):
                if tail[k, alike[j]] == key:
                    alike[found] = alike[j]
                    found += 1
        else:
            found = 0
            for j in range(tail_size - 1, -1, -1):
                if tail[k, j] == key:
                    alike[found] = j
                    found += 1
        for j in range(min(found, most[k])):
            place = tail_begin + alike[j]
            if age == 0:
                latest[k] = place
            distinct[k] += weights[k, data[place]] == 0
            weights[k, data[place]] += worth[age]
            age += 1
        low, high = k * size, (k + 1) * size
        while low < high and age < most[k]:  # the first key beyond the range
            middle = (low + high) >> 1
            if keys[middle] <= key:
                low = middle + 1
            else:
                high = middle
        while age < most[k] and low > k * size and keys[low - 1] == key:
            low -= 1
            place = places[low]
            if age == 0:
                latest[k] = place
            distinct[k] += weights[k, data[place]] == 0
            weights[k, data[place]] += worth[age]
            age += 1
        sizes[k] = age
