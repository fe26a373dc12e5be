"""The experts: distributions of the next byte made of code lengths, as integer shares of 2**SHARE_BITS.

- **Literals**: p(b) proportional to 2**-L(context b), measured now and then: what a byte costs when nothing matches.
- **Recent bytes**: how often each byte occurred lately.
- **Lookaheads**, one for each context of the last m bytes, sparse context, or context that reaches into the row above:
  p(b) proportional to the sum of what earlier occurrences of the context are worth that b followed, blended with the
  expert of the next shorter context. ``prices.py`` says what an occurrence is worth.
- **Code values**, with ``effort=best`` and an arithmetic coder: p(b) as the gap between neighbouring codes.
- **Predictions** of samples are in ``signal.py``.

The mixer (``mixing.py``) multiplies them with exponents.
"""

from __future__ import annotations

import copy
import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compgen.compressors.base import Meter
from compgen.jit import SMALL
from compgen.media.layout import Layout
from compgen.models.contexts.patterns import ORDERS, SPARSE, Pattern, suffix
from compgen.models.contexts.records import above
from compgen.models.derived.effort import Effort
from compgen.models.derived.history import History
from compgen.models.quantise import SHARE_BITS, weights_from_lengths

_ABOVE_MOST = 96
"""Occurrences that count for each context that reaches into the row above. Chosen: as for the last two bytes."""
_RECENT_BYTES = 1500
"""Bytes that the expert of recent bytes counts. Chosen: 400 to 8,000 were within 0.012 bits per byte of each other on
the first 8,192 bytes of alice29.txt (docs/log.md, "the rate of the first 8 KB")."""
_REFRESH = 512
"""Bytes between two measurements of the literals. Chosen: one costs 256 encodings, and they change slowly."""
LITERALS, RECENT, FIRST_LOOKAHEAD = 0, 1, 2
"""Numbers of the literals, the recent bytes and the first lookahead among the experts, and so among the weights."""

_BYTES = [bytes([b]) for b in range(256)]

_SPREADS = 8
"""Bit lengths of a number of distinct followers that sets tell apart: 0 to 7."""
_DISTINCT_LONGEST = 3
"""Numbers of distinct followers of the longest context that sets tell apart: 1, 2, more."""
_DISTINCT_SHORTER = 4
"""The same of the next shorter context: 1, 2, 3, more."""
_OCCURRENCES = 4
"""Bit lengths of a number of occurrences of the longest context that sets tell apart: 1 to 3, more."""
_SIZES = 64
"""Bit lengths of a window's size, all that an int64 can have."""
SETS = (
    len(ORDERS) + 1,
    _SPREADS * _SPREADS,
    1 + _DISTINCT_LONGEST * _DISTINCT_SHORTER * _OCCURRENCES,
    _SIZES,
)
"""The number of sets in each family of the mixer's weights; ``mixer_sets`` chooses one of each. The shape of
``calibration.json`` follows from them."""


class Lookahead(NamedTuple):
    """A context that is searched for, and how many of its latest occurrences count."""

    pattern: Pattern
    most: int


@functools.cache
def lookaheads(effort: Effort, layout: Layout) -> tuple[Lookahead, ...]:
    """Return the lookaheads of a window: first ORDERS, then sparse contexts, then those that reach into the row above.

    Samples have no sparse contexts: their predictions do better.
    """
    orders = map(Lookahead, map(suffix, ORDERS), effort.most)
    sparse = () if layout.pixel else map(Lookahead, SPARSE, effort.sparse)
    return (*orders, *sparse, *(Lookahead(pattern, _ABOVE_MOST) for pattern in above(layout)))


def occurrences(history: History, planned: Sequence[Lookahead]) -> list[list[int]]:
    """Return, for each of n lookaheads, the positions that followed its context before, the latest last."""
    found: list[list[int]] = []
    for number, lookahead in enumerate(planned):
        # Where a context of ORDERS has not occurred, no longer one has.
        possible = not 0 < number < len(ORDERS) or found[-1]
        found.append(history.occurrences(number, lookahead.most) if possible else [])
    return found


