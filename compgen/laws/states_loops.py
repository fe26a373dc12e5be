"""The forward pass of ``states.py`` as functions that numba can compile (``compgen/jit.py``): the same integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from compgen.laws.states_literal_loops import (
    MATCH,
    ONE,
    OTHER,
    REPEAT,
    SHORT,
    bits_of,
    literal_masses,
    literal_weights,
    share,
)

HALF = 31
MASK = (1 << HALF) - 1
MANTISSA = 34
EXTRA = 17  # weights and new masses are in units of 2**-17 of a mass


def _walk(here: Any, data: Any, before: Any, active: Any, reach: Any) -> Any:
    """Fill ``active`` with the positions behind bytes like the last one, the nearest first; return how many."""
    count: Any = 0
    if here > 0:
        place = np.int64(before[here - 1])
        while place >= 0 and here - (place + 1) <= reach:
            active[count] = place + 1
            count += 1
            place = np.int64(before[place])
    return count


def _aligned(exponents: Any, t: Any, most: Any, shifts: Any) -> Any:
    """Fill ``shifts`` with what aligns masses of ``t`` and ``most`` boundaries before; return how many, and to what."""
    last = max(t - most, 0)
    least = exponents[t]
    for i in range(last, t):
        least = min(least, exponents[i])
    for k in range(t - last + 1):
        shifts[k] = min(exponents[t - k] - least, 62)
    return t - last + 1, least


def _sums(here: Any, t: Any, size: Any, new: Any, shifts: Any, table: Any, sums: Any) -> None:
    """Fill (K, size) ``sums`` with those of masses by how far back they lie, times a table by length from 1 on."""
    positions = table.shape[1]
    for c in range(len(table)):
        sums[c, 0] = 0
        for k in range(1, size):
            sums[c, k] = sums[c, k - 1] + (new[t - k] >> shifts[k]) * table[c, (here - k) % positions, k]


def _carried(sums: Any, run: Any, distances: Any, distance: Any) -> Any:
    """Return the sums for a run times the prices of its distance."""
    total = np.int64(0)
    for c in range(len(distances)):
        price, carried = distances[c, distance], sums[c, run]
        total += price * (carried >> HALF) + (price * (carried & MASK) >> HALF)
    return total


def _repeated(j: Any, here: Any, t: Any, run: Any, again: Any, shifts: Any, table: Any, first: Any) -> Any:
    """Return the sum of masses that repeat the followed distance ``j``, times a table by length from ``first`` on."""
    total, positions = np.int64(0), table.shape[0]
    for k in range(first, run + 1):
        total += (again[j, t - k] >> shifts[k]) * table[(here - k) % positions, k]
    return total >> 3


def _extend(here: Any, origin: Any, count: Any, data: Any, active: Any, runs: Any, longest: Any) -> Any:
    """Take the last byte into the runs; return the longest one."""
    most: Any = np.int64(1)
    for i in range(count):
        place = active[i]
        run: Any = np.int64(1)
        if here - origin > 1 and place > 1 and data[place - 2] == data[here - 2]:
            run = min(np.int64(runs[place - 1]) + 1, longest)
        runs[place] = run
        most = max(most, run)
    return most


def _extend_followed(here: Any, data: Any, state: Any, longest: Any) -> Any:
    """Take the last byte into the runs of followed distances; return the longest one."""
    followed, runs = state[4], state[5]
    most: Any = np.int64(0)
    for j in range(len(followed)):
        agrees = followed[j] > 0 and data[here - 1 - followed[j]] == data[here - 1]
        runs[j] = min(runs[j] + 1, longest) if agrees else 0
        most = max(most, runs[j])
    return most


def _repeat(here: Any, now: Any, position: Any, state: Any, prices: Any, room: Any) -> None:
    """Align the masses behind a literal, add those behind repeats, and fill those of repeats that go on."""
    _, _, _, again, followed, runs, masses, _, _ = state
    kinds, after_match, repeats, tails = prices[0], prices[2], prices[9], prices[10]
    shifts, gains, carry = room[1], room[3], room[4]
    gains[:] = gains >> shifts[1]
    for j in range(len(followed)):
        short = np.int64(0)
        if runs[j] > 0:
            for s in range(masses.shape[1]):
                short += masses[j + 1, s] * kinds[SHORT, position, s]
        gains[j + 1, after_match[1]] += _repeated(j, here, now, runs[j], again, shifts, repeats, 1)
        gains[j + 1, after_match[2]] += (short >> 3) >> shifts[1]
        carry[j] = _repeated(j, here, now, runs[j], again, shifts, tails, 1)


def _append(symbol: Any, here: Any, origin: Any, data: Any, links: Any, state: Any, prices: Any, room: Any) -> Any:
    """Append one byte at ``here``; return how many positions are active."""
    runs, exponents, new, _, _, _, _, expected, begin = state
    kinds, _, after_match, _, _, _, lengths, _, distances, repeats, _, changes, steps, _, _ = prices
    before, latest = links
    active, shifts, sums, gains, _, marks, _, _, _, _ = room
    position = here % kinds.shape[1]
    literal_masses(symbol, here, data, state, prices, room)
    data[here] = symbol
    before[here], latest[symbol] = latest[symbol], here
    here += 1
    now, longest = here - origin, repeats.shape[1] - 1
    count = _walk(here, data, before, active, distances.shape[1] - 1)
    most = max(_extend(here, origin, count, data, active, runs, longest), _extend_followed(here, data, state, longest))
    exponents[now] = exponents[now - 1]
    size, least = _aligned(exponents, now, most, shifts)
    _sums(here, now, size, new, shifts, lengths, sums)
    _repeat(here, now, position, state, prices, room)
    expected[:] = 0
    best, place = np.int64(-1), np.int64(0)
    for i in range(count):
        distance = here - active[i]
        fresh = _carried(sums, runs[active[i]], distances, distance)
        slot = marks[distance]
        gains[slot, after_match[0]] += fresh
        if slot == 0:
            expected[data[active[i]]] += fresh
            if fresh > best:
                best, place = fresh, np.int64(active[i])
    if best >= 0:
        _follow(best, place, here, now, data, state, prices, room)
    _keep(here, now, least, state, prices, gains)
    for i in range(len(changes)):
        back = here - changes[i]
        if back < 0:
            break
        begin[:, data[back]] += steps[:, i]
    return count


def _follow(best: Any, place: Any, here: Any, now: Any, data: Any, state: Any, prices: Any, room: Any) -> None:
    """See ``StatePass._follow``."""
    runs, _, _, again, followed, followed_runs, _, expected, _ = state
    _, _, gains, carry, marks = room[1], room[2], room[3], room[4], room[5]
    after, first = prices[2][0], prices[5]
    worst, least = 0, np.int64(-1)
    for j in range(len(followed)):
        held = gains[j + 1].sum() + carry[j]
        if least < 0 or held < least:
            worst, least = j, held
    if best <= least:
        return
    if followed[worst] > 0:
        moved = np.int64(0)
        for s in range(gains.shape[1]):
            if s < first:
                gains[0, s] += gains[worst + 1, s]
            else:
                moved += gains[worst + 1, s]
        expected[data[here - followed[worst]]] += moved
        if first < gains.shape[1]:
            gains[0, after] += moved
        marks[followed[worst]] = 0
    gains[worst + 1, :] = 0
    gains[worst + 1, after] = best
    gains[0, after] -= best
    expected[data[place]] -= best
    followed[worst], followed_runs[worst] = here - place, runs[place]
    marks[here - place] = worst + 1
    again[worst, :now] = 0


def _keep(here: Any, now: Any, least: Any, state: Any, prices: Any, gains: Any) -> None:
    """Keep the masses of the newest boundary, normalised, and what matches take from it."""
    _, exponents, new, again, followed, _, masses, expected, _ = state
    kinds, position = prices[0], here % prices[0].shape[1]
    total = gains.sum()
    if total <= 0:
        gains[0, 0] = 1
        total = np.int64(1)
    shift = bits_of(total) - MANTISSA
    masses[:] = gains >> max(shift, 0) << max(-shift, 0)
    expected[:] = expected >> max(shift, 0) << max(-shift, 0)
    exponents[now] = least + EXTRA - shift
    starts, others, live = np.int64(0), np.int64(0), np.int64(0)
    for j in range(len(masses)):
        for s in range(masses.shape[1]):
            starts += masses[j, s] * kinds[MATCH, position, s] >> ONE
            others += masses[j, s] * kinds[OTHER, position, s] >> ONE
    new[now] = starts
    for j in range(len(followed)):
        live += 1 if followed[j] > 0 else 0
    for j in range(len(followed)):
        repeat, own = np.int64(0), np.int64(0)
        for s in range(masses.shape[1]):
            repeat += masses[j + 1, s] * kinds[REPEAT, position, s] >> ONE
            own += masses[j + 1, s] * kinds[OTHER, position, s] >> ONE
        if followed[j] > 0:
            repeat += (others - own) // live
        again[j, now] = repeat


def _weigh(here: Any, origin: Any, count: Any, data: Any, state: Any, prices: Any, room: Any) -> None:
    """Fill (256,) weights of the next byte."""
    runs, exponents, new, again, followed, followed_runs, masses, _, begin = state
    kinds, _, _, _, _, _, _, tails, distances, _, repeat_tails, _, _, _, _ = prices
    active, shifts, sums, _, _, _, weights, _, _, _ = room
    t, position, most = here - origin, here % kinds.shape[1], np.int64(0)
    for i in range(count):
        most = max(most, np.int64(runs[active[i]]))
    for j in range(len(followed)):
        most = max(most, followed_runs[j])
    size, _ = _aligned(exponents, t, most, shifts)
    literal_weights(here, shifts[0], data, state, prices, room)
    _sums(here, t, size, new, shifts, tails, sums)
    for c in range(len(begin)):
        mass = (new[t] >> shifts[0]) * tails[c, position, 0]
        for b in range(256):
            weights[b] += begin[c, b] * (mass >> HALF) + (begin[c, b] * (mass & MASK) >> HALF)
    for i in range(count):
        weights[data[active[i]]] += _carried(sums, runs[active[i]], distances, here - active[i])
    for j in range(len(followed)):
        if followed[j] > 0:
            short = np.int64(0)
            for s in range(masses.shape[1]):
                short += (masses[j + 1, s] >> shifts[0]) * kinds[SHORT, position, s]
            repeated = _repeated(j, here, t, followed_runs[j], again, shifts, repeat_tails, 0)
            weights[data[here - followed[j]]] += repeated + (short >> 3)


def link(data: Any, count: Any, before: Any, latest: Any) -> None:
    """Fill, for each of the first ``count`` bytes, where it stood before, and (256,) where each byte stands last."""
    for here in range(count):
        before[here], latest[data[here]] = latest[data[here]], here


def run(
    given: Any,
    here: Any,
    origin: Any,
    data: Any,
    links: Any,
    state: Any,
    prices: Any,
    low: Any,
    width: Any,
    frequencies: Any,
) -> Any:
    """Append the bytes ``given``, and return where they end.

    Args:
        given: (T,) uint8.
        here: where the first of them goes.
        origin: where the pass began.
        data: all bytes.
        links: see ``link``.
        state: see ``StatePass._compiled``.
        prices: see ``StatePrices.arrays``.
        low: (T,) or (0,): written, where each byte's interval begins.
        width: (T,) or (0,): written, how wide it is.
        frequencies: (256,) or (0,): written, of the byte that comes next.
    """
    followed, masses, distances = state[4], state[6], prices[8]
    longest, reach = prices[9].shape[1] - 1, distances.shape[1] - 1
    room = (
        np.empty(min(len(data), reach + 1) + 1, np.int32),  # active positions
        np.empty(longest + 2, np.int64),  # shifts
        np.empty((len(distances), longest + 2), np.int64),  # sums by length
        np.empty_like(masses),
        np.empty(len(followed), np.int64),
        np.zeros(reach + 2, np.int8),  # the row of each distance in ``masses``
        np.empty(256, np.int64),  # weights
        np.empty(256, np.int64),  # frequencies
        np.empty(256, np.int64),  # masses of literals by expected byte
        np.empty(256, np.int64),  # prices of a literal by expected byte
    )
    for j in range(len(followed)):
        if followed[j] > 0:
            room[5][followed[j]] = j + 1
    weights, shares = room[6], room[7]
    count = _walk(here, data, links[0], room[0], reach) if here > origin else 0
    for i in range(len(given)):
        if len(width):
            _weigh(here, origin, count, data, state, prices, room)
            share(weights, shares)
            total = np.int64(0)
            for b in range(given[i]):
                total += shares[b]
            low[i], width[i] = total, shares[given[i]]
        count = _append(given[i], here, origin, data, links, state, prices, room)
        here += 1
    if len(frequencies):
        _weigh(here, origin, count, data, state, prices, room)
        share(weights, frequencies)
    return here
