"""The ways in which an LZ77 decoder may write one byte, one by one: what the sum of ``lz77.py`` is made of.

For readers, not for coding: the pass here is that of ``lz77.py`` in floats, over the same bytes and by the same prices.
So its probabilities are those of the law, to within a percent. Behind a copy that has run for over 30 bytes the
integers there are coarser, by up to a tenth. A *source* is a distance that the byte may be copied from. A *parse* says
how the last bytes are cut into instructions. Several distances may serve one copy, so a parse sums over them, and names
the likeliest.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compgen.laws.lz77 import DISTANCE_BITS, LENGTH_BITS, LITERAL_BITS, Lz77Law, Prices

_SPAN = 12
"""Bytes before the byte that are cut into instructions. Chosen: with more, no parse has a share worth telling."""

_KEPT = 6
"""Parses that are followed at each boundary. Chosen: more than pages show."""


@dataclass(frozen=True)
class Source:
    """A distance that a byte may be copied from.

    Attributes:
        distance: bytes back.
        run: how many bytes before the byte agree with those before its source, as far as the pass looks.
        share: the part of the byte's probability that comes from here.
    """

    distance: int
    run: int
    share: float


@dataclass(frozen=True)
class Piece:
    """One instruction.

    Attributes:
        begin: the position of its first byte in the context.
        end: the position after its last. A copy that writes the byte may go on behind it.
        distance: the likeliest distance of a copy, bytes; 0 for a literal.
        bits: what it costs, bits.
    """

    begin: int
    end: int
    distance: int
    bits: float


@dataclass(frozen=True)
class Parse:
    """A way to cut the last bytes and the byte into instructions, and its share of the byte's probability."""

    pieces: tuple[Piece, ...]
    share: float


@dataclass(frozen=True)
class Ways:
    """All ways to write a byte.

    Attributes:
        probability: of the byte, by the law.
        literal: the share of that in which the byte is a literal.
        sources: the distances that it may be copied from, the likeliest first.
        parses: the likeliest parses, the likeliest first.
    """

    probability: float
    literal: float
    sources: tuple[Source, ...]
    parses: tuple[Parse, ...]


def ways(law: Lz77Law, context: bytes, symbol: int) -> Ways | None:
    """Return the ways to write ``symbol`` after ``context``.

    None stands for formats in which an instruction's price depends on those before: xz, zstd, and recent distances.
    """
    priced, begin, _ = law.span(len(context))
    prices = law.prices(context[:priced])
    if not isinstance(prices, Prices) or len(prices.repeats.distances):
        return None
    return _Forward(law.before + context, len(law.before) + begin, len(law.before), prices).ways(symbol)


