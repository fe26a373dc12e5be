"""The law of an LZ77 decoder with fixed prices, exactly: the forward pass over all ways to write the bytes.

Let lit(b), len(l) and dist(d) be 2**-bits of the codes, x the bytes, and a(t) the *boundary mass*: the sum over all
ways to write x[:t] that end with a whole instruction. Let m(d, t) be how long distance d has run: the largest k, at
most the longest match, with x[t-k:t] = x[t-k-d:t-d]. Then

    a(t) = a(t-1) lit(x[t-1]) + sum over d of dist(d) B(m(d, t), t)     B(m, t) = sum for l = 1..m of a(t-l) len(l)
    weight of next byte b =
        a(t) lit(b)                                                      a literal
      + a(t) (sum of len) sum over d with x[t-d] = b of dist(d)          a match that begins here
      + sum over d with x[t-d] = b of dist(d) A(m(d, t), t)              a match that goes on
    A(m, t) = sum for k = 1..m of a(t-k) Tail(k)                         Tail(k) = sum of len(l) for l > k

A and B do not depend on d, so a byte costs two prefix sums and one pass over the distances that agree with the last
byte. The same numbers come from NumPy here and from compiled loops in ``lz77_loops.py``, which walk only distances that
have run 2 or more: the others are all alike but for dist(d), and sums of it by pairs of bytes are kept.

**Arithmetic.** Prices are integers: literals in units of 2**-20, lengths in 2**-20, distances in 2**-28. A boundary
mass is a mantissa of 34 bits and an exponent. Where masses are summed they are aligned to the largest that a run can
reach, so that products with lengths stay under 2**62; their products with distances are summed in two halves of 31
bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from compgen.laws import copies
from compgen.laws.base import Law, LawState
from compgen.laws.copies import Copies
from compgen.laws.forward import HALF, MANTISSA, ForwardPass
from compgen.laws.parts import NUMBERS
from compgen.laws.repeats import NONE, LastDistances, Repeats
from compgen.types import Frequencies

LITERAL_BITS = 20
LENGTH_BITS = 20
DISTANCE_BITS = 28
SCALE = MANTISSA + LENGTH_BITS + DISTANCE_BITS - HALF
"""Weights are in units of 2**-SCALE of a mass that is aligned to 2**MANTISSA."""

_MASK = (1 << HALF) - 1
_LITERAL_SHIFT = MANTISSA + LITERAL_BITS - SCALE
_PASS = 1024  # bytes after which the forward pass begins anew: what a start runs at most, with the next
_RUN_UP = 264  # bytes that it begins before that: more than the longest match of DEFLATE, 258

_NOTHING = np.empty(0, dtype=np.int64)
"""What compiled loops take for an array that nobody asked them to fill."""


@dataclass(frozen=True, eq=False)
class Prices:
    """What instructions cost, as probabilities.

    Attributes:
        literals: (256,) in units of 2**-20.
        lengths: (longest + 1,) of matches by their length, in units of 2**-20; those of 0 and 1 byte have none.
        distances: (reach + 1,) of matches by their distance, in units of 2**-28.
        repeats: of matches from the last distance, for formats that have them; see ``repeats.py``.
    """

    literals: NDArray[np.int64]
    lengths: NDArray[np.int64]
    distances: NDArray[np.int64]
    repeats: Repeats = NONE

    @property
    def reach(self) -> int:
        """The longest distance."""
        return len(self.distances) - 1

    @functools.cached_property
    def roots(self) -> NDArray[np.int64]:
        """(reach + 1,) roots of the prices of distances; see ``copies.py``."""
        return copies.roots(self.distances)

    @functools.cached_property
    def tails(self) -> NDArray[np.int64]:
        """(longest + 1,) the probability of a longer match than each length."""
        tails: NDArray[np.int64] = self.lengths.sum() - np.cumsum(self.lengths)
        return tails

    @functools.cached_property
    def changes(self) -> NDArray[np.int64]:
        """Distances whose price is another than that of the distance before, ascending."""
        return np.flatnonzero(np.diff(self.distances, append=0)) + 1

    @functools.cached_property
    def steps(self) -> NDArray[np.int64]:
        """How much more a distance of each of ``changes`` has than the one before."""
        steps: NDArray[np.int64] = np.append(self.distances, 0)[self.changes] - self.distances[self.changes - 1]
        return steps

    def begun(self, known: bytes, room: int) -> Pass:
        """Return a pass from a boundary behind ``known``, with room for so many bytes."""
        return Pass(known, self, room)


class Priced(Protocol):
    """The prices of some kind of decoder."""

    @property
    def roots(self) -> NDArray[np.int64]:
        """(reach + 1,) roots of the prices of distances; see ``copies.py``."""

    def begun(self, known: bytes, room: int) -> ForwardPass:
        """Return a pass from a boundary behind ``known``, with room for so many bytes."""


@dataclass(frozen=True)
class Renewals:
    """Positions at which prices are renewed: 0, then powers of two from ``first`` on, then multiples of ``every``."""

    first: int
    every: int

    def last(self, length: int) -> int:
        """Return the last of them at or before ``length``."""
        if length < self.first:
            return 0
        if length < self.every:
            return 1 << (length.bit_length() - 1)
        return length // self.every * self.every

    def after(self, here: int) -> int:
        """Return the one that follows the position ``here``, itself one of them."""
        return self.first if here == 0 else here + min(here, self.every)


DEFLATE_RENEWALS = Renewals(first=256, every=1024)
"""Reading the tables of one output is cheap."""

_TABLES, _PRICES, _OF_A_BYTE, _BEFORE = 384 << 10, 768 << 10, 64, 16
"""Bytes of memory: a pass's tables, a set of prices (measured: 490 KB), a byte of a pass, a byte before all else."""


