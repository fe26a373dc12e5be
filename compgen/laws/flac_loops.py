"""The mixture of ``flac_mixture.py`` as loops that numba compiles: the same integers in a fraction of the time.

Imported where numba is installed and there is enough to do (``compgen/jit.py``). Constants stand here again: numba
keeps compiled code for as long as this file is unchanged.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_loop = numba.njit(cache=True)

_WEIGHT, _SHARES, _HALF, _MEMORY = 28, 34, 32, 32
_NEW_CODE, _NEW_PREDICTOR = 5, 7
_FRACTION, _SIDE = 8, 2
_LENGTH, _CHANNEL, _BYTE, _LEFT, _HIGH, _ERROR, _KNOWN = 0, 1, 2, 3, 4, 5, 6
_PRECISION = 24


@_loop
def _bits_of(number: Any) -> Any:
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
def _quotient(edge: Any, code: Any) -> Any:
    """Return how many more bits a residual at this distance takes than one at 0."""
    return 2 * abs(edge) if code == 0 else abs(edge) >> (code - 1)


@_loop
def _below(edge: Any, code: Any, right: Any, outside: Any, least: Any) -> Any:
    """Return the mass of residuals below ``edge``, but for a constant; see ``flac_mixture.below``."""
    if code < 0:
        whole = np.int64(1) << (-1 - code)
        return min(max(edge + (whole >> 1), 0), whole)
    positive, far = right or edge > 0, abs(edge)
    two_thirds, third = (np.int64(2) << (_HALF + 1)) // 3, (np.int64(1) << (_HALF + 1)) // 3
    if code == 0:
        tail, whole = two_thirds if positive else third, two_thirds + third
    else:
        tail = ((np.int64(1) << code) - (far & ((np.int64(1) << (code - 1)) - 1))) << (_HALF - code)
        whole = np.int64(2) << _HALF
    tail >>= min(_quotient(edge, code) - least, 63)
    if positive:
        return (0 if outside else whole) - tail
    return tail


@_loop
def _fill(base: Any, step: Any, code: Any, wasted: Any, prediction: Any, turned: Any, left: Any, masses: Any) -> Any:
    """Fill (256,) masses of a component, and return their sum; see ``flac_mixture.below``.

    If ``turned``, what is predicted is ``left`` minus the sample.
    """
    up, whole = prediction & ((1 << _FRACTION) - 1), prediction >> _FRACTION
    first, last = base, base + 256 * step
    if turned:
        first, last = left + 1 - last, left + 1 - first
    first, last = -((-first) >> wasted) - whole - (1 if up else 0), -((-last) >> wasted) - whole
    right = first >= 0
    outside = right or last <= 0
    least = np.int64(0)
    if outside and code >= 0:
        least = min(_quotient(first, code), _quotient(last, code))
    before, total = np.int64(0), np.int64(0)
    for i in range(257):
        edge = left + 1 - (base + (256 - i) * step) if turned else base + i * step
        edge = -((-edge) >> wasted) - whole
        now = _below(edge, code, right, outside, least)
        if up:
            now = (((1 << _FRACTION) - up) * now + up * _below(edge - 1, code, right, outside, least)) >> _FRACTION
        if i > 0:
            masses[256 - i if turned else i - 1] = now - before
            total += now - before
        before = now
    return total


@_loop
def _weigh(bits: Any, state: Any, predictors: Any, components: Any, mine: Any) -> None:
    """Bring masses and factors up to date."""
    _, registers, predictions, masses, factors, _ = state
    if registers[_KNOWN]:
        return
    registers[_KNOWN] = 1
    channel, byte, left = registers[_CHANNEL], registers[_BYTE], registers[_LEFT]
    step = 256 if bits == 16 and byte == 0 else 1
    base = (registers[_HIGH] << 8 if byte else np.int64(0)) - (np.int64(1) << (bits - 1))
    owners, codes, centres = components[0], components[1], components[4]
    for e in range(len(mine)):
        owner = owners[e]
        turned, wasted = predictors[5][channel, owner] == _SIDE, predictors[3][channel, owner]
        prediction = predictions[channel, owner] + centres[e]
        total = _fill(base, step, codes[e], wasted, prediction, turned, left, masses[e])
        factors[e] = (mine[e] << _SHARES) // total if total > 0 else 0


@_loop
def _law(count: Any, masses: Any, factors: Any, frequencies: Any) -> None:
    """Fill (256,) frequencies as ``base.frequencies_of`` does."""
    frequencies[:] = 0
    for e in range(count):
        if factors[e]:
            for b in range(256):
                frequencies[b] += factors[e] * masses[e, b]
    most = np.int64(0)
    for b in range(256):
        most = max(most, frequencies[b])
    if most == 0:
        frequencies[:] = 1
    shift, total = max(_bits_of(most) - 32, 0), np.int64(0)
    for b in range(256):
        frequencies[b] >>= shift
        total += frequencies[b]
    total = max(total, np.int64(1))
    spread, rest = (np.int64(1) << _PRECISION) - 256, np.int64(1) << _PRECISION
    for b in range(256):
        frequencies[b] = frequencies[b] * spread // total + 1
        rest -= frequencies[b]
    for b in range(rest):
        frequencies[b] += 1


@_loop
def _share(owners: Any, prior: Any, within: Any, mine: Any) -> None:
    """Return a part of the weights to what the headers say."""
    total = np.int64(0)
    of_owner = np.zeros(owners[len(owners) - 1] + 1, np.int64)
    for e in range(len(mine)):
        total += mine[e]
        of_owner[owners[e]] += mine[e]
    for e in range(len(mine)):
        mine[e] += (
            -(mine[e] >> _NEW_CODE)
            - (mine[e] >> _NEW_PREDICTOR)
            + ((of_owner[owners[e]] * within[e]) >> (_WEIGHT + _NEW_CODE))
            + ((total * prior[e]) >> (_WEIGHT + _NEW_PREDICTOR))
        )


@_loop
def predict(sound: Any, length: Any, predictors: Any, predictions: Any) -> None:
    """Fill (C, J) predictions for the next frame of sound."""
    coefficients, shifts, offsets, wasted, damped, rows = predictors
    for channel in range(predictions.shape[0]):
        for number in range(predictions.shape[1]):
            total, row, drop = np.int64(0), rows[channel, number], wasted[channel, number]
            for i in range(_MEMORY):
                total += (sound[row, length - 1 - i] >> drop) * coefficients[channel, number, i]
            places = _FRACTION * damped[channel, number]
            found = (total >> (shifts[channel, number] - places)) << (_FRACTION - places)
            predictions[channel, number] = (offsets[channel, number] << _FRACTION) + found


@_loop
def _append(symbol: Any, bits: Any, channels: Any, state: Any, predictors: Any, components: Any, mine: Any) -> None:
    """Append one byte; masses and factors are up to date."""
    sound, registers, predictions, masses, factors, ranges = state
    channel, total = registers[_CHANNEL], np.int64(0)
    for e in range(len(mine)):
        total += factors[e] * masses[e, symbol]
    if total > 0:
        shift = _bits_of(total) - _WEIGHT
        for e in range(len(mine)):
            seen = factors[e] * masses[e, symbol]
            mine[e] = seen >> shift if shift > 0 else seen << -shift
    registers[_KNOWN] = 0
    if bits == 16 and registers[_BYTE] == 0:
        registers[_BYTE], registers[_HIGH] = 1, symbol
        return
    sample = symbol + (registers[_HIGH] << 8 if bits == 16 else np.int64(0)) - (np.int64(1) << (bits - 1))
    sample = min(max(sample, ranges[channel, 0]), ranges[channel, 1])
    registers[_BYTE] = 0
    _share(components[0], components[2], components[3], mine)
    length = registers[_LENGTH]
    sound[channel, length] = sample
    if channel == 0:
        registers[_ERROR] = abs(sample - (predictions[0, 0] >> _FRACTION))
    if channel < channels - 1:
        registers[_LEFT], registers[_CHANNEL] = sample, 1
        return
    registers[_CHANNEL] = 0
    if channels == 2:
        sound[_SIDE, length] = registers[_LEFT] - sample
    registers[_LENGTH] = length + 1
    predict(sound, length + 1, predictors, predictions)


@_loop
def run(
    data: Any,
    bits: Any,
    channels: Any,
    state: Any,
    predictors: Any,
    first: Any,
    last: Any,
    weights_first: Any,
    weights_last: Any,
    low: Any,
    width: Any,
    frequencies: Any,
) -> None:
    """Append the bytes ``data``.

    Args:
        data: (T,) uint8.
        bits: of a sample.
        channels: 1 or 2.
        state: of a ``Mixture``: sound, registers, predictions, masses and factors, all changed in place, and ranges.
        predictors: see ``Predictors``.
        first: components of the first channel; see ``Components``.
        last: components of the last channel.
        weights_first: (E,) their weights, changed in place.
        weights_last: (E,) the same.
        low: (T,) or (0,): written, where each byte's interval begins.
        width: (T,) or (0,): written, how wide it is.
        frequencies: (256,) or (0,): written, of the byte that comes next.
    """
    registers, masses, factors = state[1], state[3], state[4]
    shares = np.empty(256, np.int64)
    for i in range(len(data)):
        components, mine = (last, weights_last) if registers[_CHANNEL] else (first, weights_first)
        _weigh(bits, state, predictors, components, mine)
        if len(width):
            _law(len(mine), masses, factors, shares)
            total = np.int64(0)
            for b in range(data[i]):
                total += shares[b]
            low[i], width[i] = total, shares[data[i]]
        _append(np.int64(data[i]), bits, channels, state, predictors, components, mine)
    if len(frequencies):
        components, mine = (last, weights_last) if registers[_CHANNEL] else (first, weights_first)
        _weigh(bits, state, predictors, components, mine)
        _law(len(mine), masses, factors, frequencies)
