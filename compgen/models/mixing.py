"""Log-linear mixing of distributions, with weights that learn as they go, in integer arithmetic.

log2 p(b) = sum over experts e of w_e * x_e(b), minus a constant, where x_e(b) = log2 p_e(b): a product of experts with
exponents (Genest and Zidek 1986; PAQ mixes bits this way). After each byte the weights take a step up the gradient of
log2 p(b), which is x_e(b) - E[x_e]. The mean of the step over the experts moves all weights together, as a temperature
would. Experts that are much alike agree on it at every byte, so it has a learning rate of its own. It may have a bound
too: a single byte that no expert expected would else change the temperature as much as hundreds of others.

Weights come in families of sets. The present context chooses one set of each family, for all experts or for each expert
its own. The sum of the chosen weights is used, and each of them learns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compgen.jit import SMALL
from compgen.models.base import PRECISION
from compgen.models.quantise import frequencies_from_weights, weights_from_units
from compgen.powers import FRACTION, exp2_table
from compgen.types import Frequencies

WEIGHT_ONE = 1 << 16
"""A weight of one. Chosen: a weight times a logarithm fits an int64 by far."""

_RATE_SHIFT = 24
"""A learning rate of 2**24 adds a gradient of n * 2**-FRACTION bits as n / WEIGHT_ONE to a weight. Chosen."""

UNBOUNDED = 1 << 62
"""A bound that no gradient reaches."""


def _mix_by_numpy(
    weights: NDArray[np.int64],
    places: NDArray[np.int64],
    experts: NDArray[np.int64],
    one: int,
    exp2: NDArray[np.int64],
    fraction: int,
    mixed: NDArray[np.int64],
) -> None:
    chosen = weights[places, np.arange(weights.shape[1])].sum(axis=0)
    # Products of int64 use no BLAS and do not round, so they are the same on every machine.
    score = (chosen[:, None] * experts).sum(axis=0) // one
    mixed[:] = weights_from_units(-score[None])


@SMALL.loop(fallback=_mix_by_numpy)
def _mix(weights: Any, places: Any, experts: Any, one: Any, exp2: Any, fraction: Any, mixed: Any) -> None:
    scores = np.zeros(256, dtype=np.int64)
    for e in range(experts.shape[0]):
        weight = 0
        for f in range(places.shape[0]):
            weight += weights[places[f, e], e]
        for b in range(256):
            scores[b] += weight * experts[e, b]
    for b in range(256):
        scores[b] //= one
    best = scores.max()
    for b in range(256):
        excess = best - scores[b]
        mixed[0, b] = exp2[excess & ((1 << fraction) - 1)] >> min(excess >> fraction, 63)


def _learn_by_numpy(
    weights: NDArray[np.int64],
    places: NDArray[np.int64],
    experts: NDArray[np.int64],
    frequencies: Frequencies,
    symbol: int,
    rate: int,
    common_rate: int,
    most: int,
    precision: int,
    shift: int,
) -> None:
    expected = (experts * frequencies).sum(axis=1) >> precision
    gradient = experts[:, symbol] - expected
    common = int(gradient.sum()) // len(gradient)
    bounded = min(max(common, -most), most)
    step = ((gradient - common) * rate + bounded * common_rate) >> shift
    for row in places:  # families do not overlap
        weights[row, np.arange(len(step))] += step


@SMALL.loop(fallback=_learn_by_numpy)
def _learn(
    weights: Any,
    places: Any,
    experts: Any,
    frequencies: Any,
    symbol: Any,
    rate: Any,
    common_rate: Any,
    most: Any,
    precision: Any,
    shift: Any,
) -> None:
    count = experts.shape[0]
    gradient = np.empty(count, dtype=np.int64)
    for e in range(count):
        expected = 0
        for b in range(256):
            expected += experts[e, b] * frequencies[b]
        gradient[e] = experts[e, symbol] - (expected >> precision)
    common = gradient.sum() // count
    bounded = min(max(common, -most), most)
    for e in range(count):
        step = ((gradient[e] - common) * rate + bounded * common_rate) >> shift
        for f in range(places.shape[0]):
            weights[places[f, e], e] += step


class Mixer:
    """The weights of one row.

    Args:
        families: for each family, (sets, E) weights of E experts, in units of 1 / WEIGHT_ONE. The mixer copies them.
        rate: the learning rate of each weight's own part of the step, in units of 2**-24 (see ``_RATE_SHIFT``).
        common_rate: the learning rate of the part that all weights have in common, in the same units.
        most: the largest part that all gradients have in common that a step uses, in units of 2**-FRACTION bits. A
            larger one counts as this one. Default: there is no bound.
    """

    def __init__(
        self, families: Sequence[NDArray[np.int64]], rate: int, common_rate: int, most: int = UNBOUNDED
    ) -> None:
        self._weights = np.concatenate([np.asarray(family, dtype=np.int64) for family in families])
        ends = np.cumsum([len(family) for family in families])
        self._begins = (ends - [len(family) for family in families])[:, None]
        self.rate = rate
        self.common_rate = common_rate
        self._most = most
        self._places: NDArray[np.int64] = np.zeros((0, 0), dtype=np.int64)  # (F, E) rows of the weights in use
        self._experts: NDArray[np.int64] = np.zeros((0, 256), dtype=np.int64)
        self._frequencies: Frequencies = np.zeros(256, dtype=np.int64)

    @property
    def families(self) -> list[NDArray[np.int64]]:
        """For each family, (sets, E) weights as they are now; views, which change as the mixer learns."""
        return np.split(self._weights, self._begins[1:, 0])

    def mix(self, experts: NDArray[np.int64], sets: ArrayLike) -> Frequencies:
        """Return (256,) frequencies.

        Args:
            experts: (E, 256) log2 of each expert's probabilities, in units of 2**-FRACTION bits.
            sets: (F,) the number of the set to use, for each of F families; or (F, E), for each expert its own.
        """
        chosen = np.asarray(sets, dtype=np.int64).reshape(len(self._begins), -1)
        self._experts = experts
        self._places = np.empty((len(self._begins), len(experts)), dtype=np.int64)
        np.add(self._begins, chosen, out=self._places)
        mixed = np.empty((1, 256), dtype=np.int64)
        _mix(self._weights, self._places, experts, WEIGHT_ONE, exp2_table(), FRACTION, mixed)
        self._frequencies = frequencies_from_weights(mixed)[0]
        return self._frequencies

    def learn(self, symbol: int) -> None:
        """Step the weights of the last mix towards a higher probability of ``symbol``, the byte that followed it."""
        if self.rate or self.common_rate:
            _learn(
                self._weights,
                self._places,
                self._experts,
                self._frequencies,
                symbol,
                self.rate,
                self.common_rate,
                self._most,
                PRECISION,
                _RATE_SHIFT,
            )

    def freeze(self) -> None:
        """Stop learning: both rates become 0."""
        self.rate = self.common_rate = 0

    def fork(self) -> Mixer:
        """Return an independent copy. It must mix before it learns."""
        return Mixer(self.families, self.rate, self.common_rate, self._most)
