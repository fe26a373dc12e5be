"""The calibrated rule: an honest distribution from everything that code lengths tell.

Each expert is a distribution made of code lengths (docs/calibration.md has the mathematics and the measurements):

- **one step**: p(b) proportional to 2**-L(context b), measured now and then: what a byte costs as a literal.
- **code values**, with ``effort=best`` and an arithmetic coder: p(b) as the gap between neighbouring codes.
- **lookahead**, one expert for each context: p(b) proportional to the sum, over earlier occurrences of the context,
  of 2**-(price of the span that followed), spans that begin with b, blended with the expert of the next shorter
  context. The compressor sets the prices: a few spans are measured at every step, behind the bytes of a closed
  block where the compressor can close one, and spans seen equally far back share a price.

A mixer multiplies the experts with exponents that start from weights fitted offline and learn as they go. From
code lengths to frequencies everything is integer or table arithmetic (law 1).
"""

from __future__ import annotations

import functools
import importlib.resources
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.compressors.base import Compressor
from compgen.jit import SMALL
from compgen.media.layout import Layout
from compgen.models.base import State
from compgen.models.derived.history import Context, History, suffix
from compgen.models.derived.signal import Signal
from compgen.models.mixing import WEIGHT_ONE, Mixer
from compgen.models.quantise import log2_units, weights_from_lengths
from compgen.models.window import Window
from compgen.powers import FRACTION
from compgen.types import Frequencies, Rows, Symbols

_ONE = 30
"""log2 of what an expert's probabilities sum to."""

_IN_A_LINE = Layout()
_BYTES = [bytes([b]) for b in range(256)]
_ORDERS = (1, 2, 3, 4, 5, 6, 8, 11, 16, 24)
_SPARSE: tuple[Context, ...] = (
    ((2, 255),),
    ((2, 255), (3, 255)),
    ((1, 254), (2, 252)),
    ((1, 252), (2, 248), (3, 248)),
    ((1, 254), (2, 254), (3, 252), (4, 252)),
)
WARM_UP = 32
"""Bytes at the end of a prompt on which a row learns before it begins."""
_SIGNAL_WARM_UP = 1024  # a signal is more unlike those of the fit than a text is

_RECENT = 1500  # bytes counted by the lookahead of no context
_SPAN = 8  # bytes of a lookahead span
_TAIL = 8  # bytes before the spans that are measured with them, where a block can be closed
_REFRESH = 512  # bytes between measurements of the one-step lengths
_RENEW = 56  # bytes that go by before a block is closed anew
_PERIOD_BYTES = 8192  # bytes that are searched for a period
_LONGEST_PERIOD = 512
ABOVE = 4
"""Contexts that a layout adds."""
_ABOVE_MOST = 96  # earlier occurrences that count for each of them
_OCTAVES = 64
_EXPONENT_SHIFT = 2  # an occurrence weighs 2**-(price / 4)
RATE = 131_072  # of the mixer's learning
COMMON_RATE = 65_536
SETS = (len(_ORDERS) + 1, 64, 49, 64)
"""How many sets of weights each family has. They are chosen by the number of orders that occurred; by how many bytes
followed the last byte and the last two; by how many and how many different bytes followed the longest context and the
next shorter one; by the bit length of the window."""
_PRICE_MEMORY = 5  # a new price moves the shared one by 2**-5 of the difference


@dataclass(frozen=True)
class Effort:
    """What a dial setting spends.

    Attributes:
        most: for each order, how many earlier occurrences count.
        sparse: for each sparse context, the same.
        every: bytes between measurements of spans.
        spans: spans measured then.
        code_values: whether to read probabilities from the codes of an arithmetic coder, 256 encodings a byte.
    """

    most: tuple[int, ...]
    sparse: tuple[int, ...]
    every: int
    spans: int
    code_values: bool


EFFORTS = {
    "fast": Effort((192, 96, 64, 32, 24, 16, 12, 8, 8, 6), (), 4, 2, code_values=False),
    "best": Effort((512, 256, 128, 64, 48, 32, 24, 16, 12, 8), (256, 128, 192, 128, 64), 1, 4, code_values=True),
}