class _Forward:
    """The pass over ``data`` from the boundary ``origin`` on, in floats."""

    def __init__(self, data: bytes, origin: int, before: int, prices: Prices) -> None:
        self._data = np.frombuffer(data, dtype=np.uint8)
        self._origin, self._before = origin, before
        self._literals = prices.literals / (1 << LITERAL_BITS)
        self._lengths = prices.lengths / (1 << LENGTH_BITS)
        self._tails = prices.tails / (1 << LENGTH_BITS)
        self._distances = prices.distances / (1 << DISTANCE_BITS)
        self._masses = np.zeros(len(data) - origin + 1)  # log2 of boundary masses, from ``origin`` on
        self._runs = np.zeros(min(len(data), prices.reach) + 1, dtype=np.int64)  # by distance
        self._copies: dict[int, tuple[NDArray[np.float64], NDArray[np.int64]]] = {}  # by their end; see ``_serving``
        for end in range(origin + 1, len(data) + 1):
            self._take(end)

    def _take(self, end: int) -> None:
        """Find the mass of the boundary behind one more byte."""
        symbol = self._data[end - 1]
        reach = min(end - 1, len(self._runs) - 1)
        agree = np.flatnonzero(self._data[end - 1 - reach : end - 1][::-1] == symbol) + 1
        runs = np.minimum(self._runs[agree] + 1, len(self._lengths) - 1)
        self._runs[:] = 0
        self._runs[agree] = runs
        serving, best = self._serving(agree, runs)
        if len(self._data) - end < _SPAN:
            self._copies[end] = serving, best
        known = self._masses[end - self._origin - len(serving) + 1 : end - self._origin][::-1]
        gains = np.append(self._literals[symbol], self._lengths[1 : len(serving)] * serving[1:])
        starts = np.append(self._masses[end - self._origin - 1], known)
        most = starts.max()
        self._masses[end - self._origin] = most + np.log2((gains * np.exp2(starts - most)).sum())

    def _serving(
        self, agree: NDArray[np.int64], runs: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return, by the length of a copy: the sum of the prices of distances that serve it, and the likeliest."""
        longest = int(runs.max(initial=0))
        serving, best = np.zeros(longest + 1), np.zeros(longest + 1, dtype=np.int64)
        np.add.at(serving, runs, self._distances[agree])
        serving = np.cumsum(serving[::-1])[::-1]
        order = np.argsort(self._distances[agree], kind="stable")
        best[runs[order]] = agree[order]  # the last that is written stays: the likeliest of its run
        for run in range(longest - 1, -1, -1):
            if self._distances[best[run + 1]] > self._distances[best[run]] or not best[run]:
                best[run] = best[run + 1]
        return serving, best

    def _going_on(self) -> NDArray[np.float64]:
        """Return A of ``lz77.py`` by the length of a run, as a part of the newest boundary's mass."""
        longest = int(self._runs.max(initial=0))
        back = self._masses[len(self._masses) - 1 - longest :][::-1]
        return np.cumsum(np.append(0, self._tails[1 : longest + 1] * np.exp2(back[1:] - back[0])))

    def ways(self, symbol: int) -> Ways:
        size = len(self._data)
        reach = min(size, len(self._runs) - 1)
        back, price = self._data[size - reach :][::-1], self._distances[1 : reach + 1]
        carried = price * (self._lengths.sum() + self._going_on()[self._runs[1 : reach + 1]])
        weights = self._literals + np.bincount(back, carried, 256)
        total = weights[symbol]
        here = np.flatnonzero(back == symbol)
        likely = here[np.argsort(-carried[here], kind="stable")][:_KEPT]
        sources = (Source(int(d) + 1, int(self._runs[d + 1]), float(carried[d] / total)) for d in likely)
        parses = self._parses(here + 1, symbol, total)
        return Ways(float(total / weights.sum()), float(self._literals[symbol] / total), tuple(sources), parses)

    def _parses(self, distances: NDArray[np.int64], symbol: int, total: float) -> tuple[Parse, ...]:
        """Return the likeliest parses; ``distances`` are those from which ``symbol`` can be copied."""
        size, newest = len(self._data), self._masses[-1]
        found: dict[int, list[tuple[float, tuple[Piece, ...]]]] = {}  # by boundary: log2 of weights, and pieces
        first = max(self._origin, size - _SPAN)

        def ending(begin: int) -> list[tuple[float, tuple[Piece, ...]]]:
            return found.get(begin) or [(self._masses[begin - self._origin] - newest, ())]

        def extended(begin: int, end: int, distance: int, probability: float) -> list[tuple[float, tuple[Piece, ...]]]:
            bits = float(-np.log2(probability))
            piece = Piece(begin - self._before, end - self._before, distance, bits)
            return [(weight - bits, (*pieces, piece)) for weight, pieces in ending(begin)]

        for end in range(first + 1, size + 1):
            serving, best = self._copies[end]
            ways = extended(end - 1, end, 0, self._literals[self._data[end - 1]])
            for length in range(1, len(serving)):
                if (probability := self._lengths[length] * serving[length]) > 0:
                    ways += extended(end - length, end, int(best[length]), probability)
            found[end] = heapq.nlargest(_KEPT, ways, key=lambda way: way[0])
        last = extended(size, size + 1, 0, self._literals[symbol])
        serving, best = self._serving(distances, self._runs[distances])
        for length in range(len(serving)):
            # Of a copy that goes on, the length is not known yet: all that are longer count.
            longer = self._tails[length] if length else self._lengths.sum()
            if serving[length] * longer > 0:
                last += extended(size - length, size + 1, int(best[length]), serving[length] * longer)
        likely = heapq.nlargest(_KEPT, last, key=lambda way: way[0])
        return tuple(Parse(pieces, float(2**weight / total)) for weight, pieces in likely)
