"""Log-linear mixing of distributions, with weights that learn as they go, in integer arithmetic.

log2 p(b) = sum over experts e of w_e * log2 p_e(b), minus a constant: a product of experts with exponents (Genest
and Zidek 1986; PAQ mixes bits this way). After each byte the weights take a step up the gradient of log2 p(b),
x_e(b) - E[x_e]. Its mean over the experts moves all weights together, which is a temperature, and experts that are much
alike agree on it each time: it has a smaller rate of its own. Weights come in sets; a context chooses one set of each
family, and their sum is used and learns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compgen.jit import compiled_by_now
from compgen.models.base import PRECISION
from compgen.models.quantise import FRACTION, exp2_table, frequencies_from_weights, weights_from_units
from compgen.types import Frequencies

WEIGHT_ONE = 1 << 16
"""A weight of one."""

_RATE_SHIFT = 24


class Mixer:
    """One row's weights: for each family of sets, (sets, E) integers in units of 1 / WEIGHT_ONE."""

    def __init__(self, families: Sequence[NDArray[np.int64]], rate: int, common_rate: int) -> None:
        self.families = [family.copy() for family in families]
        self.rate = rate
        self.common_rate = common_rate
        self._chosen: list[NDArray[np.int64]] = []
        self._experts: NDArray[np.int64] = np.zeros((0, 256), dtype=np.int64)
        self._frequencies: Frequencies = np.zeros(256, dtype=np.int64)

    def mix(self, experts: NDArray[np.int64], sets: Sequence[int]) -> Frequencies:
        """Return (256,) frequencies.

        Args:
            experts: (E, 256) log2 of each expert's probabilities, in units of 2**-FRACTION bits.
            sets: which set of each family to use.
        """
        self._experts = experts
        self._chosen = [family[chosen] for family, chosen in zip(self.families, sets, strict=True)]
        weights = self._chosen[0]
        for more in self._chosen[1:]:
            weights = weights + more
        kernel = compiled_by_now("mix")
        if kernel:
            self._frequencies = np.empty(256, dtype=np.int64)
            kernel(weights, experts, WEIGHT_ONE, exp2_table(), FRACTION, PRECISION, self._frequencies)
            return self._frequencies
        # int64 products: no BLAS, no rounding, the same on every machine
        score = (weights[:, None] * experts).sum(axis=0) // WEIGHT_ONE
        self._frequencies = frequencies_from_weights(weights_from_units(-score[None]))[0]
        return self._frequencies

    def learn(self, symbol: int) -> None:
        """Take a step towards having given ``symbol``, which followed the last mix, more."""
        expected = (self._experts * self._frequencies).sum(axis=1) >> PRECISION
        gradient = self._experts[:, symbol] - expected
        common = int(gradient.sum()) // len(gradient)
        step = ((gradient - common) * self.rate + common * self.common_rate) >> _RATE_SHIFT
        for chosen in self._chosen:
            chosen += step

    def fork(self) -> Mixer:
        """Return an independent copy, which must mix before it learns."""
        return Mixer(self.families, self.rate, self.common_rate)
