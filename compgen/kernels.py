"""The entropy coder's inner loops, compiled by numba where it is installed and there is enough to do.

NumPy does the same beside each call, with equal results; ``pip install 'compgen[fast]'`` brings numba. It is asked for
only from ``WIDE`` lanes up: below, importing it would take longer than it saves.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

WIDE = 256
"""Lanes from which on a compiled loop pays."""


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
