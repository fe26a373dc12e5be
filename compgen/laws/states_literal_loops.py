"""Literals of the forward pass of ``states.py``, and weights as frequencies: functions that numba can compile."""

from __future__ import annotations

from typing import Any

import numpy as np

PRECISION = 24
ONE = 20  # log2 of what prices sum to
OFTEN = 8  # as in ``states.py``
LITERAL, MATCH, REPEAT, SHORT, OTHER = 0, 1, 2, 3, 4


def bits_of(number: Any) -> Any:
    """Return the bit length of a number of 0 or more."""
    count = 0
    while number >= 1 << 16:
        number >>= 16
        count += 16
    while number > 0:
        number >>= 1
        count += 1
    return count


def row_of(context: Any, expected: Any, matched: Any, rows: Any, known: Any) -> Any:
    """Return the row of ``StatePrices.row``, which is filled here."""
    number = 256 * np.int64(context) + np.int64(expected)
    if known[number]:
        return number
    part = np.empty(512, np.int64)
    part[1] = 1 << 30
    for level in range(8):
        path, bit = (256 | expected) >> (8 - level), expected >> (7 - level) & 1
        for node in range(1 << level, 2 << level):
            place = 768 * context + node
            if node == path:
                place += 256 + 256 * bit
            part[2 * node] = part[node] * matched[place] >> 11
            part[2 * node + 1] = part[node] - part[2 * node]
    for b in range(256):
        rows[number, b] = max(part[256 + b] >> (30 - ONE), 1)
    known[number] = True
    return number


def expecting_of(here: Any, data: Any, state: Any, prices: Any, room: Any) -> Any:
    """Fill (256,) masses of literals to come that go by an expected byte; return from which mass on it counts.

    See ``StatePass._told``.
    """
    _, _, _, _, followed, _, masses, expected, _ = state
    kinds, after_match, first = prices[0], prices[2], prices[5]
    expecting, position = room[8], here % prices[0].shape[1]
    expecting[:] = 0
    if first >= masses.shape[1]:
        return np.int64(1)
    for b in range(256):
        expecting[b] = expected[b] * kinds[LITERAL, position, after_match[0]] >> ONE
    for j in range(len(followed)):
        if followed[j] > 0:
            for s in range(first, masses.shape[1]):
                expecting[data[here - followed[j]]] += masses[j + 1, s] * kinds[LITERAL, position, s] >> ONE
    return max(expecting.sum() >> OFTEN, 1)


def literal_masses(symbol: Any, here: Any, data: Any, state: Any, prices: Any, room: Any) -> None:
    """Fill (SLOTS + 1, S) ``gains`` with the masses behind a literal."""
    _, _, _, _, followed, _, masses, expected, _ = state
    kinds, after_literal, after_match, literals, matched, first, _, _, _, _, _, _, _, rows, known = prices
    gains, expecting, price = room[3], room[8], room[9]
    context = np.int64(data[here - 1]) >> 5 if here > 0 else np.int64(0)
    position, plain = here % kinds.shape[1], literals[context, symbol]
    least = expecting_of(here, data, state, prices, room)
    for b in range(256):
        price[b] = plain
        if expecting[b] >= least:
            price[b] = rows[row_of(context, b, matched, rows, known), symbol]
    gains[:] = 0
    for j in range(len(masses)):
        for s in range(masses.shape[1] if j > 0 else min(first, masses.shape[1])):
            told = masses[j, s] * kinds[LITERAL, position, s] >> ONE
            one = plain if s < first else price[data[here - followed[j - 1]]]
            gains[j, after_literal[s]] += told * one >> 3
    if first < masses.shape[1]:
        total = np.int64(0)
        for b in range(256):
            total += (expected[b] * kinds[LITERAL, position, after_match[0]] >> ONE) * price[b] >> 3
        gains[0, after_literal[after_match[0]]] += total


def literal_weights(here: Any, shift: Any, data: Any, state: Any, prices: Any, room: Any) -> None:
    """Fill (256,) weights with those of literals."""
    masses = state[6]
    kinds, _, _, literals, matched, first, _, _, _, _, _, _, _, rows, known = prices
    weights, expecting = room[6], room[8]
    context = np.int64(data[here - 1]) >> 5 if here > 0 else np.int64(0)
    position, plain = here % kinds.shape[1], np.int64(0)
    least = expecting_of(here, data, state, prices, room)
    weights[:] = 0
    for j in range(len(masses)):
        for s in range(min(first, masses.shape[1])):
            plain += masses[j, s] * kinds[LITERAL, position, s] >> ONE
    for byte in range(256):
        if expecting[byte] < least:
            plain += expecting[byte]
            continue
        row, told = row_of(context, byte, matched, rows, known), expecting[byte] >> shift
        for b in range(256):
            weights[b] += told * rows[row, b] >> 3
    for b in range(256):
        weights[b] += max(plain >> shift, 1) * literals[context, b] >> 3


def share(weights: Any, frequencies: Any) -> None:
    """Fill (256,) ``frequencies`` by ``weights``, which are lost; see ``base.frequencies_of``."""
    most: Any = np.int64(0)
    for b in range(256):
        most = max(most, weights[b])
    shift = max(bits_of(most) - 32, 0)
    total: Any = np.int64(0)
    for b in range(256):
        weights[b] >>= shift
        total += weights[b]
    total = max(total, 1)
    spread = (1 << PRECISION) - 256
    left = np.int64(1 << PRECISION)
    for b in range(256):
        frequencies[b] = weights[b] * spread // total + 1
        left -= frequencies[b]
    for b in range(256):
        frequencies[b] += (left >> 8) + (b < left & 255)
