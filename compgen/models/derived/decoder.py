"""The decoder's rule: the next byte as the compressor's own decoder would write it, fed with fair random bits.

The law itself is the compressor's (``compgen/laws/``). Here are its rows: each a window that grows and reopens, and the
law's state after it. Nothing is learnt and nothing is fitted to what follows.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from compgen.compressors.base import Compressor, Meter
from compgen.laws.base import Law
from compgen.models.base import State
from compgen.models.window import Window
from compgen.types import Frequencies, Rows, Symbols


class DecoderState(State):
    """B rows under one compressor's law."""

    def __init__(self, rows: list[_Row]) -> None:
        self._rows = rows

    @classmethod
    def start(cls, compressor: Compressor, window: Window, prompts: Sequence[bytes]) -> DecoderState:
        """Return a state after ``prompts`` under the law of ``compressor``; equal prompts are opened once."""
        law = compressor.law()
        opened = {prompt: _Row(compressor, law, window, prompt) for prompt in dict.fromkeys(prompts)}
        return cls([opened[prompt].fork() for prompt in prompts])

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._rows)

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies by the law."""
        return np.stack([row.state.frequencies() for row in self._rows])

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row."""
        for row, symbol in zip(self._rows, symbols.tolist(), strict=True):
            row.append(symbol)

    def consume(self, symbols: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append (T, B) known bytes; return low and frequency, (T, B) each, of their intervals."""
        low, width = np.empty(symbols.shape, dtype=np.int64), np.empty(symbols.shape, dtype=np.int64)
        for number, row in enumerate(self._rows):
            low[:, number], width[:, number] = row.consume(np.ascontiguousarray(symbols[:, number]))
        return low, width

    def fork(self, rows: Rows) -> DecoderState:
        """Return a state of the given rows."""
        return DecoderState([self._rows[row].fork() for row in rows])

    def freeze(self) -> None:
        """Stop learning, in place; only the law of a model learns."""
        for row in self._rows:
            row.freeze()

    def added_lengths(self, symbols: Symbols) -> NDArray[np.float64]:
        """Return (B,) L(context + symbol) - L(context), bits."""
        pairs = zip(self._rows, symbols.tolist(), strict=True)
        return np.array([row.added_length(symbol) for row, symbol in pairs])


class _Row:
    """One sequence: its window, and the law's state after it."""

    def __init__(self, compressor: Compressor, law: Law, rule: Window, prompt: bytes) -> None:
        self._compressor = compressor
        self._law = law
        self._rule = rule
        self._meter: Meter | None = None  # opened where someone asks for code lengths
        self._frozen = False
        self._open(rule.visible(prompt))

    def _open(self, window: bytes) -> None:
        self._window = bytearray(window)
        self.state = self._law.start(window)
        if self._frozen:
            self.state.freeze()
        self._meter = None

    def append(self, symbol: int) -> None:
        """Append one byte."""
        self._window.append(symbol)
        if self._rule.is_full(len(self._window)):
            self._open(self._rule.reopened(bytes(self._window)))
            return
        self.state.append(symbol)
        if self._meter is not None:
            self._meter.extend(bytes([symbol]))

    def consume(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append (T,) known bytes; return (T,) low and (T,) frequency of their intervals."""
        none = np.empty(0, dtype=np.int64)
        parts, done = [(none, none)], 0
        while done < len(data):
            part = data[done : done + self._rule.room(len(self._window))]
            parts.append(self.state.consume(part))
            self._window += part.tobytes()
            self._meter = None
            done += len(part)
            if self._rule.is_full(len(self._window)):
                self._open(self._rule.reopened(bytes(self._window)))
        low, width = (np.concatenate([part[i] for part in parts]) for i in range(2))
        return low, width

    def added_length(self, symbol: int) -> float:
        """Return L(context + symbol) - L(context), bits."""
        if self._meter is None:
            self._meter = self._compressor.open(bytes(self._window))
        after, before = self._meter.code_lengths([bytes([symbol]), b""])
        return float(after - before)

    def freeze(self) -> None:
        """Stop learning, in place."""
        self._frozen = True
        self.state.freeze()

    def fork(self) -> Self:
        """Return an independent copy."""
        fork = copy.copy(self)
        fork._window = self._window.copy()
        fork.state = self.state.fork()
        fork._meter = None if self._meter is None else self._meter.fork()
        return fork