@functools.cache
def initial_weights(name: str) -> tuple[NDArray[np.int64], ...]:
    """Return the fitted weights of each family of sets, units of 1 / WEIGHT_ONE; see benchmarks/fit_calibration.py.

    ``name`` is an effort, or of samples ``rows`` or ``line``.
    """
    text = importlib.resources.files("compgen.models.derived").joinpath("calibration.json").read_text(encoding="utf-8")
    weights = tuple(np.array(family, dtype=np.int64) for family in json.loads(text)[name])
    # Where the last byte is new, the fit would flatten what is left: right for the noise of pictures, where that mostly
    # happens, but a text that is sampled would never find back. So the latest bytes are taken as they are.
    if name in EFFORTS:
        for family in weights:
            family[0] = 0
        weights[0][0, 1] = WEIGHT_ONE
    return weights


def warm_up(pixel: int) -> int:
    """Return the bytes at the end of a prompt on which a row learns before it begins."""
    return _SIGNAL_WARM_UP if pixel else WARM_UP


class CalibratedState(State):
    """Rows that learn, each for itself."""

    def __init__(self, rows: list[CalibratedRow]) -> None:
        self._rows = rows

    @classmethod
    def start(
        cls, compressor: Compressor, effort: str, reach: int, layout: Layout, prompts: Sequence[bytes]
    ) -> CalibratedState:
        """Return a state after ``prompts``, each opened without its last bytes and extended by them."""
        distinct = dict.fromkeys(prompts)
        opened = {prompt: CalibratedRow.after(compressor, effort, reach, layout, prompt) for prompt in distinct}
        return cls([opened[prompt].fork() for prompt in prompts])

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._rows)

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies by the rule."""
        return np.stack([row.frequencies() for row in self._rows])

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row, and learn from it."""
        for row, symbol in zip(self._rows, symbols.tolist(), strict=True):
            row.extend(symbol)

    def fork(self, rows: Rows) -> CalibratedState:
        """Return a state of the given rows, with weights of their own."""
        return CalibratedState([self._rows[row].fork() for row in rows])

    def freeze(self) -> None:
        """Keep the weights as they are."""
        for row in self._rows:
            row.freeze()

    def added_lengths(self, symbols: Symbols) -> NDArray[np.float64]:
        """Return (B,) L(context + symbol) - L(context), bits."""
        pairs = zip(self._rows, symbols.tolist(), strict=True)
        return np.array([row.added_length(symbol) for row, symbol in pairs])


