"""What the forward passes of LZ77 decoders have in common; see ``lz77.py`` and ``states.py``."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from compgen.jit import Loops
from compgen.laws.base import frequencies_of
from compgen.types import Frequencies

MANTISSA = 34
"""Bits of a boundary mass."""
HALF = 31
"""Products of masses and the prices of distances are summed in two halves, the lower one of so many bits."""

LOOPS = Loops(cost=1.0)
"""Compiled loops: importing numba and loading them takes about a second."""


class ForwardPass(ABC):
    """The sum over all ways to write the bytes, from a boundary on.

    Args:
        known: the bytes before, as far as they are wanted.
        size: bytes of the array that holds these and all that may be appended.
    """

    def __init__(self, known: bytes, size: int) -> None:
        self._origin = len(known)
        self.end = len(known)
        self._data = np.zeros(size, dtype=np.uint8)
        self._data[: len(known)] = np.frombuffer(known, dtype=np.uint8)
        self._links: tuple[NDArray[Any], ...] | None = None  # for loops: where bytes lie
        self._alike: tuple[int, NDArray[np.int64]] | None = None  # see ``agreeing``

    @property
    def context(self) -> bytes:
        """All bytes so far."""
        return self._data[: self.end].tobytes()

    def agreeing(self, reach: int) -> NDArray[np.int64]:
        """Return the positions behind bytes that equal the last one, within reach, ascending."""
        end, data = self.end, self._data
        if self._alike is None or self._alike[0] != end:
            low = max(end - reach, 1)
            places = np.flatnonzero(data[low - 1 : end - 1] == data[end - 1]) + low if end else np.empty(0, np.int64)
            self._alike = end, places
        return self._alike[1]

    @abstractmethod
    def literals(self) -> NDArray[np.int64]:
        """Return (256,) prices of the next byte as a literal, in units of 2**-20."""

    @abstractmethod
    def recent(self) -> tuple[NDArray[np.int64], int]:
        """Return (256,) masses by the byte that the last match's distance would go on with, and the mass of no such."""

    def fork(self) -> Self:
        """Return an independent copy."""
        fork = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(fork, name, value.copy())
        if self._links is not None:
            fork._links = tuple(one.copy() for one in self._links)
        return fork

    def append(self, data: NDArray[np.uint8]) -> None:
        """Append bytes."""
        if LOOPS.run_compiled:
            self._compiled(data, None, None, None)
            return
        with LOOPS.fallback():
            self._links = None
            for symbol in data.tolist():
                self._append(symbol)

    def followed_by(self, symbol: int) -> Frequencies | None:
        """Append one byte, and return (256,) frequencies of the next where loops run compiled: one call does both."""
        data = np.array([symbol], dtype=np.uint8)
        if not LOOPS.run_compiled:
            self.append(data)
            return None
        found = np.empty(256, dtype=np.int64)
        self._compiled(data, None, None, found)
        return found

    def consume(self, data: NDArray[np.uint8], low: NDArray[np.int64], width: NDArray[np.int64]) -> None:
        """Append (T,) bytes, and fill (T,) ``low`` and ``width`` with their intervals."""
        if LOOPS.run_compiled:
            self._compiled(data, low, width, None)
            return
        with LOOPS.fallback():
            self._links = None
            for step, symbol in enumerate(data.tolist()):
                frequencies = frequencies_of(self._weights())
                width[step] = frequencies[symbol]
                low[step] = frequencies[:symbol].sum()
                self._append(symbol)

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies of the next byte."""
        if LOOPS.run_compiled:
            found = np.empty(256, dtype=np.int64)
            self._compiled(self._data[:0], None, None, found)
            return found
        with LOOPS.fallback():
            return frequencies_of(self._weights())

    @abstractmethod
    def _append(self, symbol: int) -> None:
        """Append one byte."""

    @abstractmethod
    def _weights(self) -> NDArray[np.int64]:
        """Return (256,) weights of the next byte, integers in proportion to its probability."""

    @abstractmethod
    def _compiled(self, data: NDArray[np.uint8], low: Any, width: Any, frequencies: Any) -> None:
        """Do the same in compiled loops: append ``data``, and fill those of the others that are not None."""
