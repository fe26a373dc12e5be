"""The forward pass of ``lz77.py`` as loops that numba compiles: the same integers in a tenth of the time.

Imported where numba is installed and there is enough to do (``compgen/jit.py``). Constants are arguments or stand here:
numba keeps compiled code for as long as this file is unchanged.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_loop = numba.njit(cache=True)

_MASK = (1 << 31) - 1
_HALF = 31
_MANTISSA = 34
_PRECISION = 24
_SLOTS = 4096  # of pairs of bytes: a small table makes forks cheap, and 167 spreads letters


@_loop
def _slot(first: Any, second: Any) -> Any:
    """Return the place of a pair of bytes in a table of ``_SLOTS``."""
    return (np.int64(first) * 167 + np.int64(second)) & (_SLOTS - 1)


@_loop
def _bits(number: Any) -> Any:
    """Return the bit length of a number of 0 or more."""
    count = 0
    while number >= 1 << 16:
        number >>= 16
        count += 16
    while number > 0:
        number >>= 1
        count += 1
    return count


@_loop
def _align(mantissas: Any, exponents: Any, newest: Any, most: Any, masses: Any) -> Any:
    """Fill ``masses`` with those of boundaries from ``newest`` back, aligned; return how many, and their exponent."""
    last = max(newest - most, 0)
    least = exponents[newest]
    for i in range(last, newest):
        least = min(least, exponents[i])
    for k in range(newest - last + 1):
        masses[k] = mantissas[newest - k] >> min(exponents[newest - k] - least, 62)
    masses[0] = max(masses[0], 1)
    return newest - last + 1, least


@_loop
def _append(
    symbol: Any, here: Any, origin: Any, data: Any, links: Any, state: Any, prices: Any, again: Any, room: Any
) -> Any:
    """Append one byte at ``here``; return how many positions have a run of 2 or more."""
    before, latest, last_two, rows, pairs = links
    runs, mantissas, exponents, begin = state
    literals, lengths, _, distances, changes, steps = prices
    active, masses, by_run, _, _ = room
    data[here] = symbol
    now = here + 1
    if here > 0:
        slot = _slot(data[here - 1], symbol)
        before[here] = latest[slot]
        latest[slot] = here
    last_two[0, symbol] = last_two[1, symbol]
    last_two[1, symbol] = here
    count, longest = _walk(now, origin, data, before, runs, active, len(lengths) - 1, len(distances) - 1, True)
    size, least = _align(mantissas, exponents, now - origin - 1, longest - 1, masses)
    mass = (masses[0] * literals[symbol]) >> 3
    by_run[: size + 1] = 0
    for i in range(count):
        by_run[runs[active[i]]] += distances[now - active[i]]
    total, upper, lower = np.int64(0), np.int64(0), np.int64(0)
    for run in range(1, size + 1):
        total += masses[run - 1] * lengths[run]
        upper += by_run[run] * (total >> _HALF)
        lower += by_run[run] * (total & _MASK)
        by_run[run] = total
    mass += upper + (lower >> _HALF)
    mass = max(mass + _again(now, origin, data, exponents, least, literals[symbol], distances, by_run, again), 1)
    shift = _bits(mass) - _MANTISSA
    mantissas[now - origin] = mass >> shift if shift > 0 else mass << -shift
    exponents[now - origin] = least + 17 - shift
    for j in range(len(again[0])):
        one = again[3][j, now - origin]
        again[3][j, now - origin] = one >> shift if shift > 0 else one << -shift
    for i in range(len(changes)):
        place = now - changes[i]
        if place < 0:
            break
        begin[data[place]] += steps[i]
        if place > 0:
            pairs[rows[data[place - 1]], data[place]] += steps[i]
    return count


@_loop
def _again(
    now: Any,
    origin: Any,
    data: Any,
    exponents: Any,
    least: Any,
    literal: Any,
    distances: Any,
    matched: Any,
    again: Any,
) -> Any:
    """See ``LastDistances.append``; ``matched`` is B by the length of a run. Return what the boundary mass gains."""
    followed, lengths, _, masses, runs = again
    gained, t = np.int64(0), now - origin
    for j in range(len(followed)):
        place = now - 1 - followed[j]
        if place < 0 or data[place] != data[now - 1]:
            runs[j] = 0
        else:
            runs[j] = min(runs[j] + 1, len(lengths) - 1)
        repeated = np.int64(0)
        for k in range(1, runs[j] + 1):
            repeated += (masses[j, t - k] >> min(exponents[t - k] - least, 62)) * lengths[k]
        repeated >>= 3
        gained += repeated
        newest = masses[j, t - 1] >> min(exponents[t - 1] - least, 62)
        fresh = np.int64(0)
        if runs[j] > 0:
            price, total = np.int64(distances[followed[j]]), matched[runs[j]]
            fresh = price * (total >> _HALF) + (price * (total & _MASK) >> _HALF)
        masses[j, t] = (newest * literal >> 3) + fresh + repeated
    return gained


@_loop
def _weigh_again(now: Any, origin: Any, data: Any, exponents: Any, least: Any, again: Any, weights: Any) -> None:
    """See ``LastDistances.weigh``."""
    followed, _, tails, masses, runs = again
    t = now - origin
    for j in range(len(followed)):
        if followed[j] <= now:
            total = np.int64(0)
            for k in range(runs[j] + 1):
                total += (masses[j, t - k] >> min(exponents[t - k] - least, 62)) * tails[k]
            weights[data[now - followed[j]]] += total >> 3


@_loop
def _walk(
    now: Any, origin: Any, data: Any, before: Any, runs: Any, active: Any, most: Any, reach: Any, extend: Any
) -> Any:
    """Fill ``active`` with the positions that runs of 2 or more have come to; return how many, and the longest run.

    Where the last byte is new, ``extend`` is true, and runs grow by it.
    """
    count: Any = 0
    longest: Any = 1
    if now - origin < 2 or most < 2:
        return count, longest
    place = before[now - 1]
    first, second = data[now - 2], data[now - 1]
    while place >= 0 and now - (place + 1) <= reach:
        if data[place] != second or data[place - 1] != first:  # another pair in the same slot
            place = before[place]
            continue
        if extend:
            run: Any = 2
            if now - origin > 2 and place > 1 and data[place - 2] == data[now - 3]:
                run = min(np.int64(runs[place]) + 1, most)
            runs[place + 1] = run
        active[count] = place + 1
        count += 1
        longest = max(longest, np.int64(runs[place + 1]))
        place = before[place]
    return count, longest


@_loop
def _weigh(
    now: Any, origin: Any, count: Any, data: Any, links: Any, state: Any, prices: Any, again: Any, room: Any
) -> None:
    """Fill (256,) weights of the next byte, the fourth part of ``room``.

    All positions behind a byte like the last one count as runs of 1, summed in ``pairs``. Longer runs add the rest.
    """
    _, _, last_two, rows, pairs = links
    runs, mantissas, exponents, begin = state
    literals, lengths, tails, distances, _, _ = prices
    active, masses, sums, weights, lower = room
    row: Any = np.int64(0)
    longest: Any = np.int64(0)
    if now > origin:
        last = data[now - 1]
        row = np.int64(rows[last])
        if last_two[0, last] >= 0 and now - (last_two[0, last] + 1) <= len(distances) - 1:
            longest = np.int64(1)
    for i in range(count):
        longest = max(longest, np.int64(runs[active[i]]))
    size, least = _align(mantissas, exponents, now - origin, longest, masses)
    sums[0] = 0
    for k in range(1, size):
        sums[k] = sums[k - 1] + masses[k] * tails[k]
    started, one = masses[0] * (tails[0] + lengths[0]), sums[min(1, size - 1)]
    for b in range(256):
        weights[b] = begin[b] * (started >> _HALF) + pairs[row, b] * (one >> _HALF)
        lower[b] = begin[b] * (started & _MASK) + pairs[row, b] * (one & _MASK)
    for i in range(count):
        place = active[i]
        carried = sums[runs[place]]
        price = np.int64(distances[now - place])
        weights[data[place]] += price * ((carried >> _HALF) - (one >> _HALF))
        lower[data[place]] += price * ((carried & _MASK) - (one & _MASK))
    for b in range(256):
        weights[b] += (lower[b] >> _HALF) + ((masses[0] * literals[b]) >> 3)
    _weigh_again(now, origin, data, exponents, least, again, weights)


@_loop
def _share(weights: Any, frequencies: Any) -> None:
    """Fill (256,) ``frequencies`` by ``weights``, which are lost."""
    most: Any = np.int64(0)
    for b in range(256):
        most = max(most, weights[b])
    shift = max(_bits(most) - 32, 0)
    total: Any = np.int64(0)
    for b in range(256):
        weights[b] >>= shift
        total += weights[b]
    total = max(total, 1)
    spread = (1 << _PRECISION) - 256
    left = np.int64(1 << _PRECISION)
    for b in range(256):
        frequencies[b] = weights[b] * spread // total + 1
        left -= frequencies[b]
    for b in range(256):
        frequencies[b] += (left >> 8) + (b < left & 255)


@_loop
def _link(
    data: Any, count: Any, distances: Any, before: Any, latest: Any, last_two: Any, rows: Any, pairs: Any
) -> None:
    """Fill what ``link`` returns."""
    for here in range(count):
        symbol = data[here]
        last_two[0, symbol] = last_two[1, symbol]
        last_two[1, symbol] = here
        if here > 0:
            slot = _slot(data[here - 1], symbol)
            before[here] = latest[slot]
            latest[slot] = here
            if count - here < len(distances):
                pairs[rows[data[here - 1]], symbol] += distances[count - here]


def link(data: Any, count: int, distances: Any) -> tuple[Any, ...]:
    """Return what tells the loops where bytes lie among the first ``count`` of ``data``.

    Returns:
        (n,) for each position, the one before it in the chain of its slot, a hash of its byte and the one before.
        (4096,) the last position of each slot.
        (2, 256) the last position but one of each byte, and the last; -1 for none, as above.
        (256,) the row of each byte in the next table; -1 for none.
        (r, 256) sums of the prices of distances, by the byte that lies so far back; a row for the byte before it.
    """
    before, latest = np.full(len(data), -1, dtype=np.int32), np.full(_SLOTS, -1, dtype=np.int32)
    last_two, rows = np.full((2, 256), -1, dtype=np.int32), np.full(256, -1, dtype=np.int16)
    links = with_rows((before, latest, last_two, rows, np.zeros((1, 256), dtype=np.int32)), data[:count])
    _link(data, count, distances, *links)
    return links


def with_rows(links: tuple[Any, ...], data: Any) -> tuple[Any, ...]:
    """Return the same with a row for every byte of ``data``. Few bytes have one at first: that makes forks cheap."""
    *others, rows, pairs = links
    # One byte, as while decoding, is looked up faster alone.
    if rows[data[0]] >= 0 if len(data) == 1 else (rows[data] >= 0).all():
        return links
    missing = np.unique(data[rows[data] < 0])
    rows[missing] = len(pairs) + np.arange(len(missing))
    return *others, rows, np.vstack([pairs, np.zeros((len(missing), 256), dtype=np.int32)])


@_loop
def run(
    given: Any,
    here: Any,
    origin: Any,
    data: Any,
    links: Any,
    state: Any,
    prices: Any,
    again: Any,
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
        state: by position, how long a run has come to it, if 2 or more; mantissas and exponents of boundary masses,
            from ``origin`` on; (256,) sums of the prices of distances.
        prices: literals, lengths, tails, distances, changes and steps; see ``Prices``.
        again: distances, lengths and tails of ``Repeats``; masses and runs of ``LastDistances``.
        low: (T,) or (0,): written, where each byte's interval begins.
        width: (T,) or (0,): written, how wide it is.
        frequencies: (256,) or (0,): written, of the byte that comes next.
    """
    longest, reach = len(prices[1]) - 1, len(prices[3]) - 1
    room = (
        np.empty(min(len(data), reach + 1) + 1, np.int32),  # positions that runs of 2 or more have come to
        np.empty(longest + 2, np.int64),  # aligned masses
        np.empty(longest + 3, np.int64),  # sums by length
        np.empty(256, np.int64),
        np.empty(256, np.int64),
    )
    weights, shares = room[3], np.empty(256, np.int64)
    count, _ = _walk(here, origin, data, links[0], state[0], room[0], longest, reach, False)
    for i in range(len(given)):
        if len(width):
            _weigh(here, origin, count, data, links, state, prices, again, room)
            _share(weights, shares)
            total = np.int64(0)
            for b in range(given[i]):
                total += shares[b]
            low[i], width[i] = total, shares[given[i]]
        count = _append(given[i], here, origin, data, links, state, prices, again, room)
        here += 1
    if len(frequencies):
        _weigh(here, origin, count, data, links, state, prices, again, room)
        _share(weights, frequencies)
    return here