class CalibratedRow:
    """One sequence: its window, its meters, its mixer."""

    def __init__(
        self,
        compressor: Compressor,
        effort: str,
        reach: int,
        window: bytes,
        weights: Sequence[NDArray[np.int64]] | None = None,
        layout: Layout = _IN_A_LINE,
        offset: int = 0,
    ) -> None:
        self._compressor = compressor
        self._effort = EFFORTS[effort]
        self._reach = reach
        self._given = layout
        self._pixel = layout.pixel
        self._offset = offset
        self._exact = self._effort.code_values and compressor.open(b"").code_values([b""]) is not None
        kind = ("rows" if layout.stride else "line") if layout.pixel else effort
        self._fitted = list(weights or initial_weights(kind))
        self._layout: Layout | None = None
        self._rates = (RATE, COMMON_RATE)
        self._prices = np.full(_OCTAVES, 16 << FRACTION, dtype=np.int64)
        self._frequencies: Frequencies | None = None
        self._open(window)

    @classmethod
    def after(cls, compressor: Compressor, effort: str, reach: int, layout: Layout, prompt: bytes) -> CalibratedRow:
        """Return the row after ``prompt``: opened without its last bytes, extended by those."""
        known = prompt[: max(0, len(prompt) - warm_up(layout.pixel))]
        window = Window(reach).visible(known)
        row = cls(compressor, effort, reach, window, None, layout, len(known) - len(window))
        for symbol in prompt[len(known) :]:
            row.extend(symbol)
        return row

    def _open(self, window: bytes) -> None:
        layout = self._given if self._given.stride or self._pixel else Layout(period(window))
        if layout != self._layout:
            self._layout = layout
            weights = self._fitted if self._pixel else _with_experts(self._fitted, len(_above(layout)), 50)
            self.mixer = Mixer(_with_experts(weights, int(self._exact), 70), *self._rates)
        sparse = () if self._pixel else _SPARSE[: len(self._effort.sparse)]
        dictionary = b"" if self._pixel else self._compressor.static_dictionary()
        self._history = History(window, [*map(suffix, _ORDERS), *sparse, *_above(layout)], dictionary)
        self._skipped = -self._offset % self._pixel if self._pixel else 0
        self._signal = Signal(window[self._skipped :], layout) if self._pixel else None
        self._meter = self._compressor.open(window)
        self._literals: NDArray[np.int64] | None = None
        self._age = 0  # bytes since the literals were priced
        self._unpriced = 0  # bytes since spans were priced
        known = max(0, len(window) - _TAIL)
        self._anchored = len(dictionary) + known  # where the anchor stands
        self._anchor = self._compressor.open(window[:known]).flushed()
        if not any(self._rates):
            self.freeze()

    def fork(self) -> CalibratedRow:
        """Return an independent copy."""
        fork = CalibratedRow.__new__(CalibratedRow)
        fork.__dict__.update(self.__dict__)
        fork.mixer = self.mixer.fork()
        fork._frequencies = None  # a mixer learns from what it mixed itself
        fork._prices = self._prices.copy()
        fork._history = self._history.fork()
        fork._signal = self._signal.fork() if self._signal else None
        fork._meter = self._meter.fork()
        fork._anchor = None if self._anchor is None else self._anchor.fork()
        return fork

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies."""
        if self._frequencies is None:
            self._frequencies = self.mixer.mix(*self._experts())
        return self._frequencies

    def freeze(self) -> None:
        """Keep the weights as they are, and take proposals from what is known by now."""
        self._rates = (0, 0)
        self.mixer.rate, self.mixer.common_rate = self._rates
        self._history.freeze()
        if self._signal:
            self._signal.freeze()

    def added_length(self, symbol: int) -> float:
        """Return L(context + symbol) - L(context), bits."""
        after, before = self._meter.code_lengths([_BYTES[symbol], b""])
        return float(after - before)

    def extend(self, symbol: int) -> None:
        """Append one byte, and learn from it."""
        self.frequencies()
        self.mixer.learn(symbol)
        self._frequencies = None
        if self._signal and self._history.window >= self._skipped:
            self._signal.append(symbol)
        self._history.append(symbol)
        if Window(self._reach).is_full(self._history.window):
            self._offset += self._reach
            self._open(bytes(self._history.data[-self._reach :]))
            return
        self._meter.extend(_BYTES[symbol])
        self._age += 1
        self._unpriced += 1

    def _experts(self) -> tuple[NDArray[np.int64], list[int]]:
        """Return (E, 256) log2 probabilities in units of 2**-FRACTION bits, and the mixer's sets."""
        occurrences = self._occurrences()
        orders = next((n for n in range(len(_ORDERS)) if not occurrences[n]), len(_ORDERS))
        if self._unpriced >= self._effort.every and orders:
            self._price(occurrences[:orders])
        sizes = [len(positions) for positions in occurrences]
        shares = np.empty((2 + len(sizes), 256), dtype=np.int64)
        shares[0] = self._literal_shares()
        shares[1] = self._recent_shares(shares[0])
        worth = np.int64(1 << 16) >> ((self._prices - self._prices.min()) >> (FRACTION + _EXPONENT_SHIFT))
        # A copy: a window that something still looks at cannot grow, and importing numba keeps frames and their arrays.
        data = np.frombuffer(bytes(self._history.data), dtype=np.uint8)
        positions = np.array([p for found in occurrences for p in found], dtype=np.int64)
        distinct = blend(data, positions, np.array(sizes, dtype=np.int64), worth, shares).tolist()
        if self._signal:
            shares = np.vstack([shares, self._signal.shares()])
        exact = self._code_shares() if self._exact else None
        if exact is not None:
            shares = np.vstack([shares, exact])
        shares += 1
        signal = self._signal
        sets = [orders, signal.activity, signal.kind] if signal else self._sets(orders, sizes, distinct)
        return log2_units(shares) - (_ONE << FRACTION), sets

    def _sets(self, orders: int, sizes: list[int], distinct: list[int]) -> list[int]:
        """Return the mixer's set of each family; the first of each where the last byte is new."""
        if not orders:
            return [0, 0, 0, 0]
        spread = [min(n.bit_length(), 7) for n in distinct[:2]]
        longest, shorter = orders - 1, max(orders - 2, 0)
        followers = 4 * min(distinct[longest], 3) + min(distinct[shorter], 4) - 5
        seen = min(sizes[longest].bit_length(), 4) - 1
        return [orders, 8 * spread[0] + spread[1], 1 + 4 * followers + seen, self._history.window.bit_length()]

    def _occurrences(self) -> list[list[int]]:
        """Return the positions after earlier occurrences of each context: orders, then sparse ones."""
        found: list[list[int]] = []
        for number, most in enumerate(self._effort.most):
            # A longer suffix occurs nowhere that a shorter one does not.
            known = not found or found[-1]
            found.append(self._history.occurrences(number, most) if known else [])
        sparse = (() if self._pixel else self._effort.sparse) + (_ABOVE_MOST,) * len(_above(self._layout or _IN_A_LINE))
        for number, most in enumerate(sparse, len(_ORDERS)):
            found.append(self._history.occurrences(number, most))
        return found

    def _literal_shares(self) -> NDArray[np.int64]:
        """Return (256,) the one-step distribution, as it was when it was last measured."""
        if self._literals is None or self._age >= _REFRESH:
            weights = weights_from_lengths(self._meter.code_lengths(_BYTES)[None])[0] >> 8
            even = np.full(256, 1 << (_ONE - 8), dtype=np.int64)
            self._literals = _blend(weights, int(weights.sum()) >> 8, even)
            self._age = 0
        return self._literals

    def _recent_shares(self, literals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (256,) the lookahead of no context: what the latest bytes were."""
        return self._latest_shares(np.frombuffer(self._history.data[-_RECENT:], dtype=np.uint8), literals)

    @staticmethod
    def _latest_shares(data: NDArray[np.uint8], literals: NDArray[np.int64]) -> NDArray[np.int64]:
        counts = np.bincount(data, minlength=256) << 10
        escape = int(counts.sum()) * int(np.count_nonzero(counts)) // (2 * len(data) + 1) + 1
        return _blend(counts, escape, literals)

    def _code_shares(self) -> NDArray[np.int64]:
        """Return (256,) shares read from the codes of an arithmetic coder: each byte's is the gap to the next code."""
        values = self._meter.code_values(_BYTES)
        assert values is not None  # noqa: S101 - asked only of meters that have them
        order = sorted(range(256), key=values.__getitem__)
        gaps = [values[after] - values[before] for before, after in itertools.pairwise(order)]
        gaps.append(gaps[-1])  # the last interval ends where the parent's does, which is not shown; such bytes are rare
        scale = max(max(gaps).bit_length() - 32, 0)
        weights = np.zeros(256, dtype=np.int64)
        weights[order] = [gap >> scale for gap in gaps]
        even = np.full(256, 1 << (_ONE - 8), dtype=np.int64)
        return _blend(weights >> 8, (int(weights.sum()) >> 24) + 1, even)

    def _price(self, occurrences: list[list[int]]) -> None:
        """Measure a few spans, and move the shared price of their octave of distance towards what they cost."""
        self._unpriced = 0
        data = self._history.data
        end = len(data)
        latest = dict.fromkeys(position for found in reversed(occurrences) for position in reversed(found))
        chosen = [position for position, _ in zip(latest, range(self._effort.spans), strict=False)]
        meter, behind = self._meter, b""
        if self._anchor is not None:
            if end - self._anchored >= _RENEW + _TAIL:
                self._anchor.extend(bytes(data[self._anchored : end - _TAIL]))
                self._anchored = end - _TAIL
                self._anchor = self._anchor.flushed()
                assert self._anchor is not None  # noqa: S101 - what could be closed once can be again
            meter, behind = self._anchor, bytes(data[self._anchored :])
        spans = [behind + self._history.span(position, _SPAN) for position in chosen]
        lengths = np.rint(meter.code_lengths([*spans, behind]) * (1 << FRACTION)).astype(np.int64)
        for position, price in zip(chosen, (lengths[:-1] - lengths[-1]).tolist(), strict=True):
            octave = (end - position).bit_length()
            self._prices[octave] += (price - int(self._prices[octave])) >> _PRICE_MEMORY


def period(window: bytes) -> int:
    """Return the length of the records that ``window`` is made of, or 0 where no length stands out.

    It is the shortest lag at which bytes equal those one lag before nearly as often as at any lag, and by 15 in a
    hundred more often than at the median lag.
    """
    data = np.frombuffer(window, dtype=np.uint8)[-_PERIOD_BYTES:]
    if len(data) < 4 * _LONGEST_PERIOD:
        return 0
    lags = range(1, _LONGEST_PERIOD + 1)
    equal = np.array([1000 * np.count_nonzero(data[lag:] == data[:-lag]) // (len(data) - lag) for lag in lags])
    best = int(equal.max())
    if best < int(np.sort(equal)[len(equal) // 2]) + 150:
        return 0
    shortest = int(np.flatnonzero(10 * equal >= 9 * best)[0]) + 1
    return 0 if shortest == 1 else shortest  # what lies next to a byte is no record above it


def _above(layout: Layout) -> tuple[Context, ...]:
    """Return the contexts that a layout adds: the byte above, with its neighbours and the last byte."""
    stride = layout.stride
    if not stride:
        return ()
    return (
        ((stride, 255),),
        ((1, 252), (stride, 252)),
        ((1, 254), (stride, 254)),
        ((1, 252), (stride, 252), (stride + 1, 248), (max(stride - 1, 1), 248)),
    )


def _with_experts(families: Sequence[NDArray[np.int64]], more: int, trust: int) -> list[NDArray[np.int64]]:
    """Return weights for ``more`` experts besides, which no fit knew: ``trust`` hundredths go to them, evenly."""
    if not more:
        return list(families)
    widened = []
    for number, family in enumerate(families):
        added = np.full((len(family), more), (WEIGHT_ONE * trust // (100 * more)) if number == 0 else 0, dtype=np.int64)
        widened.append(np.hstack([family * (100 - trust) // 100, added]))
    return widened


def blend(
    data: NDArray[np.uint8],
    positions: NDArray[np.int64],
    sizes: NDArray[np.int64],
    worth: NDArray[np.int64],
    shares: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Fill the shares of the lookahead experts, and return (n,) how many different bytes followed each of n contexts.

    Args:
        data: the window.
        positions: what followed the contexts' earlier occurrences, those of the first context first.
        sizes: (n,) how many of them belong to each context.
        worth: (64,) weight of an occurrence by the bit length of its distance.
        shares: (2 + n, 256), of 2**_ONE; the first two rows are given.
    """
    distinct = np.empty_like(sizes)
    _blend_lookahead(data, positions, sizes, worth, len(_ORDERS), _ONE, shares, distinct)
    return distinct


def _blend_lookahead_by_numpy(
    data: NDArray[np.uint8],
    positions: NDArray[np.int64],
    sizes: NDArray[np.int64],
    worth: NDArray[np.int64],
    orders: int,
    one: int,
    shares: NDArray[np.int64],
    distinct: NDArray[np.int64],
) -> None:
    weights = worth[_octave(len(data) - positions)]
    cells = data[positions] + 256 * np.repeat(np.arange(len(sizes)), sizes)
    # Sums of integers under 2**53 are exact in float64, in any order.
    counted = np.bincount(cells, weights, 256 * len(sizes)).astype(np.int64).reshape(-1, 256)
    # count_nonzero along an axis takes ten times as long
    distinct[:] = np.bincount(np.flatnonzero(counted) >> 8, minlength=len(sizes))
    # An escape of three quarters of the mean weight for each byte that followed, and one more.
    totals = counted.sum(axis=1)
    escapes = (totals * (distinct + 1) * 3 // (4 * sizes + 1) + 1).tolist()
    divisors = (totals + escapes).tolist()
    counted <<= one
    for number, size in enumerate(sizes.tolist()):
        share = shares[2 + number]
        shorter = shares[1 + number] if number < orders else shares[2]
        if size:
            np.multiply(shorter, escapes[number], out=share)
            share += counted[number]
            share //= divisors[number]
        else:
            share[:] = shorter


@SMALL.loop(fallback=_blend_lookahead_by_numpy)
def _blend_lookahead(
    data: Any, positions: Any, sizes: Any, worth: Any, orders: Any, one: Any, shares: Any, distinct: Any
) -> None:
    counts = np.zeros(256, dtype=np.int64)
    start = 0
    for k in range(len(sizes)):
        shorter = k + 1 if k < orders else 2
        if sizes[k] == 0:
            shares[2 + k] = shares[shorter]
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
            shares[2 + k, b] = ((counts[b] << one) + shares[shorter, b] * escape) // divisor


def _blend(weights: NDArray[np.int64], escape: int, shorter: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (256,) shares of 2**_ONE: ``weights``, and ``escape`` divided as in ``shorter``."""
    return ((weights << _ONE) + shorter * escape) // (int(weights.sum()) + escape)


def _octave(distances: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bit length of each distance; conversion and frexp are exact."""
    return np.frexp(distances.astype(np.float64))[1].astype(np.int64)
