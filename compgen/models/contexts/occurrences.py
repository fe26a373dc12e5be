"""Where contexts occurred before, and so what followed them.

The index is exact and needs no hash table. The keys of all places but the latest lie sorted in one array, and the
occurrences of a context are a range of it. Later keys wait in a *tail*, which is searched from end to end. A tail that
has grown to an eighth of the index is sorted into it.
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
        latest: (K,) place in ``data`` of the byte that followed the latest occurrence; undefined where there is none.
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
        count, width = len(self._most), len(self._worth)
        places, sizes = np.empty((count, width), dtype=np.int64), np.empty(count, dtype=np.int64)
        nested = self._contexts.nested
        _search_tail(self._present, self._tail, self._tail_begin, self._tail_size, self._most, nested, places, sizes)
        _search_index(self._present, self._keys, self._places, self._most, places, sizes)
        weights, distinct = np.zeros((count, 256), dtype=np.int64), np.zeros(count, dtype=np.int64)
        _tally(self.data, places, sizes, self._worth, weights, distinct)
        return Counts(weights, sizes, distinct, places[:, 0])

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


# The loops below fill ``found``, (K, M), and ``sizes``, (K,): the places in ``data`` of the bytes that followed the
# present value of each context, the latest first, and how many there are.


def _search_tail_by_numpy(
    present: NDArray[np.int64],
    tail: NDArray[np.int64],
    begin: int,
    size: int,
    most: NDArray[np.int64],
    nested: int,
    found: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> None:
    equal = np.flatnonzero(tail[:, :size] == present[:, None])  # nonzero in two dimensions takes ten times as long
    context, late = np.divmod(equal, max(size, 1))
    count = np.bincount(context, minlength=len(present))
    age = np.cumsum(count)[context] - 1 - np.arange(len(context))
    kept = age < most[context]
    found[context[kept], age[kept]] = late[kept] + begin
    np.minimum(count, most, out=sizes)


@SMALL.loop(fallback=_search_tail_by_numpy)
def _search_tail(
    present: Any, tail: Any, begin: Any, size: Any, most: Any, nested: Any, found: Any, sizes: Any
) -> None:
    alike, count = np.empty(size, dtype=np.int64), 0  # where the tail holds the present value, the latest first
    for k in range(len(present)):
        before, count = count, 0
        if 0 < k < nested:  # among the places of the next shorter context
            for j in range(before):
                if tail[k, alike[j]] == present[k]:
                    alike[count] = alike[j]
                    count += 1
        else:
            for j in range(size - 1, -1, -1):
                if tail[k, j] == present[k]:
                    alike[count] = j
                    count += 1
        sizes[k] = min(count, most[k])
        for j in range(sizes[k]):
            found[k, j] = begin + alike[j]


def _search_index_by_numpy(
    present: NDArray[np.int64],
    keys: NDArray[np.int64],
    places: NDArray[np.int32],
    most: NDArray[np.int64],
    found: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> None:
    ends = np.searchsorted(keys, present, side="right")
    kept = np.minimum(ends - np.searchsorted(keys, present), most - sizes)
    context = np.repeat(np.arange(len(present)), kept)
    back = np.arange(len(context)) - (np.cumsum(kept) - kept)[context]
    found[context, sizes[context] + back] = places[ends[context] - 1 - back]
    sizes += kept


@SMALL.loop(fallback=_search_index_by_numpy)
def _search_index(present: Any, keys: Any, places: Any, most: Any, found: Any, sizes: Any) -> None:
    size = len(keys) // len(present)
    for k in range(len(present)):
        low, high = k * size, (k + 1) * size
        while low < high:  # for the first key beyond the present one
            middle = (low + high) >> 1
            if keys[middle] <= present[k]:
                low = middle + 1
            else:
                high = middle
        while sizes[k] < most[k] and low > k * size and keys[low - 1] == present[k]:
            low -= 1
            found[k, sizes[k]] = places[low]
            sizes[k] += 1


def _tally_by_numpy(
    data: NDArray[np.uint8],
    found: NDArray[np.int64],
    sizes: NDArray[np.int64],
    worth: NDArray[np.int64],
    weights: NDArray[np.int64],
    distinct: NDArray[np.int64],
) -> None:
    context = np.repeat(np.arange(len(sizes)), sizes)
    age = np.arange(len(context)) - (np.cumsum(sizes) - sizes)[context]
    # Sums of integers under 2**53 are exact in float64, in any order.
    cells = data[found[context, age]] + 256 * context
    summed = np.bincount(cells, worth[age].astype(np.float64), 256 * len(sizes))
    weights[:] = summed.astype(np.int64).reshape(-1, 256)
    distinct[:] = np.bincount(np.flatnonzero(summed) >> 8, minlength=len(sizes))


@SMALL.loop(fallback=_tally_by_numpy)
def _tally(data: Any, found: Any, sizes: Any, worth: Any, weights: Any, distinct: Any) -> None:
    for k in range(len(sizes)):
        for age in range(sizes[k]):
            follower = data[found[k, age]]
            distinct[k] += weights[k, follower] == 0
            weights[k, follower] += worth[age]
