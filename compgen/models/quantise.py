"""From code lengths and weights to frequencies, by integer and table arithmetic alone: equal on every machine."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.jit import SMALL
from compgen.models.base import ALPHABET, PRECISION
from compgen.powers import FRACTION, exp2_table
from compgen.types import Frequencies

SHARE_BITS = 30
"""log2 of what the shares of one expert sum to. Chosen: a share times an escape of 32 bits fits an int64."""


def weights_from_lengths(lengths: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (B, n) integer weights proportional to 2**-length; the shortest length of each row gets 2**32.

    Args:
        lengths: (B, n) bits. A length over 32 bits above the shortest gets 0.
    """
    # Scaling by a power of two and rounding to whole numbers are exact on every machine.
    return weights_from_units(np.rint(lengths * (1 << FRACTION)).astype(np.int64))


def weights_from_units(units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (B, n) weights as ``weights_from_lengths`` does, from integer lengths in units of 2**-FRACTION bits."""
    excess = units - units.min(axis=1, keepdims=True)
    whole = np.minimum(excess >> FRACTION, 63)
    weights: NDArray[np.int64] = exp2_table()[excess & ((1 << FRACTION) - 1)] >> whole
    return weights


def frequencies_from_weights(weights: NDArray[np.int64]) -> Frequencies:
    """Return (B, 256) frequencies: each byte gets 1, and the rest is shared in proportion to the weights.

    Equal weights get equal frequencies, to within one count.

    Args:
        weights: (B, 256) integers in [0, 2**32], not all zero in a row.
    """
    shares = np.empty_like(weights)
    _share(weights, (1 << PRECISION) - ALPHABET, shares)
    return shares


def _share_by_numpy(weights: NDArray[np.int64], spread: int, shares: Frequencies) -> None:
    total = weights.sum(axis=1, keepdims=True)
    share, remainder = np.divmod(weights * spread, total)
    # Rounding down leaves fewer than 256 counts of a row. They go one by one to the largest remainders.
    left = spread - share.sum(axis=1)
    order = np.argsort(-remainder, axis=1, kind="stable")
    extra = np.arange(ALPHABET) < left[:, None]
    share[np.arange(len(share))[:, None], order] += extra
    np.add(share, 1, out=shares)


@SMALL.loop(fallback=_share_by_numpy)
def _share(weights: Any, spread: Any, shares: Any) -> None:
    remainders = np.empty(256, dtype=np.int64)
    for row in range(len(weights)):
        total, left = weights[row].sum(), spread
        for b in range(256):
            product = weights[row, b] * spread
            share = product // total
            remainders[b] = share * total - product  # negative, so that the largest remainder is the least
            left -= share
            shares[row, b] = share + 1
        if left == 0:
            continue
        # The largest remainders get one count more; of those that equal the last of them, the first in order.
        bound = np.partition(remainders, left - 1)[left - 1]
        left -= (remainders < bound).sum()
        for b in range(256):
            if remainders[b] < bound:
                shares[row, b] += 1
            elif remainders[b] == bound and left > 0:
                shares[row, b] += 1
                left -= 1


def frequencies_from_lengths(lengths: NDArray[np.float64]) -> Frequencies:
    """Return (B, 256) frequencies proportional to 2**-length; ``lengths`` is (B, 256) bits."""
    return frequencies_from_weights(weights_from_lengths(lengths))


@functools.cache
def log2_table() -> NDArray[np.int64]:
    """Return (2**FRACTION,) integers: entry i is log2(1 + i / 2**FRACTION), rounded, in units of 2**-FRACTION bits."""
    guard = 64
    table = []
    for i in range(1 << FRACTION):
        value, bits = ((1 << FRACTION) + i) << (guard - FRACTION), 0
        for _ in range(FRACTION + 2):  # two more bits than are kept, for rounding
            value = (value * value) >> guard
            bits <<= 1
            if value >> (guard + 1):
                bits |= 1
                value >>= 1
        # Squaring doubles the logarithm. Each halving, which keeps value in [1, 2), reads one of its bits.
        table.append((bits + 2) >> 2)
    return np.array(table, dtype=np.int64)


def log2_units(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return log2 of integers in [1, 2**52], in units of 2**-FRACTION bits, to within two units."""
    units = np.empty(values.size, dtype=np.int64)
    _log2(values.reshape(-1), log2_table(), FRACTION, units)
    return units.reshape(values.shape)


def _log2_by_numpy(
    values: NDArray[np.int64], table: NDArray[np.int64], fraction: int, units: NDArray[np.int64]
) -> None:
    # Whole numbers up to 2**52 are exact in float64, whose bits are an exponent and then a mantissa without its one.
    bits = values.astype(np.float64).view(np.int64)
    units[:] = table[(bits >> (52 - fraction)) & ((1 << fraction) - 1)] + (((bits >> 52) - 1023) << fraction)


@SMALL.loop(fallback=_log2_by_numpy)
def _log2(values: Any, table: Any, fraction: Any, units: Any) -> None:
    bits = values.astype(np.float64).view(np.int64)
    for i in range(len(values)):
        index = (bits[i] >> (52 - fraction)) & ((1 << fraction) - 1)
        units[i] = table[index] + (((bits[i] >> 52) - 1023) << fraction)