@dataclass(frozen=True)
class Lz77Law(Law):
    """The law of a compressor whose prices ``prices`` finds for a context.

    Attributes:
        prices: of instructions, by the bytes of the context.
        before: text that may be copied as if it stood before every context.
        renewals: where prices are found anew.
        memory: bytes of the tables of a pass and of a set of prices.
        memory_of_a_byte: the same for each byte of the context and of the pass.
        of_parts: see ``Law.parts_time``, seconds.
    """

    family: ClassVar[str] = "copies"
    numbers: ClassVar[tuple[int, ...]] = NUMBERS

    prices: Callable[[bytes], Priced]
    before: bytes = b""
    renewals: Renewals = DEFLATE_RENEWALS
    memory: tuple[int, int] = (_TABLES, _PRICES)
    memory_of_a_byte: int = _OF_A_BYTE
    of_parts: float = 5.5e-4

    @property
    def parts_time(self) -> float:
        """See ``Law.parts_time``. Measured: 0.5 ms over gzip, 0.6 over brotli, 0.9 over xz, 0.8 over zstd."""
        return self.of_parts

    def state_memory(self, length: int) -> int:
        """Return the bytes of a pass over ``length`` bytes, and of the prices that belong to it."""
        tables, prices = self.memory
        priced = prices if length >= self.renewals.first else 0
        return tables + priced + self.memory_of_a_byte * (length + self.renewals.every) + _BEFORE * len(self.before)

    def span(self, length: int) -> tuple[int, int, int]:
        """Return where prices are found, where the pass begins and where both are renewed, for a context's length."""
        priced = self.renewals.last(length)
        anew = max(priced, length // _PASS * _PASS)
        return priced, max(0, anew - _RUN_UP), min(self.renewals.after(priced), (anew // _PASS + 1) * _PASS)

    def start(self, context: bytes) -> Lz77State:
        """Return the state after ``context``."""
        return Lz77State(self, context)


class Lz77State(LawState):
    """The context, and a forward pass over its end.

    The pass begins anew at every renewal of prices, and every ``_PASS`` bytes, so that a start never runs far. It
    begins ``_RUN_UP`` bytes before, at a boundary. Where that is depends on the number of bytes alone, so a fresh start
    on the same bytes gives the same state.
    """

    def __init__(self, law: Lz77Law, context: bytes) -> None:
        self._law = law
        self._frequencies: Frequencies | None = None
        self._open(context)

    def _open(self, context: bytes) -> None:
        priced, begin, after = self._law.span(len(context))
        self._next = len(self._law.before) + after
        self._prices = self._law.prices(context[:priced])
        self._pass = self._prices.begun(self._law.before + context[:begin], after - begin)
        self._pass.append(np.frombuffer(context[begin:], dtype=np.uint8))
        self._copies: Copies | None = None  # opened where someone asks for parts

    @property
    def context(self) -> bytes:
        """The bytes so far."""
        return self._pass.context[len(self._law.before) :]

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies; see ``LawState``."""
        if self._frequencies is None:
            self._frequencies = self._pass.frequencies()
        return self._frequencies

    def append(self, symbol: int) -> None:
        """Append one byte."""
        self._frequencies = self._pass.followed_by(symbol)
        if self._copies is not None:
            self._copies.append(symbol)
        self._renew()

    def parts(self) -> tuple[NDArray[np.int64], list[int]]:
        """Return the parts: literals; what copies expect by ORDERS; the last match's distance; the law as a whole."""
        if self._copies is None:
            self._copies = Copies(self._pass.context, self._prices.roots, self._next - self._pass.end)
        over = self._pass
        return self._copies.parts(over.literals(), over.recent(), self.frequencies(), over.agreeing)

    def _renew(self) -> None:
        if self._pass.end == self._next:
            self._frequencies = None
            self._open(self.context)

    def consume(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append (T,) known bytes; see ``LawState``."""
        self._frequencies = self._copies = None
        low, width = np.empty(len(data), dtype=np.int64), np.empty(len(data), dtype=np.int64)
        done = 0
        while done < len(data):
            part = slice(done, done + self._next - self._pass.end)
            self._pass.consume(data[part], low[part], width[part])
            done = min(part.stop, len(data))
            self._renew()
        return low, width

    def fork(self) -> Self:
        """Return an independent state."""
        fork = self._sharing()
        fork._pass = self._pass.fork()
        fork._copies = None if self._copies is None else self._copies.fork()
        return fork


class Pass(ForwardPass):
    """The forward pass from a boundary on, behind ``known`` and with room for so many bytes."""

    def __init__(self, known: bytes, prices: Prices, room: int) -> None:
        size = len(known) + room
        super().__init__(known, size)
        self._prices = prices
        self._found: tuple[int, NDArray[np.int64], NDArray[np.int64]] | None = None  # see ``_active``
        # By position that a match may go on from: how long its run is, if 2 or more.
        self._runs = np.zeros(size + 1, dtype=np.int16)
        self._mantissas = np.zeros(room + 1, dtype=np.int64)
        self._exponents = np.zeros(room + 1, dtype=np.int64)
        self._mantissas[0], self._exponents[0] = 1 << (MANTISSA - 1), MANTISSA - 1
        self._last = LastDistances(prices.repeats, room)
        # Sums of the prices of distances, by the byte that lies so far back.
        self._begin = np.zeros(256, dtype=np.int64)
        reach = min(len(known), prices.reach)
        np.add.at(self._begin, self._data[self.end - reach : self.end][::-1], prices.distances[1 : reach + 1])

    def fork(self) -> Self:
        """Return an independent copy."""
        fork = super().fork()
        fork._last = self._last.copy()
        return fork

    def literals(self) -> NDArray[np.int64]:
        """Return (256,) prices of literals."""
        return self._prices.literals

    def recent(self) -> tuple[NDArray[np.int64], int]:
        """See ``ForwardPass.recent``."""
        t = self.end - self._origin
        return self._last.by_byte(self._data, self.end, t, int(self._mantissas[t]))

    def _compiled(self, data: NDArray[np.uint8], low: Any, width: Any, frequencies: Any) -> None:
        from compgen.laws import lz77_loops

        if self._links is None:
            self._links = lz77_loops.link(self._data, self.end, self._prices.distances)
        self._links = lz77_loops.with_rows(self._links, data)
        prices, last = self._prices, self._last
        state = self._runs, self._mantissas, self._exponents, self._begin
        fixed = prices.literals, prices.lengths, prices.tails, prices.distances, prices.changes, prices.steps
        again = prices.repeats.distances, prices.repeats.lengths, prices.repeats.tails, last.masses, last.runs
        asked = [_NOTHING if one is None else one for one in (low, width, frequencies)]
        run: Any = lz77_loops.run
        self.end = run(data, self.end, self._origin, self._data, self._links, state, fixed, again, *asked)

    def _aligned(self, newest: int, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """Return the masses of boundary ``newest`` and of up to ``most`` before it, aligned to one exponent.

        After them come the shifts that aligned them, and the exponent.
        """
        last = max(newest - most, 0)
        mantissas, exponents = (one[last : newest + 1][::-1] for one in (self._mantissas, self._exponents))
        least = int(exponents.min())
        shifts = np.minimum(exponents - least, 62)
        masses = mantissas >> shifts
        masses[0] = max(int(masses[0]), 1)
        return masses, shifts, least

    def _active(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the positions that runs have come to, and how long these are."""
        if self._found is None or self._found[0] != self.end:
            places = self._agreeing()
            runs = np.ones(len(places), dtype=np.int64)
            longer = self._agree_twice(places)
            runs[longer] = self._runs[places[longer]]
            self._found = self.end, places, runs
        return self._found[1:]

    def _agreeing(self) -> NDArray[np.int64]:
        """Return the positions behind bytes that equal the last one, within reach."""
        return self.agreeing(self._prices.reach)[: None if self.end > self._origin else 0]

    def _agree_twice(self, places: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return behind which of ``places`` stand bytes that equal the last two."""
        if self.end - self._origin < 2:
            return np.zeros(len(places), dtype=np.bool_)
        agree: NDArray[np.bool_] = (places > 1) & (self._data[places - 2] == self._data[self.end - 2])
        return agree

    def _extend_runs(self) -> None:
        """Take the last byte into the runs of 2 or more, and find the active positions."""
        data, end, longest = self._data, self.end, len(self._prices.lengths) - 1
        places = self._agreeing()
        longer = self._agree_twice(places)
        far = places[longer]
        lengths = np.full(len(far), min(2, longest), dtype=np.int64)
        if end - self._origin > 2:
            went_on = (far > 2) & (data[far - 3] == data[end - 3])
            lengths[went_on] = np.minimum(self._runs[far[went_on] - 1] + 1, longest)
        self._runs[far] = lengths
        runs = np.ones(len(places), dtype=np.int64)
        runs[longer] = lengths
        self._found = end, places, runs

    def _append(self, symbol: int) -> None:
        data, prices, here = self._data, self._prices, self.end
        data[here] = symbol
        self.end = here = here + 1
        now = here - self._origin
        self._extend_runs()
        same, runs = self._active()
        masses, shifts, least = self._aligned(now - 1, int(runs.max(initial=1)) - 1)
        mass = (int(masses[0]) * int(prices.literals[symbol])) >> _LITERAL_SHIFT
        size = len(masses)
        sums = np.cumsum(masses * prices.lengths[1 : size + 1])
        # Sums of integers under 2**53 are exact in float64, in any order.
        by_run = np.bincount(np.minimum(runs, size), prices.distances[here - same], size + 1)[1:].astype(np.int64)
        mass += int((by_run * (sums >> HALF)).sum()) + (int((by_run * (sums & _MASK)).sum()) >> HALF)

        def matched(distance: int, run: int) -> int:
            price, total = int(prices.distances[distance]), int(sums[run - 1]) if run else 0
            return price * (total >> HALF) + (price * (total & _MASK) >> HALF)

        found, gained = self._last.append(data, here, now, shifts, int(prices.literals[symbol]), matched)
        mass = max(mass + gained, 1)
        shift = mass.bit_length() - MANTISSA
        self._mantissas[now] = mass >> shift if shift > 0 else mass << -shift
        self._exponents[now] = least + SCALE - MANTISSA - shift
        self._last.masses[:, now] = [one >> shift if shift > 0 else one << -shift for one in found]
        back = here - prices.changes
        inside = back >= 0
        np.add.at(self._begin, data[back[inside]], prices.steps[inside])

    def _weights(self) -> NDArray[np.int64]:
        """Return (256,) weights of the next byte, integers in proportion to its probability."""
        prices, (active, runs) = self._prices, self._active()
        masses, shifts, _ = self._aligned(self.end - self._origin, int(runs.max(initial=0)))
        size = len(masses)
        sums = np.zeros(size, dtype=np.int64)
        np.cumsum(masses[1:] * prices.tails[1:size], out=sums[1:])
        going = sums[np.minimum(runs, size - 1)]
        price, symbols = prices.distances[self.end - active], self._data[active]
        beginning = masses[0] * prices.lengths.sum()
        upper, lower = self._begin * (beginning >> HALF), self._begin * (beginning & _MASK)
        np.add.at(upper, symbols, price * (going >> HALF))
        np.add.at(lower, symbols, price * (going & _MASK))
        weights: NDArray[np.int64] = upper + (lower >> HALF) + ((masses[0] * prices.literals) >> _LITERAL_SHIFT)
        self._last.weigh(self._data, self.end, self.end - self._origin, shifts, weights)
        return weights
