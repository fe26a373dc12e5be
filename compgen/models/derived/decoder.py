"""The decoder's rule: the next byte as the compressor's own decoder would write it, fed with fair random bits.

The law itself is the compressor's (``compgen/laws/``). Here are its rows: each a window that grows and reopens, and the
law's state after it. Nothing is learnt and nothing is fitted to what follows.
"""

from __future__ import annotations

import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray

from compgen.compressors.base import Compressor, Meter
from compgen.laws.base import Law
from compgen.models.rows import RowsState
from compgen.models.window import Window
from compgen.types import Frequencies


class DecoderRow:
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
        self._state = self._law.start(window)
        if self._frozen:
            self._state.freeze()
        self._meter = None

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies by the law."""
        return self._state.frequencies()

    def extend(self, symbol: int) -> None:
        """Append one byte."""
        self._window.append(symbol)
        if self._rule.is_full(len(self._window)):
            self._open(self._rule.reopened(bytes(self._window)))
            return
        self._state.append(symbol)
        if self._meter is not None:
            self._meter.extend(bytes([symbol]))

    def consume(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append (T,) known bytes; return (T,) low and (T,) frequency of their intervals."""
        none = np.empty(0, dtype=np.int64)
        parts, done = [(none, none)], 0
        while done < len(data):
            part = data[done : done + self._rule.room(len(self._window))]
            parts.append(self._state.consume(part))
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
        """Stop learning, in place; only the law of a model learns."""
        self._frozen = True
        self._state.freeze()

    def fork(self) -> Self:
        """Return an independent copy."""
        fork = copy.copy(self)
        fork._window = self._window.copy()
        fork._state = self._state.fork()
        fork._meter = None if self._meter is None else self._meter.fork()
        return fork


class LawRowsState(RowsState[DecoderRow]):
    """B rows under one compressor's law, calibrated or not."""

    def consume(self, symbols: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append (T, B) known bytes; return low and frequency, (T, B) each, of their intervals."""
        low, width = np.empty(symbols.shape, dtype=np.int64), np.empty(symbols.shape, dtype=np.int64)
        for number, row in enumerate(self._rows):
            low[:, number], width[:, number] = row.consume(np.ascontiguousarray(symbols[:, number]))
        return low, width
