"""The one-step rule: the paper's way from code lengths to a distribution (Deletang et al. 2024, section 3.4).

p(b | context) is proportional to 2**-(L(context b) - L(context)). The rule sees one byte ahead: a match of several
bytes looks no better than its first byte, and where code lengths are whole bytes nearly all of them tie.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compgen.compressors.base import Compressor, Meter
from compgen.models.base import State
from compgen.models.quantise import frequencies_from_lengths
from compgen.models.window import Window
from compgen.types import CodeLengths, Frequencies, Rows, Symbols

_BYTES = [bytes([b]) for b in range(256)]


class OneStepState(State):
    """Rows over shared, immutable contexts: a fork copies references, and rows with equal contexts measure once."""

    def __init__(self, contexts: list[_Context]) -> None:
        self._contexts = contexts

    @classmethod
    def start(cls, compressor: Compressor, window: Window, prompts: Sequence[bytes]) -> OneStepState:
        """Return a state after ``prompts``; equal prompts share a context."""
        contexts = {prompt: _Context.open(compressor, window, prompt) for prompt in dict.fromkeys(prompts)}
        return cls([contexts[prompt] for prompt in prompts])

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._contexts)

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies by the one-step rule."""
        return np.stack([context.frequencies() for context in self._contexts])

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row. Rows that shared a context and get equal bytes share the next one."""
        children: dict[tuple[int, int], _Context] = {}
        for context, symbol in zip(self._contexts, symbols.tolist(), strict=True):
            if (id(context), symbol) not in children:
                children[id(context), symbol] = context.extended(symbol)
        self._contexts = [children[id(c), s] for c, s in zip(self._contexts, symbols.tolist(), strict=True)]

    def fork(self, rows: Rows) -> OneStepState:
        """Return an independent state of the given rows."""
        return OneStepState([self._contexts[row] for row in rows])

    def added_lengths(self, symbols: Symbols) -> NDArray[np.float64]:
        """Return (B,) L(context + symbol) - L(context), bits."""
        added = (c.added_lengths()[s] for c, s in zip(self._contexts, symbols.tolist(), strict=True))
        return np.fromiter(added, np.float64, self.rows)

    def code_waste(self) -> NDArray[np.float64]:
        """Return (B,) log2 of the sum over bytes of 2**-(L(context + byte) - L(context)), bits."""
        added = np.stack([context.added_lengths() for context in self._contexts])
        least = added.min(axis=1, keepdims=True)
        waste: NDArray[np.float64] = np.log2(np.exp2(least - added).sum(axis=1)) - least[:, 0]
        return waste


class _Context:
    """The bytes that a row's window holds, and a meter that stands after them. What it has measured it keeps."""

    def __init__(self, compressor: Compressor, rule: Window, meter: Meter, window: bytes) -> None:
        self._compressor = compressor
        self._rule = rule
        self._meter = meter
        self._window = window
        self._lengths: CodeLengths | None = None
        self._frequencies: Frequencies | None = None

    @classmethod
    def open(cls, compressor: Compressor, rule: Window, prompt: bytes) -> _Context:
        """Return the context of a row after ``prompt``."""
        window = rule.visible(prompt)
        return cls(compressor, rule, compressor.open(window), window)

    def extended(self, symbol: int) -> _Context:
        """Return the context with one more byte."""
        window = self._window + _BYTES[symbol]
        if self._rule.is_full(len(window)):
            return _Context.open(self._compressor, self._rule, window)
        meter = self._meter.fork()
        meter.extend(_BYTES[symbol])
        return _Context(self._compressor, self._rule, meter, window)

    def _measured(self) -> CodeLengths:
        """Return (257,) code lengths, bits: of the context with each byte, then of the context alone."""
        if self._lengths is None:
            self._lengths = self._meter.code_lengths([*_BYTES, b""])
        return self._lengths

    def added_lengths(self) -> CodeLengths:
        """Return (256,) bits that each byte would add."""
        lengths = self._measured()
        added: CodeLengths = lengths[:256] - lengths[256]
        return added

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies."""
        if self._frequencies is None:
            self._frequencies = frequencies_from_lengths(self._measured()[None, :256])[0]
        return self._frequencies
