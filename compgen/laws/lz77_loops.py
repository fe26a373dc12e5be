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
    symbol: Any,
    here: Any,
    origin: Any,
    data: Any,
    before: Any,
    latest: Any,
    runs: Any,
    active: Any,
    mantissas: Any,
    exponents: Any,
    begin: Any,
    literals: Any,
    lengths: Any,
    distances: Any,
    changes: Any,
    steps: Any,
    masses: Any,
    by_run: Any,
) -> Any:
    """Append one byte at ``here``; return how many positions are active."""
    reach, most = len(distances) - 1, len(lengths) - 1
    data[here] = symbol
    count, longest = 0, 1
    last = -1
    if here > origin:
        last = np.int64(data[here - 1])
    place = latest[symbol]
    now = here + 1
    while place >= 0 and now - (place + 1) <= reach:
        run = 1
        if last >= 0 and place > 0 and data[place - 1] == last:
            run = min(np.int64(runs[place]) + 1, most)
        runs[place + 1] = run
        active[count] = place + 1
        count += 1
        longest = max(longest, run)
        place = before[place]
    before[here] = latest[symbol]
    latest[symbol] = here
    t = now - origin
    size, least = _align(mantissas, exponents, t - 1, longest - 1, masses)
    mass = (masses[0] * literals[symbol]) >> 3
    if size >= 1:
        by_run[: size + 1] = 0
        for i in range(count):
            by_run[min(np.int64(runs[active[i]]), size)] += distances[now - active[i]]
        total, upper, lower = np.int64(0), np.int64(0), np.int64(0)
        for run in range(1, size + 1):
            total += masses[run - 1] * lengths[run]
            upper += by_run[run] * (total >> _HALF)
            lower += by_run[run] * (total & _MASK)
        mass += upper + (lower >> _HALF)
    mass = max(mass, 1)
    shift = _bits(mass) - _MANTISSA
    mantissas[t] = mass >> shift if shift > 0 else mass << -shift
    exponents[t] = least + 17 - shift
    for i in range(len(changes)):
        if now < changes[i]:
            break
        begin[data[now - changes[i]]] += steps[i]
    return count


@_loop
def _weigh(
    now: Any,
    origin: Any,
    count: Any,
    data: Any,
    runs: Any,
    active: Any,
    mantissas: Any,
    exponents: Any,
    begin: Any,
    literals: Any,
    lengths: Any,
    tails: Any,
    distances: Any,
    masses: Any,
    sums: Any,
    weights: Any,
) -> None:
    """Fill (256,) ``weights`` of the next byte."""
    longest = 0
    for i in range(count):
        longest = max(longest, np.int64(runs[active[i]]))
    size, _ = _align(mantissas, exponents, now - origin, longest, masses)
    sums[0] = 0
    for k in range(1, size):
        sums[k] = sums[k - 1] + masses[k] * tails[k]
    all_lengths = np.int64(0)
    for length in range(len(lengths)):
        all_lengths += lengths[length]
    started = masses[0] * all_lengths
    lower = np.empty(256, dtype=np.int64)
    for b in range(256):
        weights[b] = begin[b] * (started >> _HALF)
        lower[b] = begin[b] * (started & _MASK)
    for i in range(count):
        place = active[i]
        carried = sums[min(np.int64(runs[place]), size - 1)]
        price = distances[now - place]
        weights[data[place]] += price * (carried >> _HALF)
        lower[data[place]] += price * (carried & _MASK)
    for b in range(256):
        weights[b] += (lower[b] >> _HALF) + ((masses[0] * literals[b]) >> 3)


@_loop
def _share(weights: Any, frequencies: Any) -> None:
    """Fill (256,) ``frequencies`` by ``weights``, which are lost."""
    most = np.int64(0)
    for b in range(256):
        most = max(most, weights[b])
    shift = max(_bits(most) - 32, 0)
    total = np.int64(0)
    for b in range(256):
        weights[b] >>= shift
        total += weights[b]
    total = max(total, 1)
    spread = (1 << _PRECISION) - 256
    left = np.int64(1 << _PRECISION)
    for b in range(256):
        frequencies[b] = weights[b] * spread // total + 1
        left -= frequencies[b]
    for b in range(left):
        frequencies[b] += 1


@numba.njit(cache=True)
def _link(data: Any, count: Any, before: Any, latest: Any) -> None:
    for here in range(count):
        before[here] = latest[data[here]]
        latest[data[here]] = here


def link(data: Any, count: int) -> tuple[Any, Any]:
    """Return, for each of ``count`` positions, the position before it of the same byte; and of each byte the last."""
    before, latest = np.full(len(data), -1, dtype=np.int32), np.full(256, -1, dtype=np.int32)
    _link(data, count, before, latest)
    return before, latest


@_loop
def run(
    given: Any,
    here: Any,
    origin: Any,
    count: Any,
    data: Any,
    before: Any,
    latest: Any,
    runs: Any,
    active: Any,
    mantissas: Any,
    exponents: Any,
    begin: Any,
    literals: Any,
    lengths: Any,
    tails: Any,
    distances: Any,
    changes: Any,
    steps: Any,
    low: Any,
    width: Any,
    frequencies: Any,
) -> Any:
    """Append the bytes ``given``; return where they end, and how many positions are active.

    Args:
        given: (T,) uint8.
        here: where the first of them goes.
        origin: where the pass began.
        count: positions in ``active``.
        data: all bytes.
        before: see ``link``.
        latest: see ``link``.
        runs: by position, how long a run has come to it.
        active: the positions that runs have come to.
        mantissas: of boundary masses, from ``origin`` on.
        exponents: the same.
        begin: (256,) sums of the prices of distances.
        literals: see ``Prices``, as the next five.
        lengths: see there.
        tails: see there.
        distances: see there.
        changes: see there.
        steps: see there.
        low: (T,) or (0,): written, where each byte's interval begins.
        width: (T,) or (0,): written, how wide it is.
        frequencies: (256,) or (0,): written, of the byte that comes next.
    """
    masses, sums = np.empty(len(lengths) + 1, dtype=np.int64), np.empty(len(lengths) + 1, dtype=np.int64)
    by_run = np.empty(len(lengths) + 2, dtype=np.int64)
    weights, shares = np.empty(256, dtype=np.int64), np.empty(256, dtype=np.int64)
    for i in range(len(given)):
        if len(width):
            _weigh(
                here, origin, count, data, runs, active, mantissas, exponents, begin, literals, lengths, tails,
                distances, masses, sums, weights,
            )  # fmt: skip
            _share(weights, shares)
            total = np.int64(0)
            for b in range(given[i]):
                total += shares[b]
            low[i], width[i] = total, shares[given[i]]
        count = _append(
            given[i], here, origin, data, before, latest, runs, active, mantissas, exponents, begin, literals, lengths,
            distances, changes, steps, masses, by_run,
        )  # fmt: skip
        here += 1
    if len(frequencies):
        _weigh(
            here, origin, count, data, runs, active, mantissas, exponents, begin, literals, lengths, tails, distances,
            masses, sums, weights,
        )  # fmt: skip
        _share(weights, frequencies)
    return here, count
