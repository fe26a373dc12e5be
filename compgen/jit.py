"""Inner loops, compiled by numba where it is installed and there is enough to do.

NumPy does the same beside each call, with equal results, so that either may take over from the other at any step;
``pip install 'compgen[fast]'`` brings numba. Importing it takes longer than a short task: the entropy coder asks for it
from ``WIDE`` lanes up, the calibrated rule after ``PATIENCE`` calls.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import math
from typing import Any

import numpy as np

WIDE = 256
"""Lanes from which on a compiled loop pays."""

PATIENCE = 1000
"""Calls after which a compiled loop pays; a step of the calibrated rule makes three."""

_calls = itertools.count(1)


def compiled_by_now(name: str) -> Any:
    """Return what ``compiled`` does, but None in the first ``PATIENCE`` calls."""
    return compiled(name) if next(_calls) > PATIENCE else None


@functools.cache
def compiled(name: str) -> Any:
    """Return the function of this module called ``name``, compiled, or None without numba."""
    if importlib.util.find_spec("numba") is None:
        return None
    import numba

    return numba.njit(cache=True)(globals()[name])


def encode(states: Any, low: Any, width: Any, precision: Any, words: Any) -> Any:
    """Code (T, n) intervals into the n ``states``; return where in ``words``, filled from its end, the words begin.

    All but ``words`` (uint32) are uint64; ``precision`` is an array of one, which keeps it one too.
    """
    shift = 64 - precision[0]
    left = len(words)
    for t in range(low.shape[0] - 1, -1, -1):
        for i in range(low.shape[1] - 1, -1, -1):
            state = states[i]
            points = width[t, i]
            if points >> precision[0]:
                continue  # it owns every point
            if (state >> shift) >= points:
                left -= 1
                words[left] = state & 0xFFFFFFFF
                state >>= 32
            quotient = state // points
            states[i] = state - quotient * points + (quotient << precision[0]) + low[t, i]
    return left


def find(frequencies: Any, points: Any, symbols: Any, low: Any, width: Any) -> None:
    """Fill ``symbols``, ``low`` and ``width`` with whose interval holds each point."""
    for i in range(len(points)):
        end, symbol = frequencies[i, 0], 0
        while end <= points[i]:
            symbol += 1
            end += frequencies[i, symbol]
        symbols[i] = symbol
        width[i] = frequencies[i, symbol]
        low[i] = end - width[i]


def advance(states: Any, low: Any, width: Any, precision: Any, words: Any, used: Any) -> Any:
    """Take intervals out of the n ``states``; return how many ``words`` are used then, or -1 if there are too few."""
    for i in range(len(states)):
        high = states[i] >> precision[0]
        state = high * width[i] + (states[i] - (high << precision[0])) - low[i]
        if state < 1 << 32:
            if used == len(words):
                return -1
            state = (state << 32) | words[used]
            used += 1
        states[i] = state
    return used


def blend(data: Any, positions: Any, sizes: Any, worth: Any, orders: Any, one: Any, shares: Any, distinct: Any) -> None:
    """Fill ``shares`` from its third row on, and ``distinct``: see ``compgen.models.derived.calibrated.blend``."""
    counts = np.zeros(256, dtype=np.int64)
    start = 0
    for k in range(len(sizes)):
        shorter = k + 1 if k < orders else 2
        if sizes[k] == 0:
            shares[2 + k] = shares[shorter]
            distinct[k] = 0
            continue
        counts[:] = 0
        total = 0
        for j in range(start, start + sizes[k]):
            octave = math.frexp(float(len(data) - positions[j]))[1]
            counts[data[positions[j]]] += worth[octave]
            total += worth[octave]
        start += sizes[k]
        different = 0
        for b in range(256):
            different += counts[b] != 0
        distinct[k] = different
        escape = total * (different + 1) * 3 // (4 * sizes[k] + 1) + 1
        divisor = total + escape
        for b in range(256):
            shares[2 + k, b] = ((counts[b] << one) + shares[shorter, b] * escape) // divisor


def log2_units(values: Any, table: Any, fraction: Any, units: Any) -> None:
    """Fill (n, 256) ``units`` with log2 of ``values``: see ``compgen.models.quantise.log2_units``."""
    for i in range(values.shape[0]):
        for b in range(values.shape[1]):
            exponent = math.frexp(float(values[i, b]))[1] - 1
            mantissa = (values[i, b] << fraction) >> exponent
            units[i, b] = table[mantissa - (1 << fraction)] + (exponent << fraction)


def mix(weights: Any, experts: Any, one: Any, exp2: Any, fraction: Any, precision: Any, shares: Any) -> None:
    """Fill (256,) ``shares`` with frequencies: see ``compgen.models.mixing.Mixer.mix``."""
    scores = np.zeros(256, dtype=np.int64)
    for e in range(experts.shape[0]):
        for b in range(256):
            scores[b] += weights[e] * experts[e, b]
    for b in range(256):
        scores[b] //= one
    best = scores.max()
    total = 0
    for b in range(256):
        excess = best - scores[b]
        shares[b] = exp2[excess & ((1 << fraction) - 1)] >> min(excess >> fraction, 63)
        total += shares[b]
    spread = (1 << precision) - 256
    remainders = np.empty(256, dtype=np.int64)
    left = spread
    for b in range(256):
        product = shares[b] * spread
        shares[b] = product // total
        remainders[b] = shares[b] * total - product  # below zero: the largest remainder sorts first
        left -= shares[b]
        shares[b] += 1
    order = np.argsort(remainders, kind="mergesort")
    for k in range(left):
        shares[order[k]] += 1
