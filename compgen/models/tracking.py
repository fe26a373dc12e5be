"""Tracking the best of several distributions: a Bayes mixture in which the best may change, in integer arithmetic.

Each expert has a weight, and p(b) is the mean of the experts' p_e(b) by these weights. After each byte the weights are
multiplied by what the experts gave the byte, so that each is the chance that its expert is the one to believe. Then all
give a small share of their weight, which is divided evenly: an expert that was wrong for long may come back (fixed
share: Herbster and Warmuth 1998, "Tracking the best expert").

Over n bytes and E experts, the mixture costs at most log2(E) bits more than the best of them, and log2(N / (N - 1)) for
each byte at which a share of 1/N is given: over any text of a kilobyte, 0.003 bits per byte with three experts.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from compgen.laws.base import frequencies_of
from compgen.types import Frequencies

_ONE = 1 << 24
"""The sum of the weights, but for rounding. Chosen: a weight times a frequency, of 24 bits, fits an int64 by far."""

_FIRST, _LAST = 512, 1 << 13
"""After n bytes, weights give a share of 1 over ``_FIRST`` + n, but of 1 over ``_LAST`` at least.

Chosen on eight texts of 4 KB and six mixtures, among 2**-12 to 2**-7 and shares that fall: docs/log.md.
"""


class Tracker:
    """The weights of one row's experts, which begin even."""

    def __init__(self, experts: int) -> None:
        self._weights = [_ONE // experts] * experts
        self._given: NDArray[np.int64] = np.zeros((experts, 256), dtype=np.int64)  # frequencies of the last mix
        self._learnt = 0  # bytes
        self._is_frozen = False

    def mix(self, experts: NDArray[np.int64]) -> Frequencies:
        """Return (256,) frequencies, the mean of (E, 256) frequencies of the experts by their weights."""
        self._given = experts
        # Products of int64 use no BLAS and do not round, so they are the same on every machine.
        return frequencies_of(np.array(self._weights, dtype=np.int64) @ experts)

    def learn(self, symbol: int) -> None:
        """Weigh the experts of the last mix by what they gave ``symbol``, the byte that followed it."""
        if self._is_frozen:
            return
        shares = [weight * share for weight, share in zip(self._weights, self._given[:, symbol].tolist(), strict=True)]
        total, given = sum(shares), _ONE // min(_FIRST + self._learnt, _LAST)
        self._weights = [share * (_ONE - given) // total + given // len(shares) for share in shares]
        self._learnt += 1

    def freeze(self) -> None:
        """Stop learning."""
        self._is_frozen = True

    def fork(self) -> Self:
        """Return an independent copy. It must mix before it learns."""
        fork = type(self)(len(self._weights))
        fork._weights, fork._learnt, fork._is_frozen = self._weights.copy(), self._learnt, self._is_frozen
        return fork
