"""The law of PPMd: its own model's chances of each byte, exactly."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from compgen.laws.base import Law, LawState
from compgen.laws.ppmd_model import Model
from compgen.types import Frequencies


@dataclass(frozen=True)
class PpmdLaw(Law):
    """The law of PPMd, variant H, with contexts of up to ``order`` bytes (2 to 64)."""

    order: int = 6

    def start(self, context: bytes) -> PpmdState:
        """Return the state after ``context``."""
        state = PpmdState(self.order)
        state.read(np.frombuffer(context, dtype=np.uint8))
        return state


class PpmdState(LawState):
    """A model that has read the context."""

    def __init__(self, order: int) -> None:
        self._model = Model(order)
        self._frequencies: Frequencies | None = None

    def read(self, data: NDArray[np.uint8]) -> None:
        """Append (T,) bytes; what they cost is not asked for."""
        self._frequencies = None
        self._model.append(data)

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies; see ``LawState``."""
        if self._frequencies is None:
            self._frequencies = self._model.frequencies()
        return self._frequencies

    def append(self, symbol: int) -> None:
        """Append one byte."""
        self.read(np.array([symbol], dtype=np.uint8))

    def consume(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append (T,) known bytes; see ``LawState``."""
        self._frequencies = None
        low, width = np.empty(len(data), dtype=np.int64), np.empty(len(data), dtype=np.int64)
        self._model.append(data, low, width)
        return low, width

    def fork(self) -> Self:
        """Return an independent state."""
        fork = copy.copy(self)
        fork._model = self._model.fork()
        return fork
