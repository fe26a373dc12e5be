"""The calibrated rule: an honest distribution from everything that code lengths tell.

docs/calibration.md has the mathematics and the measurements. ``row.py`` holds one sequence; ``experts.py`` the
distributions that it mixes; ``prices.py`` what the compressor charges for spans; ``history.py`` where contexts occurred
before; ``records.py`` the length of records; ``signal.py`` the prediction of samples; ``weights.py`` where the mixer
begins. From code lengths to frequencies everything is integer or table arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compgen.models.base import State
from compgen.models.derived.row import CalibratedRow, CalibratedRule
from compgen.types import Frequencies, Rows, Symbols


class CalibratedState(State):
    """B rows, each of which learns from its own bytes."""

    def __init__(self, rows: list[CalibratedRow]) -> None:
        self._rows = rows

    @classmethod
    def start(cls, rule: CalibratedRule, prompts: Sequence[bytes]) -> CalibratedState:
        """Return a state after ``prompts``; equal prompts are opened once."""
        opened = {prompt: CalibratedRow.after(rule, prompt) for prompt in dict.fromkeys(prompts)}
        return cls([opened[prompt].fork() for prompt in prompts])

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._rows)

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies by the calibrated rule."""
        return np.stack([row.frequencies() for row in self._rows])

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row. Rows that are not frozen learn from it."""
        for row, symbol in zip(self._rows, symbols.tolist(), strict=True):
            row.extend(symbol)

    def fork(self, rows: Rows) -> CalibratedState:
        """Return an independent state of the given rows."""
        return CalibratedState([self._rows[row].fork() for row in rows])

    def freeze(self) -> None:
        """Stop learning in every row."""
        for row in self._rows:
            row.freeze()

    def added_lengths(self, symbols: Symbols) -> NDArray[np.float64]:
        """Return (B,) L(context + symbol) - L(context), bits, of the compressor."""
        pairs = zip(self._rows, symbols.tolist(), strict=True)
        return np.array([row.added_length(symbol) for row, symbol in pairs])
