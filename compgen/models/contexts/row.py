"""One sequence under contexts: its window, what it expects, and what it has learnt.

``patterns.py`` has the contexts, ``occurrences.py`` where they occurred before, ``blending.py`` the distributions by
what followed. The mixer (``models/mixing.py``) multiplies these with exponents. From counts to frequencies everything
is integer or table arithmetic.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compgen.media.layout import Layout
from compgen.models.contexts.blending import KINDS, Blend, first_escapes, kinds
from compgen.models.contexts.occurrences import Counts, Occurrences
from compgen.models.contexts.patterns import ORDERS, SPARSE, WORDS, Contexts, suffix
from compgen.models.contexts.weights import Initial, initial, with_experts
from compgen.models.derived.records import ABOVE, above, period
from compgen.models.derived.signal import BINS, KINDS as SIGNAL_KINDS, PREDICTIONS, Signal
from compgen.models.mixing import Mixer
from compgen.models.quantise import SHARE_BITS, log2_units
from compgen.models.window import Window
from compgen.powers import FRACTION
from compgen.types import Frequencies

RATE, COMMON_RATE = 131_072, 65_536
"""The mixer's learning rates (see ``Mixer``)."""

_MOST = (192, 96, 64, 32, 24, 16, 12, 8, 8, 6)
_MOST_SPARSE = (128, 64, 96, 64, 32)
_MOST_WORDS = (32, 16)
_MOST_ABOVE = 96
_RECENT_BYTES = 1500
_WORTH = np.array([65536 * 8 // (8 + age) for age in range(192)], dtype=np.int64)
_RUN = 40
SPREADS = 8
SETS = (len(ORDERS) + 1, SPREADS * SPREADS, 1 + 3 * 4 * 4, 64, 8, KINDS)


@dataclass(frozen=True)
class Plan:
    """What all rows of a model have in common."""

    window: Window
    layout: Layout
    warm_up: int

    @property
    def kind(self) -> str:
        if not self.layout.pixel:
            return "bytes"
        return "rows" if self.layout.stride else "line"


def fits(kind: str) -> tuple[int, tuple[int, ...]]:
    """Return the number of experts and of sets in each family."""
    if kind == "bytes":
        return 1 + len(ORDERS) + len(SPARSE) + WORDS, SETS
    return 1 + len(ORDERS) + (ABOVE if kind == "rows" else 0) + PREDICTIONS, (SETS[0], BINS, SIGNAL_KINDS)


class ContextRow:
    def __init__(self, plan: Plan, window: bytes, offset: int = 0, first: Initial | None = None) -> None:
        self.plan = plan
        self._offset = offset
        self._is_frozen = False
        self._first = initial(plan.kind) if first is None else first
        self._layout = self._layout_of(window)
        self._begin()
        self._open(window)

    def _layout_of(self, window: bytes) -> Layout:
        layout = self.plan.layout
        return layout if layout.stride or layout.pixel else Layout(period(window))

    def _begin(self) -> None:
        over = above(self._layout)
        samples = self.plan.layout.pixel
        patterns = [*map(suffix, ORDERS), *(() if samples else SPARSE), *over]
        self._contexts = Contexts(patterns, words=not samples)
        most = [*_MOST, *(() if samples else _MOST_SPARSE), *[_MOST_ABOVE] * len(over)]
        # chain; sparse & above over order 1, words over order 2
        shorter = [*range(len(ORDERS)), *[1] * (len(patterns) - len(ORDERS))]
        if not samples:
            most += _MOST_WORDS
            shorter += [2, len(patterns) + 1]
        self._most = np.array(most, dtype=np.int64)
        more = 0 if samples else len(over)
        at = len(ORDERS) + len(SPARSE)
        escapes = self._first.escapes
        if more:
            escapes = np.insert(escapes, [at] * more, first_escapes(more), axis=0)
        self.blend = Blend(np.array(shorter, dtype=np.int64), escapes)
        self.mixer = Mixer(with_experts(self._first.weights, more, 50, at + 1), RATE, COMMON_RATE)
        if self._is_frozen:
            self.mixer.freeze()
            self.blend.freeze()

    def _open(self, window: bytes) -> None:
        self._known = Occurrences(self._contexts, window, self._most, _WORTH)
        self._signal = Signal(window[self._before_pixel :], self._layout) if self.plan.layout.pixel else None
        recent = window[-_RECENT_BYTES:]
        self._recent = np.bincount(np.frombuffer(recent, dtype=np.uint8), minlength=256)
        self._frequencies: Frequencies | None = None
        if self._is_frozen:
            self.freeze()

    @property
    def _before_pixel(self) -> int:
        return -self._offset % self.plan.layout.pixel

    @classmethod
    def after(cls, plan: Plan, prompt: bytes) -> ContextRow:
        known = prompt[: max(0, len(prompt) - plan.warm_up)]
        window = plan.window.visible(known)
        row = cls(plan, window, len(known) - len(window))
        for symbol in prompt[len(known) :]:
            row.extend(symbol)
        return row

    def fork(self) -> ContextRow:
        fork = copy.copy(self)
        fork.mixer, fork.blend, fork._known = self.mixer.fork(), self.blend.fork(), self._known.fork()
        fork._signal = None if self._signal is None else self._signal.fork()
        fork._recent = self._recent.copy()
        fork._frequencies = None
        return fork

    def freeze(self) -> None:
        self._is_frozen = True
        self.mixer.freeze()
        self.blend.freeze()
        self._known.freeze()
        if self._signal is not None:
            self._signal.freeze()

    def frequencies(self) -> Frequencies:
        if self._frequencies is None:
            self._frequencies = self.mixer.mix(*self._experts())
        return self._frequencies

    def extend(self, symbol: int) -> None:
        self.frequencies()
        self.mixer.learn(symbol)
        self.blend.learn(symbol)
        self._frequencies = None
        if self._signal is not None and self._known.window_size >= self._before_pixel:
            self._signal.append(symbol)
        self._known.append(symbol)
        self._recent[symbol] += 1
        if self._known.window_size > _RECENT_BYTES:
            self._recent[self._known.data[self._known.end - 1 - _RECENT_BYTES]] -= 1
        if self.plan.window.is_full(self._known.window_size):
            self._reopen(self.plan.window.reopened(self._known.window))

    def _reopen(self, window: bytes) -> None:
        self._offset += self.plan.window.size
        layout = self._layout_of(window)
        if layout != self._layout:
            self._layout = layout
            self._begin()
        self._open(window)

    def _experts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        found = self._known.counts()
        kind = kinds(found)
        predictions = PREDICTIONS if self._signal is not None else 0
        shares = np.empty((1 + len(kind) + predictions, 256), dtype=np.int64)
        shares[0] = self._recent_shares()
        self.blend.fill(found, kind, shares)
        sizes = found.sizes[: len(ORDERS)].tolist()
        orders = sizes.index(0) if 0 in sizes else len(ORDERS)
        if self._signal is not None:
            shares[1 + len(kind) :] = self._signal.shares()
            sets = np.array([orders, self._signal.activity, self._signal.kind])
        else:
            sets = self._sets(orders, found, kind)
        return log2_units(shares + 1) - (SHARE_BITS << FRACTION), sets

    def _recent_shares(self) -> NDArray[np.int64]:
        # p = (count + escape/256) / (n + escape)
        n, distinct = int(self._recent.sum()), int(np.count_nonzero(self._recent))
        escape = (distinct << 9) // (n + 1) + 1  # half the mean count for each distinct, times 2**10 / ...
        total = (n << 10) + escape
        shares: NDArray[np.int64] = ((self._recent << (10 + SHARE_BITS)) + (escape << (SHARE_BITS - 8))) // total
        return shares

    def _sets(self, orders: int, found: Counts, kind: NDArray[np.int64]) -> NDArray[np.int64]:
        sets = np.zeros((len(SETS), len(kind) + 1), dtype=np.int64)
        if orders:
            distinct = found.distinct[:orders].tolist()
            last, last_two = (min(n.bit_length(), SPREADS - 1) for n in (distinct[0], distinct[1] if orders > 1 else 0))
            of_longest = min(distinct[-1], 3) - 1
            of_shorter = min(distinct[max(orders - 2, 0)], 4) - 1
            seen = min(int(found.sizes[orders - 1]).bit_length(), 4) - 1
            run = 0
            if orders >= 7:
                run = 1 + min((self._known.run(int(found.latest[orders - 1]), 400) // 8).bit_length(), 6)
            sets[0], sets[1] = orders, SPREADS * last + last_two
            sets[2] = 1 + (of_longest * 4 + of_shorter) * 4 + seen
            sets[3], sets[4] = self._known.window_size.bit_length(), run
            sets[5, 1:] = kind
        return sets
