"""One sequence under contexts: its window, what it expects, and what it has learnt.

``patterns.py`` has the contexts, ``occurrences.py`` where they occurred before, ``blending.py`` the distributions by
what followed, ``sets.py`` the choice of weights, ``weights.py`` what a row begins with. The mixer
(``models/mixing.py``) multiplies the distributions with exponents. From counts to frequencies everything is integer or
table arithmetic.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compgen.media.layout import Layout
from compgen.models.base import PRECISION
from compgen.models.contexts.blending import Blend, first_escapes, kinds
from compgen.models.contexts.occurrences import Occurrences
from compgen.models.contexts.patterns import ORDERS, SPARSE, WORDS, Contexts, Pattern, suffix
from compgen.models.contexts.records import ABOVE_PERCENT, above, period
from compgen.models.contexts.sets import sets_of_bytes, sets_of_samples
from compgen.models.contexts.weights import Initial, initial, with_experts
from compgen.models.mixing import UNBOUNDED, Mixer
from compgen.models.quantise import SHARE_BITS, log2_units
from compgen.models.samples.prediction import PREDICTIONS, Signal
from compgen.models.window import Window
from compgen.powers import FRACTION
from compgen.types import Frequencies

RATE = 65_536
"""The mixer's learning rate (see ``Mixer``). Chosen: twice and eight times as much cost 0.02 and 0.12 bits per byte on
text (docs/log.md, "a context model without a compressor")."""
SAMPLES_RATE = 131_072
"""The same for samples. Chosen: half of it costs speech in 16 bits 0.08 bits per byte, and pictures
nothing (docs/log.md, as above)."""
_COMMON_SHIFT = 1
"""All weights together move at half the rate. Chosen."""
_COMMON_MOST = 7 << FRACTION - 1
"""The gradient that all weights have in common counts as at most 3.5 bits for bytes that are no records. Chosen:
without a bound a row that learns from its own samples of text falls into noise, and less than 3.5 bits cost rate
(docs/log.md, "the noise of history"). In records a byte that nothing foretold says more."""

_MOST = (192, 96, 64, 32, 24, 16, 12, 8, 8, 6)
"""For each of ORDERS, how many of its latest occurrences count. Chosen: short contexts occur often and say little each,
so more of them count."""
_MOST_SPARSE = (128, 64, 96, 64, 32)
"""The same for each sparse context. Chosen."""
_MOST_WORDS = (32, 16)
"""The same for a word, and for a word after another. Chosen."""
_MOST_ABOVE = 96
"""The same for each context that reaches into the row above. Chosen: as for the last two bytes."""
_WORTH = (1 << 18) // (4 + np.arange(max(_MOST), dtype=np.int64))
"""What an occurrence counts: the latest 2**16, the fourth before it half as much. Chosen: program text wants a
shorter memory than photographs (docs/log.md, "a context model without a compressor")."""
_RECENT_BYTES = 1500
"""Bytes that the expert of recent bytes counts. Chosen: as for the calibrated rule (``derived/experts.py``)."""

_FIRST_LOOK = 2048
"""Bytes of a window when a row looks for records for the first time, and again whenever the window has doubled. Chosen:
fewer bytes do not tell (``records.py``)."""

_ROW = 224 << 10
"""Bytes of memory of a row's weights, escapes and tables. Measured: 190 KB."""
_PLACE = 44
"""Bytes of memory of a context at one place of the window: its key and place, sorted, and while they are sorted again.
Counted, at most, for one row; 18 were measured for many."""
_PREDICTED = 12 * (PREDICTIONS + 1)
"""The same of a sample: its value and errors, whose arrays double."""


_PROBED, _REOPENS = 2000, 1e-3
"""Bytes that a fingerprint learns from, rounded up, and seconds of a window that reopens, at most. Measured: 1,900, and
0.9 ms for samples with a stride of a million bytes."""


