"""The open row of ``png.py`` under its five filters, as loops that numba compiles: the same integers.

``compgen.jit.compiled_family`` compiles them, together with those of ``lz77_loops.py`` that they call.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compgen.laws.lz77_loops import _SLOTS, _append, _bits, _link, _share, _weigh

_FILTERS = 5
_BELIEF = 30


def predict_byte(number: Any, left: Any, up: Any, corner: Any) -> Any:
    """Return what filter ``number`` predicts."""
    if number == 0:
        return 0
    if number == 1:
        return left
    if number == 2:
        return up
    if number == 3:
        return (left + up) >> 1
    by_left, by_up, by_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if by_left <= by_up and by_left <= by_corner:
        return left
    return up if by_up <= by_corner else corner


def believe(belief: Any, number: Any, frequency: Any) -> None:
    """Multiply the belief in filter ``number`` by a frequency."""
    product = belief[0, number] * frequency
    shift = _bits(product) - _BELIEF
    belief[0, number] = product >> shift if shift > 0 else product << -shift
    belief[1, number] += shift


def mix_filters(belief: Any, parts: Any, predicted: Any, mixed: Any, frequencies: Any) -> None:
    """Fill (256,) ``frequencies`` of the next byte."""
    top = belief[1].max()
    mixed[:] = 0
    for number in range(_FILTERS):
        weight = belief[0, number] >> min(top - belief[1, number], 62)
        for residual in range(256):
            mixed[(residual + predicted[number]) & 255] += weight * parts[number, residual]
    _share(mixed, frequencies)


def follow_filters(
    given: Any,
    column: Any,
    here: Any,
    origin: Any,
    pixel: Any,
    around: Any,
    data: Any,
    links: Any,
    state: Any,
    prices: Any,
    again: Any,
    believed: Any,
    low: Any,
    width: Any,
    frequencies: Any,
) -> None:
    """Read the bytes ``given``; in column -1, one that stands for the number of each filter.

    Args:
        given: (T,) uint8.
        column: of the first of them.
        here: where its residuals go.
        origin: where the passes began.
        pixel: bytes of a pixel.
        around: (2, pixel + row) the open row and the one above, with a pixel of zeros on the left.
        data: (5, n) the streams.
        links: see ``lz77_loops.link``; all but the rows of bytes with five in front of their shapes.
        state: see ``lz77_loops.run``; the same.
        prices: the same as there.
        again: the same as there.
        believed: belief in the filters, frequencies of residuals, longest runs; see ``png.OpenRow``.
        low: (T,) or (0,): written, where each byte's interval begins.
        width: (T,) or (0,): written, how wide it is.
        frequencies: (256,) written, of the byte that comes next, if the row has one.
    """
    line, above = around[0], around[1]
    belief, parts, _ = believed
    most, reach = len(prices[1]) - 1, len(prices[3]) - 1
    room = (
        np.empty(min(data.shape[1], reach + 1) + 1, np.int32),  # positions that runs of 2 or more have come to
        np.empty(most + 2, np.int64),  # aligned masses
        np.empty(most + 3, np.int64),  # sums by length
        np.empty(256, np.int64),
        np.empty(256, np.int64),
    )
    predicted, mixed = np.zeros(_FILTERS, np.int64), np.empty(256, np.int64)
    for i in range(len(given) + 1):
        inside = 0 <= column < len(line) - pixel
        if inside:
            left, up, corner = np.int64(line[column]), np.int64(above[column + pixel]), np.int64(above[column])
            for number in range(_FILTERS):
                predicted[number] = predict_byte(number, left, up, corner)
            if len(width) or i == len(given):
                mix_filters(belief, parts, predicted, mixed, frequencies)
        if i == len(given):
            break
        symbol = np.int64(given[i])
        if len(width):
            low[i], width[i] = frequencies[:symbol].sum(), frequencies[symbol]
        for number in range(_FILTERS):
            residual = np.int64(number)
            if inside:
                residual = (symbol - predicted[number]) & 255
                believe(belief, number, parts[number, residual])
            read_residual(number, residual, here, origin, data, links, state, prices, again, believed, room)
        if inside:
            line[column + pixel] = symbol
        column += 1
        here += 1


def read_residual(
    number: Any,
    residual: Any,
    here: Any,
    origin: Any,
    data: Any,
    links: Any,
    state: Any,
    prices: Any,
    again: Any,
    believed: Any,
    room: Any,
) -> None:
    """Append a residual to the pass of filter ``number``; find the frequencies of the next, and the longest run."""
    before, latest, last_two, rows, pairs = links
    runs, mantissas, exponents, begin = state
    _, parts, longest = believed
    stream, own = data[number], (before[number], latest[number], last_two[number], rows, pairs[number])
    kept = runs[number], mantissas[number], exponents[number], begin[number]
    count = _append(residual, here, origin, stream, own, kept, prices, again, room)
    _weigh(here + 1, origin, count, stream, own, kept, prices, again, room)
    _share(room[3], parts[number])
    longest[number] = 1
    for i in range(count):
        longest[number] = max(longest[number], np.int64(kept[0][room[0][i]]))


def link_filters(data: Any, count: int, distances: Any) -> tuple[Any, ...]:
    """Return what ``lz77_loops.link`` returns for each of the (5, n) streams; every byte has a row, its own number."""
    size = data.shape[1]
    before, latest = np.full((_FILTERS, size), -1, dtype=np.int32), np.full((_FILTERS, _SLOTS), -1, dtype=np.int32)
    last_two, rows = np.full((_FILTERS, 2, 256), -1, dtype=np.int32), np.arange(256, dtype=np.int16)
    pairs = np.zeros((_FILTERS, 256, 256), dtype=np.int32)
    for number in range(_FILTERS):
        _link(data[number], count, distances, before[number], latest[number], last_two[number], rows, pairs[number])
    return before, latest, last_two, rows, pairs
