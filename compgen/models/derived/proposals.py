"""The calibrated rule for a compressor without a law: proposals, priced by its code lengths.

Contexts propose what may follow, as in the model ``history``; the compressor says what the proposals cost.
docs/calibration.md has the mathematics and the measurements. Here is one sequence, with its window and what it has
learnt; ``experts.py`` holds the distributions that it mixes; ``prices.py`` what the compressor charges for spans;
``history.py`` where contexts occurred before; ``signal.py`` the prediction of samples; ``weights.py`` where the mixer
begins. From code lengths to frequencies everything is integer or table arithmetic.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compgen.compressors.base import Compressor
from compgen.media.layout import Layout
from compgen.models.contexts.patterns import ORDERS
from compgen.models.contexts.records import ABOVE, ABOVE_PERCENT, above, period
from compgen.models.contexts.weights import with_experts
from compgen.models.derived import experts
from compgen.models.derived.effort import Effort
from compgen.models.derived.history import History
from compgen.models.derived.prices import Prices
from compgen.models.derived.weights import CODE_VALUES_PERCENT, initial_weights
from compgen.models.mixing import Mixer
from compgen.models.quantise import SHARE_BITS, log2_units
from compgen.models.samples.prediction import PREDICTIONS, Signal
from compgen.models.window import Window
from compgen.powers import FRACTION
from compgen.types import Frequencies

WARM_UP = 32
"""Bytes at the end of a prompt that a row is extended by, learning. Chosen: 0 to 256 bytes were within 0.003 bits per
byte of each other (docs/calibration.md, "What was tried and did not help")."""
SIGNAL_WARM_UP = 1024
"""The same for samples: a signal differs more from those of the fit than a text does. Chosen; docs/log.md, "samples
that stay signals", has the rates with this and with a longer one (2.75 and 2.73 bits per byte)."""
RATE = 131_072
"""The mixer's learning rate (see ``Mixer``). Chosen: up to four times as much was no better on the first 8,192 bytes of
alice29.txt (docs/log.md, "the rate of the first 8 KB")."""
COMMON_RATE = 65_536
"""The mixer's rate for all weights together. Chosen; a quarter of it gained 0.008 bits per byte there."""

_MIXER = 192 << 10
"""Bytes of memory of a row's weights, counts and tables. Measured: 40 KB for text, 130 KB for samples."""
_CALLS_TO_OPEN = 210
"""Code lengths that are measured when a window opens: of each byte that may come. Counted, at most."""
_OCCURRENCE = 250
"""Bytes of memory of a context that occurred once: an item of a dictionary, its key, and a list. Measured: 170."""