@dataclass(frozen=True)
class Plan:
    """What all rows of a model have in common.

    Attributes:
        window: the context window.
        layout: what is known of how the bytes lie: rows, and samples with their channels and bits.
        warm_up: bytes at the end of a prompt that a row is extended by, learning.
    """

    window: Window
    layout: Layout
    warm_up: int

    @property
    def name(self) -> str:
        """What the bytes are: ``bytes`` of any kind, or samples in ``rows`` or in a ``line``."""
        if not self.layout.pixel:
            return "bytes"
        return "rows" if self.layout.stride else "line"

    def patterns(self, layout: Layout) -> tuple[tuple[Pattern, ...], tuple[Pattern, ...]]:
        """Return the patterns that every window has, and those that ``layout`` adds to them."""
        general = tuple(map(suffix, ORDERS))
        if self.layout.pixel:
            return general + above(layout), ()
        return general + SPARSE, above(layout)

    @property
    def reopening_time(self) -> float:
        """Seconds that windows which reopen take in a fingerprint, at most."""
        return _REOPENS * (_PROBED // self.window.size)

    def memory(self, size: int) -> int:
        """Return the bytes of memory of a row with a window of ``size`` bytes, at most."""
        contexts = sum(map(len, self.patterns(Layout(self.layout.stride or 1)))) + WORDS
        samples = 2 * size + 4 * self.layout.stride + 1024 if self.layout.pixel else 0
        return _ROW + _PLACE * contexts * size + 2 * (size + self.layout.stride) + _PREDICTED * samples


class ContextRow:
    """One sequence. It mixes experts, and learns from each byte until it is frozen.

    The experts are, in the order of the weights: recent bytes, contexts, predictions of samples.

    Args:
        plan: what all rows have in common.
        window: bytes that the row starts on; it learns nothing from them but where contexts occurred.
        offset: bytes of the sequence before ``window``. They tell where a pixel begins.
        first: what it begins with. Default: what was fitted.
    """

    def __init__(self, plan: Plan, window: bytes, offset: int = 0, first: Initial | None = None) -> None:
        self._plan = plan
        self._offset = offset
        self._first = initial(plan.name) if first is None else first
        self._is_frozen = False
        self._begin(self._layout_of(window))
        self._open(window)

    @classmethod
    def after(cls, plan: Plan, prompt: bytes) -> ContextRow:
        """Return the row after ``prompt``: a start on the prompt without its warm-up, extended by the warm-up."""
        known = prompt[: max(0, len(prompt) - plan.warm_up)]
        window = plan.window.visible(known)
        row = cls(plan, window, len(known) - len(window))
        for symbol in prompt[len(known) :]:
            row.extend(symbol)
        return row

    def _layout_of(self, window: bytes) -> Layout:
        """Return the layout of a window: the plan's own, or records of a length that stands out in the window."""
        layout = self._plan.layout
        return layout if layout.stride or layout.pixel else Layout(period(window))

    def _begin(self, layout: Layout) -> None:
        """Begin to learn, with the contexts of ``layout``."""
        self._layout = layout
        general, added = self._plan.patterns(layout)
        words = not self._plan.layout.pixel
        self._contexts = Contexts(general + added, words)
        most = [*_MOST, *_MOST_SPARSE] if words else [*_MOST]
        most += [_MOST_ABOVE] * (len(general) + len(added) - len(most))
        # Each order is blended with the next shorter one, the others with the last byte alone.
        shorter = [*range(len(ORDERS)), *[1] * (len(general) + len(added) - len(ORDERS))]
        if words:  # A word is blended with the last two bytes, and two words with the word.
            most += _MOST_WORDS
            shorter += [2, len(shorter) + 1]
        self._most = np.array(most, dtype=np.int64)
        fitted = self._first.escapes
        escapes = np.vstack([fitted[: len(general)], first_escapes(len(added)), fitted[len(general) :]])
        self.blend = Blend(np.array(shorter, dtype=np.int64), escapes)
        weights = with_experts(self._first.weights, len(added), ABOVE_PERCENT, at=1 + len(general))
        rate = RATE if words else SAMPLES_RATE
        bound = UNBOUNDED if self._plan.layout.pixel or layout.stride else _COMMON_MOST
        self.mixer = Mixer(weights, rate, rate >> _COMMON_SHIFT, bound)

    def _open(self, window: bytes) -> None:
        """Start on ``window``."""
        self._known = Occurrences(self._contexts, window, self._most, _WORTH)
        self._signal = Signal(window[self._before_pixel :], self._layout) if self._plan.layout.pixel else None
        self._recent = np.bincount(np.frombuffer(window[-_RECENT_BYTES:], dtype=np.uint8), minlength=256)
        self._frequencies: Frequencies | None = None
        if self._is_frozen:
            self.freeze()

    @property
    def _before_pixel(self) -> int:
        """Bytes of the window before its first whole pixel."""
        return -self._offset % self._plan.layout.pixel

    def fork(self) -> ContextRow:
        """Return an independent copy."""
        fork = copy.copy(self)
        fork.mixer, fork.blend, fork._known = self.mixer.fork(), self.blend.fork(), self._known.fork()
        fork._signal = None if self._signal is None else self._signal.fork()
        fork._recent = self._recent.copy()
        fork._frequencies = None  # the fork's mixer must mix before it learns
        return fork

    def freeze(self) -> None:
        """Stop learning: weights, escapes, predictions of samples and occurrences of contexts stay as they are."""
        self._is_frozen = True
        self._frequencies = None  # a frozen signal predicts otherwise
        self.mixer.freeze()
        self.blend.freeze()
        self._known.freeze()
        if self._signal is not None:
            self._signal.freeze()

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies."""
        if self._frequencies is None:
            self._frequencies = self.mixer.mix(*self._experts())
        return self._frequencies

    def added_length(self, symbol: int) -> float:
        """Return -log2 of the probability of ``symbol``, bits: no compressor says another length."""
        return float(PRECISION - np.log2(self.frequencies()[symbol]))

    def extend(self, symbol: int) -> None:
        """Append one byte, and learn from it unless frozen. A window that is full reopens."""
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
        size = self._known.window_size
        if self._plan.window.is_full(size):
            self._reopen(self._plan.window.reopened(self._known.window))
        elif size >= _FIRST_LOOK and size & (size - 1) == 0 and not self._is_frozen:
            self._look_for_records()

    def _reopen(self, window: bytes) -> None:
        """Start again on ``window``. What was learnt stays, unless the window has another record length."""
        self._offset += self._plan.window.size
        layout = self._layout_of(window)
        if layout != self._layout:
            self._begin(layout)
        self._open(window)

    def _look_for_records(self) -> None:
        """Begin and start again if the window has another record length by now."""
        window = self._known.window
        layout = self._layout_of(window)
        if layout != self._layout:
            self._begin(layout)
            self._open(window)

    def _experts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (E, 256) log2 of each expert's probabilities, units of 2**-FRACTION bits, and the mixer's sets."""
        found = self._known.counts()
        kind = kinds(found)
        contexts = 1 + len(kind)
        shares = np.empty((contexts + (0 if self._signal is None else PREDICTIONS), 256), dtype=np.int64)
        shares[0] = self._recent_shares()
        self.blend.fill(found, kind, shares)
        if self._signal is None:
            sets = sets_of_bytes(self._known, found, kind)
        else:
            shares[contexts:] = self._signal.shares()
            sets = sets_of_samples(self._signal, found, kind, len(shares))
        return log2_units(shares + 1) - (SHARE_BITS << FRACTION), sets

    def _recent_shares(self) -> NDArray[np.int64]:
        """Return (256,) shares by the counts of the latest bytes, and an escape shared evenly.

        The escape is half the mean count for each distinct byte.
        """
        count, distinct = min(self._known.window_size, _RECENT_BYTES), int(np.count_nonzero(self._recent))
        escape = (count * distinct << 10) // (2 * count + 1) + 1
        total = (count << 10) + escape
        shares: NDArray[np.int64] = self._recent * ((1 << (10 + SHARE_BITS)) // total)
        shares += (escape << (SHARE_BITS - 8)) // total
        return shares
