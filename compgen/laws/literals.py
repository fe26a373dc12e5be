"""LZMA's literals: a tree of eight bits, by the byte before and, behind a match, by the byte that is expected.

Behind a match the next byte is not the one that the match would have gone on with, or the match would be longer. LZMA
tells its coder that byte. As long as the bits of a literal agree with it, they have probabilities of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

ONE = 20
"""log2 of what the prices of literals, kinds and lengths sum to."""

_FINE = 30  # log2 of what products of probabilities sum to


@dataclass(frozen=True, eq=False)
class MatchedLiterals:
    """Prices of literals by the byte before and by the expected byte, found when they are asked for.

    Attributes:
        table: (6144,) the probability that a bit is 0, units of 2**-11; see ``lzma_loops.py``. Empty if there are none.
        rows: (2048, 256) prices, units of 2**-20; a row for each of 8 contexts and 256 expected bytes.
        known: (2048,) which rows are filled.
    """

    table: NDArray[np.int64]
    rows: NDArray[np.int32] = field(init=False)
    known: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        rows = 2048 if len(self.table) else 1
        object.__setattr__(self, "rows", np.zeros((rows, 256), dtype=np.int32))
        object.__setattr__(self, "known", np.zeros(rows, dtype=np.bool_))

    def prices(self, context: int, expected: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (n, 256) prices of a literal in the place of each of (n,) bytes ``expected``."""
        numbers = 256 * context + expected
        for number in numbers[~self.known[numbers]].tolist():
            self.rows[number] = literals(self.table, context, number % 256)
            self.known[number] = True
        found: NDArray[np.int64] = self.rows[numbers].astype(np.int64)
        return found


def literals(table: NDArray[np.int64], context: int, expected: int) -> NDArray[np.int64]:
    """Return (256,) prices of LZMA's literals, units of 2**-20; ``expected`` is -1 where no byte is."""
    part = np.zeros(512, dtype=np.int64)
    part[1] = 1 << _FINE
    for level in range(8):
        nodes = np.arange(1 << level, 2 << level)
        places = 768 * context + nodes
        if expected >= 0:
            path, bit = (256 | expected) >> (8 - level), expected >> (7 - level) & 1
            places[path - (1 << level)] += 256 + 256 * bit
        part[2 * nodes] = part[nodes] * table[places] >> 11
        part[2 * nodes + 1] = part[nodes] - part[2 * nodes]
    found: NDArray[np.int64] = np.maximum(part[256:] >> (_FINE - ONE), 1)
    return found