@dataclass(frozen=True)
class Proposals:
    """What all rows of a model have in common.

    Attributes:
        compressor: gives the code lengths.
        effort: what a row may spend.
        window: the context window, bytes.
        layout: what is known of how the bytes lie: rows, and samples with their channels and bits.
    """

    compressor: Compressor
    effort: Effort
    window: Window
    layout: Layout

    @functools.cached_property
    def has_code_values(self) -> bool:
        """Whether rows read probabilities from codes: the compressor is an arithmetic coder, and the effort is best."""
        return self.effort.code_values and self.compressor.open(b"").code_values([b""]) is not None

    @property
    def weights(self) -> tuple[NDArray[np.int64], ...]:
        """The fitted weights that its rows begin with."""
        samples = "rows" if self.layout.stride else "line"
        return initial_weights(samples if self.layout.pixel else self.effort.name)

    @property
    def warm_up(self) -> int:
        """Bytes at the end of a prompt that a row is extended by, learning."""
        return SIGNAL_WARM_UP if self.layout.pixel else WARM_UP

    @property
    def calls_to_warm_up(self) -> int:
        """Code lengths that are measured for the warm-up of the three contexts of a fingerprint, at most."""
        priced = self.warm_up * (self.effort.spans + 1) // self.effort.every
        return 3 * (priced + _CALLS_TO_OPEN * (self.warm_up // self.window.size))

    def memory(self, size: int) -> int:
        """Return the bytes of memory of what a row knows of a window of ``size`` bytes, at most, without its meters."""
        patterns = len(ORDERS) + len(self.effort.sparse) + ABOVE
        samples = 2 * size + 4 * self.layout.stride + 1024 if self.layout.pixel else 0
        dictionary = 0 if self.layout.pixel else len(self.compressor.static_dictionary())
        return _MIXER + _OCCURRENCE * patterns * size + 12 * (PREDICTIONS + 1) * samples + dictionary

    def layout_of(self, window: bytes) -> Layout:
        """Return the layout of a window: the rule's own, or records of a length that stands out in the window."""
        return self.layout if self.layout.stride or self.layout.pixel else Layout(period(window))


class ProposalsRow:
    """One sequence. It mixes experts, and learns from each byte until it is frozen.

    Args:
        rule: what all rows have in common.
        window: bytes that the row starts on; it learns nothing from them.
        weights: for each family of sets, (sets, experts) weights in units of 1 / WEIGHT_ONE. Default: the fitted ones.
        offset: bytes of the sequence before ``window``. They tell where a pixel begins.
    """

    def __init__(
        self,
        rule: Proposals,
        window: bytes,
        weights: Sequence[NDArray[np.int64]] | None = None,
        offset: int = 0,
    ) -> None:
        self.rule = rule
        self._weights = rule.weights if weights is None else tuple(weights)
        self._offset = offset
        self._is_frozen = False
        self._layout = rule.layout_of(window)
        self.mixer = self._new_mixer()
        self._open(window, None)

    @classmethod
    def after(cls, rule: Proposals, prompt: bytes) -> ProposalsRow:
        """Return the row after ``prompt``: a start on the prompt without its warm-up, extended by the warm-up."""
        known = prompt[: max(0, len(prompt) - rule.warm_up)]
        window = rule.window.visible(known)
        row = cls(rule, window, offset=len(known) - len(window))
        for symbol in prompt[len(known) :]:
            row.extend(symbol)
        return row

    def _new_mixer(self) -> Mixer:
        """Return a mixer for the experts of the layout in use."""
        # The fitted weights of samples cover the rows above; those of other bytes do not.
        more = 0 if self.rule.layout.pixel else len(above(self._layout))
        weights = with_experts(self._weights, more, ABOVE_PERCENT)
        weights = with_experts(weights, int(self.rule.has_code_values), CODE_VALUES_PERCENT)
        return Mixer(weights, RATE, COMMON_RATE)

    def _open(self, window: bytes, prices: NDArray[np.int64] | None) -> None:
        """Start on ``window`` with what was learnt of prices, (64,), or None."""
        rule = self.rule
        dictionary = b"" if rule.layout.pixel else rule.compressor.static_dictionary()
        patterns = [lookahead.pattern for lookahead in experts.lookaheads(rule.effort, self._layout)]
        self._history = History(window, patterns, dictionary)
        self._signal = Signal(window[self._before_pixel :], self._layout) if rule.layout.pixel else None
        self._meter = rule.compressor.open(window)
        self._literals = experts.Literals()
        self._prices = Prices(rule.compressor, self._history, prices)
        self._frequencies: Frequencies | None = None
        if self._is_frozen:
            self.freeze()

    @property
    def _before_pixel(self) -> int:
        """Bytes of the window before its first whole pixel."""
        return -self._offset % self.rule.layout.pixel

    def fork(self) -> ProposalsRow:
        """Return an independent copy."""
        fork = copy.copy(self)
        fork.mixer = self.mixer.fork()
        fork._frequencies = None  # the fork's mixer must mix before it learns
        fork._history = self._history.fork()
        fork._signal = None if self._signal is None else self._signal.fork()
        fork._meter = self._meter.fork()
        fork._literals = self._literals.fork()
        fork._prices = self._prices.fork()
        return fork

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies."""
        if self._frequencies is None:
            self._frequencies = self.mixer.mix(*self._experts())
        return self._frequencies

    def freeze(self) -> None:
        """Stop learning: weights, predictions of samples and occurrences of contexts stay as they are."""
        self._is_frozen = True
        self._frequencies = None  # a frozen signal predicts otherwise
        self.mixer.freeze()
        self._history.freeze()
        if self._signal is not None:
            self._signal.freeze()

    def added_length(self, symbol: int) -> float:
        """Return L(context + symbol) - L(context), bits, of the compressor."""
        after, before = self._meter.code_lengths([bytes([symbol]), b""])
        return float(after - before)

    def extend(self, symbol: int) -> None:
        """Append one byte, and learn from it unless frozen. A window that is full reopens."""
        self.frequencies()
        self.mixer.learn(symbol)
        self._frequencies = None
        if self._signal is not None and self._history.window_size >= self._before_pixel:
            self._signal.append(symbol)
        self._history.append(symbol)
        if self.rule.window.is_full(self._history.window_size):
            self._reopen(self.rule.window.reopened(bytes(self._history.data)))
        else:
            self._meter.extend(bytes([symbol]))

    def _reopen(self, window: bytes) -> None:
        """Start again on ``window``. Prices stay, and weights too unless the window has another record length."""
        self._offset += self.rule.window.size
        layout = self.rule.layout_of(window)
        if layout != self._layout:
            self._layout = layout
            self.mixer = self._new_mixer()
        self._open(window, self._prices.table)

    def _experts(self) -> tuple[NDArray[np.int64], list[int]]:
        """Return (E, 256) log2 of each expert's probabilities, units of 2**-FRACTION bits, and the mixer's sets.

        The experts stand in the order of the weights: literals, recent bytes, lookaheads, predictions, code values.
        """
        found = experts.occurrences(self._history, experts.lookaheads(self.rule.effort, self._layout))
        orders = experts.orders_seen(found)
        if orders:
            self._prices.update(self._meter, self._history, found[:orders], self.rule.effort)
        sizes = [len(positions) for positions in found]
        shares = np.empty((experts.FIRST_LOOKAHEAD + len(found), 256), dtype=np.int64)
        shares[experts.LITERALS] = self._literals.shares(self._meter, self._history)
        shares[experts.RECENT] = experts.recent_shares(self._history, shares[experts.LITERALS])
        distinct = experts.fill_lookaheads(self._history, found, self._prices.worth(), shares)
        if self._signal is not None:
            shares = np.vstack([shares, self._signal.shares()])
            sets = [orders, self._signal.activity, self._signal.kind]
        else:
            sets = experts.mixer_sets(orders, sizes, distinct, self._history.window_size)
        if self.rule.has_code_values:
            shares = np.vstack([shares, experts.code_shares(self._meter)])
        return log2_units(shares + 1) - (SHARE_BITS << FRACTION), sets