def orders_seen(found: Sequence[list[int]]) -> int:
    """Return how many of ORDERS have occurred before, given the positions of each lookahead."""
    return next((n for n in range(len(ORDERS)) if not found[n]), len(ORDERS))


def mixer_sets(orders: int, sizes: Sequence[int], distinct: Sequence[int], window_size: int) -> list[int]:
    """Return which set of each of the four families in SETS the mixer uses. All are 0 if the last byte is new.

    Args:
        orders: how many of ORDERS have occurred before: the first family's set.
        sizes: for each lookahead, its number of occurrences. The third family's set tells the longest context's.
        distinct: for each lookahead, its number of distinct followers. The second family's set tells those of the last
            byte and of the last two; the third's those of the longest context and of the next shorter one.
        window_size: bytes in the window. The fourth family's set is its bit length.
    """
    if not orders:
        return [0, 0, 0, 0]
    last, last_two = (min(n.bit_length(), _SPREADS - 1) for n in distinct[:2])
    longest, shorter = orders - 1, max(orders - 2, 0)
    of_longest = min(distinct[longest], _DISTINCT_LONGEST) - 1
    of_shorter = min(distinct[shorter], _DISTINCT_SHORTER) - 1
    seen = min(sizes[longest].bit_length(), _OCCURRENCES) - 1
    followers = 1 + (of_longest * _DISTINCT_SHORTER + of_shorter) * _OCCURRENCES + seen
    return [orders, _SPREADS * last + last_two, followers, window_size.bit_length()]


class Literals:
    """The one-step distribution, as of its last measurement."""

    def __init__(self) -> None:
        self._shares: NDArray[np.int64] | None = None
        self._measured = 0  # length of the history's data at the last measurement

    def shares(self, meter: Meter, history: History) -> NDArray[np.int64]:
        """Return (256,) shares. If the last measurement is ``_REFRESH`` bytes back, measure with ``meter`` first."""
        end = len(history.data)
        if self._shares is None or end - self._measured >= _REFRESH:
            weights = weights_from_lengths(meter.code_lengths(_BYTES)[None])[0] >> 8
            self._shares = _with_escape(weights, int(weights.sum()) >> 8, _even())
            self._measured = end
        return self._shares

    def fork(self) -> Literals:
        """Return an independent copy. Forks share the measured array, which never changes."""
        return copy.copy(self)


