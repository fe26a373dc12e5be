"""Mixing of distributions bit by bit, with weights that learn as they go, in integer arithmetic.

A byte is eight bits, the high one first: a walk down a tree with 255 *nodes*, whose numbers are those of a heap (1 is
the root, 2 n and 2 n + 1 follow n). At a node each expert has a *stretch*, x = log2(p(1) / p(0)), in the light of the
bits before. The mixed one is the sum of w_e * x_e over experts e (logistic mixing: Mahoney 2005, "Adaptive weighing of
context models"). After each byte the weights of the eight nodes that it passed step up the gradient of log2 p(bit),
which is (bit - p(1)) * x_e. An expert that knows nothing has stretches of 0, whatever its weight.

Weights come in families of sets; the sum of the chosen sets is used, and each of them learns. The first family has a
set for each node. The sets of the others are chosen by numbers that the context gives.

Beside ``mixing.py``, which mixes whole bytes: over the parts of gzip's law, three texts cost 2.8% less this way
(docs/log.md, "the calibrated rule made of the law's parts").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.jit import SMALL
from compgen.laws.base import frequencies_of
from compgen.models.quantise import log2_table, log2_units
from compgen.powers import FRACTION, TOP, exp2_table
from compgen.types import Frequencies

WEIGHT_ONE = 1 << 24
"""A weight of one. Chosen: small steps are not lost, and a weight times a stretch fits an int64 by far."""

RATE_ONE = 1 << 16
"""A learning rate of one."""

_FIRST_BYTES = 16
"""Bytes after which half of the first rate is left. Chosen."""
_MOST = 20 << FRACTION
"""The largest stretch, in size. Chosen: a chance of one in a million at each bit."""
_UNIT = 30
"""log2 of the unit of chances."""


def _chances(scores: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 1 / (1 + 2**-score), in units of 2**-_UNIT, for scores in units of 2**-FRACTION bits."""
    size = np.minimum(np.abs(scores), _MOST)
    power = exp2_table()[size & ((1 << FRACTION) - 1)] >> (size >> FRACTION)
    small = (power << _UNIT) // ((1 << TOP) + power)
    found: NDArray[np.int64] = np.where(scores < 0, small, (1 << _UNIT) - small)
    return found


def _mix_by_numpy(
    shares: NDArray[np.int64],
    weights: NDArray[np.int64],
    places: NDArray[np.int64],
    one: int,
    exp2: NDArray[np.int64],
    log2: NDArray[np.int64],
    fraction: int,
    most: int,
    unit: int,
    stretches: NDArray[np.int64],
    chances: NDArray[np.int64],
    leaves: NDArray[np.int64],
) -> None:
    new = np.ones(len(shares), dtype=np.bool_)  # parts that differ from the one before
    new[1:] = (shares[1:] != shares[:-1]).any(axis=1)
    distinct = shares[new]
    sums = np.empty((len(distinct), 512), dtype=np.int64)
    np.add(distinct, 1, out=sums[:, 256:])
    for half in (128, 64, 32, 16, 8, 4, 2):
        np.add(sums[:, 2 * half : 4 * half : 2], sums[:, 2 * half + 1 : 4 * half : 2], out=sums[:, half : 2 * half])
    units = log2_units(np.ascontiguousarray(sums[:, 2:]))
    stretches[:, 1:] = np.minimum(np.maximum(units[:, 1::2] - units[:, ::2], -most), most)[np.cumsum(new) - 1]
    chosen = weights[1:256] + weights[places].sum(axis=0)
    scores = (chosen * stretches[:, 1:].T).sum(axis=1) // one
    chances[1:] = _chances(scores)
    mass = np.empty(512, dtype=np.int64)
    mass[1] = 1 << unit
    for first in (1, 2, 4, 8, 16, 32, 64, 128):
        upper = mass[first : 2 * first] * chances[first : 2 * first] >> unit
        mass[2 * first + 1 : 4 * first : 2] = upper
        mass[2 * first : 4 * first : 2] = mass[first : 2 * first] - upper
    leaves[:] = mass[256:]


