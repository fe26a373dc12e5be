"""Cheap copies from the distance of the last match, for ``lz77.py``: formats with recent distances have them.

A few distances d are followed, chosen with the prices. Let r(t, d) be the part of the boundary mass a(t) in which the
last match was from d, rep(l) the price of a repeated match, and m(d, t) how long distance d has run. Then

    r(t, d) = r(t-1, d) lit(x[t-1]) + dist(d) B(m(d, t), t) + again(t, d)
    again(t, d) = sum for l = 1..m(d, t) of r(t-l, d) rep(l)
    a(t) gains the sum of again(t, d) over d, and the weight of byte x[t-d] gains
        r(t, d) (sum of rep) + sum for k = 1..m(d, t) of r(t-k, d) (sum of rep(l) for l > k)

Masses r are mantissas with the exponents of a. The loops in ``lz77_loops.py`` compute the same integers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MOST = 32
"""Distances that are followed at most."""


@dataclass(frozen=True, eq=False)
class Repeats:
    """What repeated distances cost.

    Attributes:
        distances: (n,) the distances that are followed, ascending.
        lengths: (longest + 1,) of repeated matches by their length, in units of 2**-20.
        tails: (longest + 1,) the probability of a longer one than each length.
    """

    distances: NDArray[np.int64]
    lengths: NDArray[np.int64]
    tails: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tails", self.lengths.sum() - np.cumsum(self.lengths))


NONE = Repeats(np.zeros(0, np.int64), np.zeros(1, np.int64))


class LastDistances:
    """The masses r by position and distance, and how long each distance has run.

    Args:
        repeats: their prices.
        room: bytes that may be appended.
    """

    def __init__(self, repeats: Repeats, room: int) -> None:
        self.repeats = repeats
        self.masses = np.zeros((len(repeats.distances), room + 1), dtype=np.int64)
        self.runs = np.zeros(len(repeats.distances), dtype=np.int64)

    def copy(self) -> LastDistances:
        """Return an independent copy."""
        copied = LastDistances(self.repeats, 0)
        copied.masses, copied.runs = self.masses.copy(), self.runs.copy()
        return copied

    def append(
        self,
        data: NDArray[np.uint8],
        end: int,
        t: int,
        shifts: NDArray[np.int64],
        literal: int,
        matched: Callable[[int, int], int],
    ) -> tuple[list[int], int]:
        """Take in the byte before ``end``.

        Args:
            data: all bytes.
            end: how many of them are known.
            t: bytes since the pass began.
            shifts: what aligns the masses of positions t - 1, t - 2 and so on.
            literal: its price, units of 2**-20.
            matched: the mass of matches that end here, by distance and the length of its run.

        Returns:
            The new masses by distance, to be shifted and kept, and what a(t) gains.
        """
        found, gained = [], 0
        for j, distance in enumerate(self.repeats.distances.tolist()):
            agrees = end - 1 >= distance and data[end - 1] == data[end - 1 - distance]
            self.runs[j] = run = min(int(self.runs[j]) + 1, len(self.repeats.lengths) - 1) if agrees else 0
            known = self.masses[j, t - run : t][::-1] >> shifts[:run]
            again = int((known * self.repeats.lengths[1 : run + 1]).sum()) >> 3
            gained += again
            newest = int(self.masses[j, t - 1]) >> int(shifts[0])
            found.append((newest * literal >> 3) + matched(distance, run) + again)
        return found, gained

    def by_byte(self, data: NDArray[np.uint8], end: int, t: int, whole: int) -> tuple[NDArray[np.int64], int]:
        """Return (256,) masses by the byte that each distance would go on with, and what is left of ``whole``, a(t)."""
        masses = np.zeros(256, dtype=np.int64)
        inside = self.repeats.distances <= end
        np.add.at(masses, data[end - self.repeats.distances[inside]], self.masses[inside, t])
        return masses, max(whole - int(masses.sum()), 0)

    def weigh(
        self, data: NDArray[np.uint8], end: int, t: int, shifts: NDArray[np.int64], weights: NDArray[np.int64]
    ) -> None:
        """Add to (256,) ``weights``; ``shifts`` are those of positions t, t - 1 and so on."""
        for j, distance in enumerate(self.repeats.distances.tolist()):
            if distance <= end:
                run = int(self.runs[j])
                known = self.masses[j, t - run : t + 1][::-1] >> shifts[: run + 1]
                weights[data[end - distance]] += int((known * self.repeats.tails[: run + 1]).sum()) >> 3
