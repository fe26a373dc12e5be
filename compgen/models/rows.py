"""States of rows that know nothing of each other. Each row is one sequence, with what it knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from compgen.models.base import State
from compgen.types import Frequencies, Rows, Symbols


class Row(Protocol):
    """One sequence."""

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies of the next byte."""

    def extend(self, symbol: int) -> None:
        """Append one byte."""

    def added_length(self, symbol: int) -> float:
        """Return L(context + symbol) - L(context), bits, of the compressor."""

    def freeze(self) -> None:
        """Stop learning, in place."""

    def fork(self) -> Self:
        """Return an independent copy."""


R = TypeVar("R", bound=Row)


class RowsState(State, Generic[R]):
    """B rows of one kind."""

    def __init__(self, rows: list[R]) -> None:
        self._rows = rows

    @classmethod
    def start(cls, row_after: Callable[[bytes], R], prompts: Sequence[bytes]) -> Self:
        """Return a state after ``prompts``. ``row_after`` opens a row, once for equal prompts."""
        opened = {prompt: row_after(prompt) for prompt in dict.fromkeys(prompts)}
        return cls([opened[prompt].fork() for prompt in prompts])

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._rows)

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies."""
        return np.array([row.frequencies() for row in self._rows])  # faster than np.stack for few rows

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row; ``symbols`` is (B,)."""
        for row, symbol in zip(self._rows, symbols.tolist(), strict=True):
            row.extend(symbol)

    def consume(self, symbols: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Extend each row by T bytes, and return their intervals; see ``State.consume``."""
        low, width = np.empty(symbols.shape, dtype=np.int64), np.empty(symbols.shape, dtype=np.int64)
        for place, row in enumerate(self._rows):
            for step, symbol in enumerate(symbols[:, place].tolist()):
                frequencies = row.frequencies()
                low[step, place], width[step, place] = frequencies[:symbol].sum(), frequencies[symbol]
                row.extend(symbol)
        return low, width

    def fork(self, rows: Rows) -> Self:
        """Return an independent state of the given rows."""
        return type(self)([self._rows[row].fork() for row in rows])

    def freeze(self) -> None:
        """Stop learning in every row, in place."""
        for row in self._rows:
            row.freeze()

    def added_lengths(self, symbols: Symbols) -> NDArray[np.float64]:
        """Return (B,) L(context + symbol) - L(context), bits, of the compressor."""
        pairs = zip(self._rows, symbols.tolist(), strict=True)
        return np.array([row.added_length(symbol) for row, symbol in pairs])