@SMALL.loop(fallback=_mix_by_numpy)
def _mix(
    shares: Any,
    weights: Any,
    places: Any,
    one: Any,
    exp2: Any,
    log2: Any,
    fraction: Any,
    most: Any,
    unit: Any,
    stretches: Any,
    chances: Any,
    leaves: Any,
) -> None:
    experts = len(shares)
    sums = np.empty(512, dtype=np.int64)
    units = np.empty(512, dtype=np.int64)
    scores = np.zeros(256, dtype=np.int64)
    for e in range(experts):
        shared = 0
        for f in range(len(places)):
            shared += weights[places[f], e]
        if e > 0 and (shares[e] == shares[e - 1]).all():
            for n in range(1, 256):
                stretches[e, n] = stretches[e - 1, n]
                scores[n] += (weights[n, e] + shared) * stretches[e, n]
            continue
        sums[256:] = shares[e] + 1
        for n in range(255, 0, -1):
            sums[n] = sums[2 * n] + sums[2 * n + 1]
        last = 0
        for n in range(2, 512):
            if n & 1 and sums[n] == sums[n - 1]:
                units[n] = last
                continue
            exponent = math.frexp(float(sums[n]))[1] - 1
            spare = exponent - fraction
            mantissa = sums[n] >> spare if spare > 0 else sums[n] << -spare
            last = log2[mantissa - (1 << fraction)] + (exponent << fraction)
            units[n] = last
        for n in range(1, 256):
            stretch = min(max(units[2 * n + 1] - units[2 * n], -most), most)
            stretches[e, n] = stretch
            scores[n] += (weights[n, e] + shared) * stretch
    sums[1] = 1 << unit
    for n in range(1, 256):
        score = scores[n] // one
        size = min(abs(score), most)
        power = exp2[size & ((1 << fraction) - 1)] >> (size >> fraction)
        small = (power << unit) // ((1 << 32) + power)
        chances[n] = small if score < 0 else (1 << unit) - small
        upper = (sums[n] * chances[n]) >> unit
        sums[2 * n + 1] = upper
        sums[2 * n] = sums[n] - upper
    leaves[:] = sums[256:]


def _learn_by_numpy(
    symbol: int,
    weights: NDArray[np.int64],
    places: NDArray[np.int64],
    stretches: NDArray[np.int64],
    chances: NDArray[np.int64],
    rate: int,
    unit: int,
) -> None:
    nodes = (symbol | 256) >> np.arange(8, 0, -1)
    bits = (symbol >> np.arange(7, -1, -1)) & 1
    errors = (bits << 16) - (chances[nodes] >> (unit - 16))
    steps = (errors * rate * stretches[:, nodes]).T >> 20  # (8, E): from 2**-16 * 2**-16 * 2**-12 to 2**-24
    weights[nodes] += steps
    total = steps.sum(axis=0)
    for place in places.tolist():  # families do not overlap
        weights[place] += total


@SMALL.loop(fallback=_learn_by_numpy)
def _learn(symbol: Any, weights: Any, places: Any, stretches: Any, chances: Any, rate: Any, unit: Any) -> None:
    for k in range(8):
        node = (symbol | 256) >> (8 - k)
        error = (((symbol >> (7 - k)) & 1) << 16) - (chances[node] >> (unit - 16))
        for e in range(stretches.shape[0]):
            step = (error * rate * stretches[e, node]) >> 20
            weights[node, e] += step
            for f in range(len(places)):
                weights[places[f], e] += step


class BitMixer:
    """The weights of one row.

    Args:
        families: first (256, E) weights of E experts at the nodes, then (sets, E) weights for each further family, in
            units of 1 / WEIGHT_ONE. The mixer copies them.
        rate: the learning rate, in units of 1 / RATE_ONE.
        first: what is added to the rate at first; it falls as 1 / bytes.
    """

    def __init__(self, families: Sequence[NDArray[np.int64]], rate: int, first: int = 0) -> None:
        self._weights = np.concatenate(families)
        self._begins = np.cumsum([len(family) for family in families])[:-1]
        self.rate = rate
        self.first = first
        self._learnt = 0  # bytes
        experts = self._weights.shape[1]
        self._places = np.zeros(len(self._begins), dtype=np.int64)  # rows of the weights in use, besides the nodes'
        self._stretches = np.zeros((experts, 256), dtype=np.int64)
        self._chances = np.zeros(256, dtype=np.int64)  # of a 1, by node

    @property
    def families(self) -> list[NDArray[np.int64]]:
        """The weights as they are now; views, which change as the mixer learns."""
        return np.split(self._weights, self._begins)

    def mix(self, shares: NDArray[np.int64], numbers: Sequence[int]) -> Frequencies:
        """Return (256,) frequencies.

        Args:
            shares: (E, 256) of each expert, 0 or more; sums below 2**51.
            numbers: which set to use of each family but the first.
        """
        self._places = self._begins + np.asarray(numbers, dtype=np.int64)
        leaves = np.empty(256, dtype=np.int64)
        tables = exp2_table(), log2_table()
        _mix(
            shares, self._weights, self._places, WEIGHT_ONE, *tables, FRACTION, _MOST, _UNIT,
            self._stretches, self._chances, leaves,
        )  # fmt: skip
        return frequencies_of(leaves)

    def learn(self, symbol: int) -> None:
        """Step the weights of the last mix towards a higher probability of ``symbol``, the byte that followed it."""
        if rate := self.rate + self.first // (1 + self._learnt // _FIRST_BYTES):
            _learn(symbol, self._weights, self._places, self._stretches, self._chances, rate, _UNIT)
        self._learnt += 1

    def freeze(self) -> None:
        """Stop learning: the rates become 0."""
        self.rate = self.first = 0

    def fork(self) -> BitMixer:
        """Return an independent copy. It must mix before it learns."""
        fork = BitMixer(self.families, self.rate, self.first)
        fork._learnt = self._learnt
        return fork