def recent_shares(history: History, literals: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (256,) shares by the counts of the latest bytes, blended with ``literals``, (256,) shares."""
    data = np.frombuffer(history.data[-_RECENT_BYTES:], dtype=np.uint8)
    counts = np.bincount(data, minlength=256) << 10
    # Half the mean count for each distinct byte.
    escape = int(counts.sum()) * int(np.count_nonzero(counts)) // (2 * len(data) + 1) + 1
    return _with_escape(counts, escape, literals)


def code_shares(meter: Meter) -> NDArray[np.int64]:
    """Return (256,) shares read from an arithmetic coder: each byte's is the gap between its code and the next one."""
    values = meter.code_values(_BYTES)
    assert values is not None  # noqa: S101 - only called if Proposals.has_code_values
    order = sorted(range(256), key=values.__getitem__)
    gaps = [values[after] - values[before] for before, after in itertools.pairwise(order)]
    # The last interval ends where the coder's present interval does, which no code shows. Such bytes are rare.
    gaps.append(gaps[-1])
    scale = max(max(gaps).bit_length() - 32, 0)
    weights = np.zeros(256, dtype=np.int64)
    weights[order] = [gap >> scale for gap in gaps]
    return _with_escape(weights >> 8, (int(weights.sum()) >> 24) + 1, _even())


def _even() -> NDArray[np.int64]:
    """Return (256,) equal shares."""
    return np.full(256, 1 << (SHARE_BITS - 8), dtype=np.int64)


def _with_escape(weights: NDArray[np.int64], escape: int, shorter: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (256,) shares by ``weights``, (256,), and an ``escape`` weight that is shared out as in ``shorter``."""
    return ((weights << SHARE_BITS) + shorter * escape) // (int(weights.sum()) + escape)


def fill_lookaheads(
    history: History, found: Sequence[list[int]], worth: NDArray[np.int64], shares: NDArray[np.int64]
) -> list[int]:
    """Fill the shares of n lookaheads, and return how many distinct bytes followed the context of each.

    Args:
        history: the window.
        found: for each lookahead, the positions of its occurrences in the history's data.
        worth: (64,) what an occurrence counts, by the bit length of its distance.
        shares: (2 + n, 256). The first two rows, literals and recent bytes, are given; the others are filled.
    """
    # A copy: a bytearray that an array looks at cannot grow, and importing numba keeps frames and their arrays alive.
    data = np.frombuffer(bytes(history.data), dtype=np.uint8)
    positions = np.array([position for of_one in found for position in of_one], dtype=np.int64)
    sizes = np.array([len(of_one) for of_one in found], dtype=np.int64)
    distinct = np.empty_like(sizes)
    _blend_lookaheads(data, positions, sizes, worth, len(ORDERS), FIRST_LOOKAHEAD, SHARE_BITS, shares, distinct)
    counts: list[int] = distinct.tolist()
    return counts


def _blend_lookaheads_by_numpy(
    data: NDArray[np.uint8],
    positions: NDArray[np.int64],
    sizes: NDArray[np.int64],
    worth: NDArray[np.int64],
    orders: int,
    first: int,
    bits: int,
    shares: NDArray[np.int64],
    distinct: NDArray[np.int64],
) -> None:
    distances = (len(data) - positions).astype(np.float64)
    weights = worth[np.frexp(distances)[1]]  # frexp's exponent is the bit length, exactly
    cells = data[positions] + 256 * np.repeat(np.arange(len(sizes)), sizes)
    # Sums of integers under 2**53 are exact in float64, in any order.
    counted = np.bincount(cells, weights, 256 * len(sizes)).astype(np.int64).reshape(-1, 256)
    # count_nonzero along an axis takes ten times as long.
    distinct[:] = np.bincount(np.flatnonzero(counted) >> 8, minlength=len(sizes))
    # The escape is three quarters of the mean weight for each distinct follower, and one more.
    totals = counted.sum(axis=1)
    escapes = (totals * (distinct + 1) * 3 // (4 * sizes + 1) + 1).tolist()
    divisors = (totals + escapes).tolist()
    counted <<= bits
    for number, size in enumerate(sizes.tolist()):
        share = shares[first + number]
        # Among ORDERS the next shorter context; for all others the last byte alone.
        shorter = shares[first - 1 + number] if number < orders else shares[first]
        if size:
            np.multiply(shorter, escapes[number], out=share)
            share += counted[number]
            share //= divisors[number]
        else:
            share[:] = shorter


@SMALL.loop(fallback=_blend_lookaheads_by_numpy)
def _blend_lookaheads(
    data: Any, positions: Any, sizes: Any, worth: Any, orders: Any, first: Any, bits: Any, shares: Any, distinct: Any
) -> None:
    counts = np.zeros(256, dtype=np.int64)
    start = 0
    for k in range(len(sizes)):
        shorter = first - 1 + k if k < orders else first
        if sizes[k] == 0:
            shares[first + k] = shares[shorter]
            distinct[k] = 0
            continue
        counts[:] = 0
        total = 0
        for j in range(start, start + sizes[k]):
            octave = math.frexp(float(len(data) - positions[j]))[1]
            counts[data[positions[j]]] += worth[octave]
            total += worth[octave]
        start += sizes[k]
        different = 0
        for b in range(256):
            different += counts[b] != 0
        distinct[k] = different
        escape = total * (different + 1) * 3 // (4 * sizes[k] + 1) + 1
        divisor = total + escape
        for b in range(256):
            shares[first + k, b] = ((counts[b] << bits) + shares[shorter, b] * escape) // divisor
