"""The law of an LZ77 decoder with states and recent distances: LZMA and zstd. A richer form of ``lz77.py``'s pass.

What an instruction costs depends on the *state*: what the last few instructions were. A match may repeat a *recent
distance*. So the boundary mass a(t) is kept in parts,

    w(t, d, s) = the sum over all ways to write x[:t] whose last match was from d and that end in state s

for the newest boundary. Of the boundaries before, only what matches take from them is kept:

    new(t) = sum over d and s of w(t, d, s) P(match | s)       again(t, d) = sum over s of w(t, d, s) P(repeat | s)

Then, with m(d, t) as in ``lz77.py``, lengths in K classes c (the price of a distance may depend on them), and rep(l)
the prices of lengths of repeated matches,

    w(t, d, after a match) = sum over c of dist_c(d) (sum for l = 1..m(d, t) of new(t-l) len_c(l))
    w(t, d, after a repeat) = sum for l = 1..m(d, t) of again(t-l, d) rep(l)
    w(t, d, next(s)) gains w(t-1, d, s) P(literal | s) lit(x[t-1])

and a repeat of one byte has a price and a state of its own. Distances are too many to be kept apart: ``SLOTS`` of them
are *followed*. The others share a row. At each boundary, the distance outside that gains most takes the place of the
one that carries least, if it carries less.

**Literals** cost by the high bits of the byte before. LZMA has another table behind a match, by the byte that the match
would have gone on with. That byte is known for followed distances. For the others, ``expected`` keeps the mass of
matches that end at the newest boundary by this byte.

Arithmetic is as in ``lz77.py``: masses have mantissas of 34 bits and an exponent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.jit import compiled_family
from compgen.laws import states_literal_loops, states_loops
from compgen.laws.copies import roots
from compgen.laws.forward import HALF, MANTISSA, ForwardPass
from compgen.laws.literals import ONE, MatchedLiterals
from compgen.laws.lz77 import Lz77Law, Renewals

SLOTS = 16
"""Distances that are followed. Chosen: law / own of xz and zstd on kennedy.xls is 1.16 and 0.99 with 4, 1.07 and 0.91
with 8, 0.98 and 0.87 with 16, 0.97 and 0.86 with 32; on text it differs by 0.002, and fewer are faster."""

LITERAL, MATCH, REPEAT, SHORT, OTHER = range(5)
"""Kinds of instructions: a literal; a match from a new distance; one from the last distance; the same of one byte; one
from a distance that is followed but was not the last."""

POSITIONS = 4
"""Prices may depend on the position in the context, modulo this."""

RENEWALS = Renewals(first=256, every=1024)
"""Reading one output of 8 KB costs some 10 ms with numba, 30 ms without. Chosen: as often
as the pass begins anew."""

_MOST_REACH = 65536
_TABLES, _PRICES, _OF_A_BYTE = 512 << 10, 2560 << 10, 64
"""Bytes of memory of a pass, of a set of prices (2 MB are rows of literals), and of each byte of the context."""

_MASK = (1 << HALF) - 1
_EXTRA = 17  # weights and new masses are in units of 2**-17 of a mass
_OFTEN = 8  # a byte is expected often enough for prices of its own from 2**-8 of the mass of all on


@dataclass(frozen=True, eq=False)
class StatePrices:
    """What instructions cost, as probabilities.

    Attributes:
        kinds: (5, POSITIONS, S) of the kinds, by position and state, units of 2**-20.
        after_literal: (S,) the state after a literal in each state.
        after_match: (3,) the states after a match, after a repeat, and after a repeat of one byte.
        literals_by: (8, 256) by the 3 high bits of the byte before, units of 2**-20.
        matched: literals by the expected byte.
        first_matched: the first state whose literals go by the expected byte.
        lengths: (K, POSITIONS, longest + 1) of matches, by class; units of 2**-20, all classes sum to 1.
        distances: (K, reach + 1) int32 of matches, units of 2**-28.
        again: (POSITIONS, longest + 1) of repeated matches by length, units of 2**-20.
    """

    kinds: NDArray[np.int64]
    after_literal: NDArray[np.int64]
    after_match: NDArray[np.int64]
    literals_by: NDArray[np.int64]
    matched: MatchedLiterals
    first_matched: int
    lengths: NDArray[np.int64]
    distances: NDArray[np.int32]
    again: NDArray[np.int64]

    @property
    def reach(self) -> int:
        """The longest distance."""
        return int(self.distances.shape[1]) - 1

    @functools.cached_property
    def roots(self) -> NDArray[np.int64]:
        """(reach + 1,) roots of the prices of distances, means over the classes; see ``copies.py``."""
        shares = self.lengths.sum(axis=(1, 2))
        return roots((shares[:, None] * self.distances).sum(axis=0) // max(int(shares.sum()), 1))

    @functools.cached_property
    def tails(self) -> NDArray[np.int64]:
        """(K, POSITIONS, longest + 1) the probability of a longer match of the class."""
        tails: NDArray[np.int64] = self.lengths.sum(axis=2, keepdims=True) - np.cumsum(self.lengths, axis=2)
        return tails

    @functools.cached_property
    def again_tails(self) -> NDArray[np.int64]:
        """(POSITIONS, longest + 1) the same of repeated matches."""
        tails: NDArray[np.int64] = self.again.sum(axis=1, keepdims=True) - np.cumsum(self.again, axis=1)
        return tails

    @functools.cached_property
    def changes(self) -> NDArray[np.int64]:
        """Distances whose price is another than that of the distance before, ascending."""
        return np.flatnonzero((np.diff(self.distances, axis=1, append=0) != 0).any(axis=0)) + 1

    @functools.cached_property
    def steps(self) -> NDArray[np.int64]:
        """(K, n) how much more a distance of each of ``changes`` has than the one before."""
        wide = np.append(self.distances, np.zeros((len(self.distances), 1), np.int32), axis=1).astype(np.int64)
        return wide[:, self.changes] - wide[:, self.changes - 1]

    @functools.cached_property
    def arrays(self) -> tuple[Any, ...]:
        """All of it, as the loops take it."""
        return (
            self.kinds, self.after_literal, self.after_match, self.literals_by, self.matched.table, self.first_matched,
            self.lengths, self.tails, self.distances, self.again, self.again_tails, self.changes, self.steps,
            self.matched.rows, self.matched.known,
        )  # fmt: skip

    def begun(self, known: bytes, room: int) -> StatePass:
        """Return a pass from a boundary behind ``known``, with room for so many bytes."""
        return StatePass(known, self, room)


def reach_after(size: int) -> int:
    """Return the longest distance before prices are renewed that were found after ``size`` bytes."""
    return min(size + min(max(size, RENEWALS.first), RENEWALS.every), _MOST_REACH)


def state_law(prices: Callable[[bytes], StatePrices]) -> Lz77Law:
    """Return the law of a compressor whose prices ``prices`` finds for a context."""
    return Lz77Law(prices, renewals=RENEWALS, memory=(_TABLES, _PRICES), memory_of_a_byte=_OF_A_BYTE, of_parts=9.5e-4)


class StatePass(ForwardPass):
    """The forward pass from a boundary on, behind ``known`` and with room for so many bytes."""

    def __init__(self, known: bytes, prices: StatePrices, room: int) -> None:
        size = len(known) + room
        super().__init__(known, size + 1)
        self._prices = prices
        self._runs = np.zeros(size + 2, dtype=np.int16)  # by position that a match may go on from
        self._exponents = np.zeros(room + 1, dtype=np.int64)
        self._new = np.zeros(room + 1, dtype=np.int64)
        self._again = np.zeros((SLOTS, room + 1), dtype=np.int64)
        self._exponents[0] = MANTISSA - 1
        self._followed = np.zeros(SLOTS, dtype=np.int64)  # distances; 0 for none
        self._followed_runs = np.zeros(SLOTS, dtype=np.int64)
        self._masses = np.zeros((SLOTS + 1, prices.kinds.shape[2]), dtype=np.int64)  # w; first the row of the rest
        self._masses[0, 0] = 1 << (MANTISSA - 1)
        self._expected = np.zeros(256, dtype=np.int64)
        self._begin = np.zeros((len(prices.distances), 256), dtype=np.int64)
        reach = min(len(known), prices.reach)
        for begin, price in zip(self._begin, prices.distances, strict=True):
            np.add.at(begin, self._data[self.end - reach : self.end][::-1], price[1 : reach + 1])
        self._take_starts()

    def literals(self) -> NDArray[np.int64]:
        """Return (256,) prices of literals, by the byte before."""
        prices: NDArray[np.int64] = self._prices.literals_by[self._context()]
        return prices

    def recent(self) -> tuple[NDArray[np.int64], int]:
        """Return (256,) masses by the byte that the last match's distance would go on with; see ``ForwardPass``."""
        masses, live = np.zeros(256, dtype=np.int64), self._followed > 0
        np.add.at(masses, self._data[self.end - self._followed[live]], self._masses[1:].sum(axis=1)[live])
        return masses, max(int(self._masses[0].sum()), 0)

    def _compiled(self, data: NDArray[np.uint8], low: Any, width: Any, frequencies: Any) -> None:
        family = compiled_family(states_literal_loops, states_loops)
        if self._links is None:
            self._links = np.full(len(self._data), -1, dtype=np.int32), np.full(256, -1, dtype=np.int64)
            family["link"](self._data, self.end, *self._links)
        state = (
            self._runs, self._exponents, self._new, self._again, self._followed, self._followed_runs, self._masses,
            self._expected, self._begin,
        )  # fmt: skip
        nothing = np.empty(0, dtype=np.int64)
        asked = [nothing if one is None else one for one in (low, width, frequencies)]
        self.end = family["run"](
            data, self.end, self._origin, self._data, self._links, state, self._prices.arrays, *asked
        )

    def _take_starts(self) -> None:
        """Keep what matches take from the newest boundary."""
        t, kinds = self.end - self._origin, self._prices.kinds[:, self.end % POSITIONS]
        self._new[t] = int((self._masses * kinds[MATCH] >> ONE).sum())
        again = (self._masses[1:] * kinds[REPEAT] >> ONE).sum(axis=1)
        other = (self._masses * kinds[OTHER] >> ONE).sum(axis=1)
        live = self._followed > 0
        if live.any():
            again += np.where(live, (other.sum() - other[1:]) // live.sum(), 0)
        self._again[:, t] = again

    def _shifts(self, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """Return what aligns masses of the newest boundary and up to ``most`` before, their positions, the exponent."""
        t = self.end - self._origin
        exponents = self._exponents[max(t - most, 0) : t + 1][::-1]
        least = int(exponents.min())
        return np.minimum(exponents - least, 62), (self.end - np.arange(len(exponents))) % POSITIONS, least

    def _active(self) -> NDArray[np.int64]:
        """Return the positions behind bytes that equal the last one, within reach, the nearest first."""
        return self.agreeing(self._prices.reach)[::-1][: None if self.end > self._origin else 0]

    def _sums(self, size: int, shifts: Any, positions: Any, table: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (K, size + 1) sums of masses by how far back they lie, times a table by length from 1 on."""
        t = self.end - self._origin
        new = self._new[t - size : t + 1][::-1] >> shifts
        sums = np.zeros((len(table), size + 1), dtype=np.int64)
        steps = np.arange(1, size + 1)
        np.cumsum(new[1:] * table[:, positions[1:], steps], axis=1, out=sums[:, 1:])
        return sums

    def _repeated(self, size: int, shifts: Any, positions: Any, table: NDArray[np.int64], first: int) -> Any:
        """Return (SLOTS,) sums of masses that repeat a followed distance, times a table by length from ``first`` on."""
        t = self.end - self._origin
        steps = np.arange(first, size + 1)
        known = self._again[:, t - size : t + 1][:, ::-1][:, first:] >> shifts[first:]
        inside = steps <= self._followed_runs[:, None]
        return (known * table[positions[first:], steps] * inside).sum(axis=1) >> 3

    def _append(self, symbol: int) -> None:
        data, prices, here = self._data, self._prices, self.end
        literal = self._literal_masses(symbol)
        shorts = (self._masses[1:] * prices.kinds[SHORT, here % POSITIONS]).sum(axis=1) >> 3
        data[here] = symbol
        self.end = here = here + 1
        longest = prices.again.shape[1] - 1
        followed = self._followed
        agrees = (followed > 0) & (data[here - 1 - followed] == symbol)
        self._followed_runs = np.where(agrees, np.minimum(self._followed_runs + 1, longest), 0)
        active = self._active()
        runs = self._extended(active, longest)
        now = here - self._origin
        most = max(int(runs.max(initial=1)), int(self._followed_runs.max()))
        # The newest boundary has no masses yet, so it has no say in the alignment.
        self._exponents[now] = self._exponents[now - 1]
        shifts, positions, least = self._shifts(most)
        size = len(shifts) - 1
        sums = self._sums(size, shifts, positions, prices.lengths)
        distances = here - active
        carried = sums[:, np.minimum(runs, size)]
        price = prices.distances[:, distances]
        fresh = (price * (carried >> HALF) + (price * (carried & _MASK) >> HALF)).sum(axis=0)
        again = self._repeated(size, shifts, positions, prices.again, 1)
        carry = self._repeated(size, shifts, positions, prices.again_tails, 1)
        masses = literal >> shifts[1]
        states = prices.after_match
        masses[1:, states[1]] += again
        masses[1:, states[2]] += np.where(agrees, shorts >> shifts[1], 0)
        marks = np.zeros(prices.reach + 2, dtype=np.int64)
        marks[followed] = np.arange(1, SLOTS + 1)
        marks[0] = 0
        slot = marks[distances]
        np.add.at(masses[:, states[0]], slot, fresh)
        outside = slot == 0
        expected = np.zeros(256, dtype=np.int64)
        np.add.at(expected, data[active[outside]], fresh[outside])
        self._follow(masses, carry, expected, distances[outside], fresh[outside], runs[outside], now)
        self._keep(masses, expected, least, now)
        back = here - prices.changes
        inside = back >= 0
        for begin, steps in zip(self._begin, prices.steps, strict=True):
            np.add.at(begin, data[back[inside]], steps[inside])

    def _extended(self, active: NDArray[np.int64], longest: int) -> NDArray[np.int64]:
        data, here = self._data, self.end
        runs = np.ones(len(active), dtype=np.int64)
        if here - self._origin > 1:
            longer = (active > 1) & (data[active - 2] == data[here - 2])
            runs[longer] = np.minimum(self._runs[active[longer] - 1] + 1, longest)
        self._runs[active] = runs
        return runs

    def _follow(self, masses: Any, carry: Any, expected: Any, distances: Any, fresh: Any, runs: Any, now: int) -> None:
        """Follow the distance outside that gains most, if it carries more than the one that carries least."""
        if not len(fresh):
            return
        best = int(np.argmax(fresh))
        worst = int(np.argmin(masses[1:].sum(axis=1) + carry))
        if fresh[best] <= masses[1 + worst].sum() + carry[worst]:
            return
        data, here, first = self._data, self.end, self._prices.first_matched
        state = self._prices.after_match[0]
        left = masses[1 + worst].copy()
        if self._followed[worst]:
            moved = left[first:].sum()
            expected[data[here - self._followed[worst]]] += moved
            masses[0, :first] += left[:first]
            if first < masses.shape[1]:
                masses[0, state] += moved
        masses[1 + worst] = 0
        masses[1 + worst, state] = fresh[best]
        masses[0, state] -= fresh[best]
        expected[data[here - distances[best]]] -= fresh[best]
        self._followed[worst], self._followed_runs[worst] = distances[best], runs[best]
        self._again[worst, :now] = 0

    def _keep(self, masses: NDArray[np.int64], expected: NDArray[np.int64], least: int, now: int) -> None:
        """Keep the masses of the newest boundary, normalised."""
        if masses.sum() <= 0:
            masses[0, 0] = 1
        shift = int(masses.sum()).bit_length() - MANTISSA
        self._masses = masses >> shift if shift > 0 else masses << -shift
        self._expected = expected >> shift if shift > 0 else expected << -shift
        self._exponents[now] = least + _EXTRA - shift
        self._take_starts()

    def _told(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the masses of literals to come.

        Returns:
            (SLOTS + 1, S) masses by row and state.
            (256,) those that go by an expected byte, by that byte.
            The bytes that expect much of it. A literal in the place of another one has the price of any.
        """
        prices, first, live = self._prices, self._prices.first_matched, self._followed > 0
        kinds = prices.kinds[LITERAL, self.end % POSITIONS]
        told = self._masses * kinds >> ONE
        expecting = np.zeros(256, dtype=np.int64)
        if first < told.shape[1]:
            expecting += self._expected * kinds[prices.after_match[0]] >> ONE
            np.add.at(expecting, self._data[self.end - self._followed[live]], told[1:, first:].sum(axis=1)[live])
        return told, expecting, np.flatnonzero((expecting > 0) & (expecting >= expecting.sum() >> _OFTEN))

    def _context(self) -> int:
        """Return the number of the table of literals."""
        return int(self._data[self.end - 1]) >> 5 if self.end else 0

    def _literal_masses(self, symbol: int) -> NDArray[np.int64]:
        """Return (SLOTS + 1, S) masses behind a literal, units of 2**-17."""
        prices, first, context = self._prices, self._prices.first_matched, self._context()
        told, _, often = self._told()
        price = np.full(256, prices.literals_by[context, symbol])
        gains = told * price[0] >> 3
        if first < told.shape[1]:
            price[often] = prices.matched.prices(context, often)[:, symbol]
            gains[1:, first:] = told[1:, first:] * price[self._data[self.end - self._followed], None] >> 3
            state = prices.after_match[0]
            likely = prices.kinds[LITERAL, self.end % POSITIONS, state]
            gains[0, state] = ((self._expected * likely >> ONE) * price >> 3).sum()
        result: NDArray[np.int64] = np.zeros_like(gains)
        for state, after in enumerate(prices.after_literal.tolist()):
            result[:, after] += gains[:, state]
        return result

    def _literal_weights(self, shift: int) -> NDArray[np.int64]:
        """Return (256,) weights of literals."""
        prices, context = self._prices, self._context()
        told, expecting, often = self._told()
        plain = told[:, : prices.first_matched].sum() + expecting.sum() - expecting[often].sum()
        rows = prices.matched.prices(context, often)
        weights: NDArray[np.int64] = ((expecting[often, None] >> shift) * rows >> 3).sum(axis=0)
        weights += max(int(plain) >> shift, 1) * prices.literals_by[context] >> 3  # the newest mass is never 0
        return weights

    def _weights(self) -> NDArray[np.int64]:
        """Return (256,) weights of the next byte, integers in proportion to its probability."""
        prices, here = self._prices, self.end
        active = self._active()
        runs = self._runs[active].astype(np.int64)
        most = max(int(runs.max(initial=0)), int(self._followed_runs.max()))
        shifts, positions, _ = self._shifts(most)
        size = len(shifts) - 1
        t = here - self._origin
        sums = self._sums(size, shifts, positions, prices.tails)
        going = sums[:, np.minimum(runs, size)]
        price = prices.distances[:, here - active]
        carried = (price * (going >> HALF) + (price * (going & _MASK) >> HALF)).sum(axis=0)
        beginning = (int(self._new[t]) >> int(shifts[0])) * prices.tails[:, positions[0], 0]
        weights = self._literal_weights(int(shifts[0]))
        for begin, mass in zip(self._begin, beginning.tolist(), strict=True):
            weights += begin * (mass >> HALF) + (begin * (mass & _MASK) >> HALF)
        np.add.at(weights, self._data[active], carried)
        repeated = self._repeated(size, shifts, positions, prices.again_tails, 0)
        shorts = ((self._masses[1:] >> shifts[0]) * prices.kinds[SHORT, here % POSITIONS]).sum(axis=1) >> 3
        live = self._followed > 0
        np.add.at(weights, self._data[here - self._followed[live]], (repeated + shorts)[live])
        return weights
