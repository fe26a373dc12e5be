"""The uniform distribution: the model of a file about which nothing is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from compgen.models.base import ALPHABET, PRECISION, ByteModel, State
from compgen.types import Frequencies, Rows, Symbols


@dataclass(frozen=True)
class Uniform(ByteModel):
    """Every byte has probability 1/256, so a file costs 8 bits per byte."""

    name: ClassVar[str] = "uniform"

    def start(self, prompts: Sequence[bytes]) -> UniformState:
        """Return a state of ``len(prompts)`` rows; it ignores the bytes of the prompts."""
        return UniformState(len(prompts))


class UniformState(State):
    """A number of rows, and nothing else."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return self._rows

    def frequencies(self) -> Frequencies:
        """Return (B, 256) equal frequencies."""
        return np.full((self._rows, ALPHABET), (1 << PRECISION) // ALPHABET, dtype=np.int64)

    def extend(self, symbols: Symbols) -> None:
        """Do nothing: no byte changes the distribution."""

    def fork(self, rows: Rows) -> UniformState:
        """Return a state of ``len(rows)`` rows."""
        return UniformState(len(rows))
