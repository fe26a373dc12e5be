"""Steer samples out of loops: a penalty for bytes that repeat, and a length that no repetition may reach.

A byte *repeats n bytes* if it and the n - 1 bytes before it stand, in this order, somewhere earlier in the prompt or in
the continuation. Language models penalise each token that occurred before (Keskar et al. 2019, section 4.1). Here
tokens are bytes, and almost every byte occurred before. So the penalty grows with the length of the repetition, as in
the DRY sampler of llama.cpp. docs/log.md compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.types import Mask, Rows, Symbols

_LONGEST = 64
"""Bytes of a repetition that the penalty counts at most. Chosen: the penalty 1.1 is then at most a factor of 446."""


@dataclass(frozen=True)
class Repetition:
    """The two options against repetitions.

    Attributes:
        penalty: the probability of a byte that repeats n bytes is divided by this to the power n, before temperature.
            1 is off. Below 1, repetitions become more probable.
        ngram: bytes that no repetition may reach: a byte that repeats so many is not drawn. None is off.
    """

    penalty: float = 1.0
    ngram: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.penalty < float("inf"):
            raise UsageError(f"repetition-penalty must be a positive number, and 1 is off; not {self.penalty}")
        if self.ngram is not None and self.ngram < 1:
            raise UsageError(f"no-repeat-ngram must be 1 or more bytes, not {self.ngram}")

    @property
    def counted(self) -> int:
        """Bytes of a repetition that matter at most; 0 if both options are off."""
        return max(0 if self.penalty == 1 else _LONGEST, self.ngram or 0)

    def start(self, prompts: list[bytes]) -> Histories:
        """Return the histories of B rows, which begin with ``prompts``."""
        return Histories(self, [bytearray(one) for one in prompts] if self.counted else [])


@dataclass
class Histories:
    """The bytes so far of B rows. All that is told of a row is a function of its bytes.

    While both options are off, no bytes are kept.
    """

    options: Repetition
    _rows: list[bytearray]
    _known: NDArray[np.int64] | None = field(default=None, init=False)

    def allowed(self, mask: Mask) -> Mask:
        """Return ``mask``, (B, 256), without the bytes that repeat as many bytes as no repetition may reach."""
        return mask if self.options.ngram is None else mask & (self._repeated() < self.options.ngram)

    def penalties(self) -> NDArray[np.float64] | None:
        """Return (B, 256) bits that the penalty takes from the log-probability of each byte; None if it is off."""
        if self.options.penalty == 1:
            return None
        bits: NDArray[np.float64] = np.minimum(self._repeated(), _LONGEST) * np.log2(self.options.penalty)
        return bits

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row, in place; ``symbols`` is (B,)."""
        for row, symbol in zip(self._rows, symbols.tolist(), strict=False):  # no rows are kept while all is off
            row.append(symbol)
        self._known = None

    def fork(self, rows: Rows) -> Histories:
        """Return an independent copy of the given rows."""
        return Histories(self.options, [bytearray(self._rows[row]) for row in rows] if self._rows else [])

    def _repeated(self) -> NDArray[np.int64]:
        if self._known is None:
            self._known = np.array([repeated(bytes(row), self.options.counted) for row in self._rows])
        return self._known


def repeated(history: bytes, most: int) -> NDArray[np.int64]:
    """Return (256,) how many bytes each byte would repeat after ``history``, at most ``most``; 0 for a new byte.

    This takes time in proportion to the bytes of ``history``: some 3 ms for 100 KB of English, and 50 ms for 100 KB of
    one byte, measured on one core.
    """
    past = np.frombuffer(history, dtype=np.uint8)
    lengths = np.zeros(256, dtype=np.int64)
    ends = np.arange(len(past))  # where a repetition would have its last byte
    for length in range(1, most + 1):
        lengths[past[ends]] = length
        ends = ends[length <= ends]
        ends = ends[past[ends - length] == past[-length]] if len(ends) else ends
        if not len(ends):
            break
    return lengths
