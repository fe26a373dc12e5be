"""Entropy coding with intervals of integers: range variant of asymmetric numeral systems (Duda 2013), in lanes.

A lane is a number x. To code a symbol that owns ``width`` of the 2**precision points, beginning at ``low``, is::

    x  ->  (x // width) * 2**precision + low + x % width        about x * 2**precision / width

so that x grows by -log2 p bits. Where it would leave 64 bits, its low 32 are put out first. Decoding undoes the last
step: the low ``precision`` bits of x are a point, the symbol is the one whose interval holds it. What was coded last
comes out first; so the encoder works from the last symbol to the first, and the decoder runs forward beside its model.

Each lane begins at a state of the caller's choice, 2**32 or more, to which the decoder comes back: chosen by a
checksum of the data, it makes one that costs nothing. A symbol that owns all points changes nothing; lanes that are
shorter than others end with such symbols.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.errors import CorruptDataError
from compgen.jit import SMALL

LEAST = 1 << 32
"""The smallest state."""

LANE = 8
"""Bytes of code that a lane takes at least: its last state."""

_STATE = np.dtype("<u8")
_WORD = np.dtype("<u4")
_BLOCK = 1 << 14  # symbols prepared at a time


def encode(low: NDArray[np.uint32], width: NDArray[np.uint32], precision: int, begin: Sequence[int]) -> bytes:
    """Return the code of T symbols in each of n lanes: n states, then the words that all lanes share.

    Args:
        low: (T, n) where each symbol's interval begins, in [0, 2**precision).
        width: (T, n) how many points it holds, in [1, 2**precision].
        precision: log2 of the number of points, at most 30.
        begin: n states from LEAST to 2**64, which the decoder gives back.
    """
    states = np.array(begin, dtype=np.uint64)
    words = np.empty(low.size, dtype=np.uint32)  # filled from the end
    left = len(words)
    for block in _blocks(low.shape):
        lows, widths = low[block].astype(np.uint64), width[block].astype(np.uint64)
        left = _push(states, lows, widths, np.array([precision], dtype=np.uint64), words[:left])
    return states.astype(_STATE).tobytes() + words[left:].astype(_WORD).tobytes()


def _push_by_numpy(
    states: NDArray[np.uint64],
    low: NDArray[np.uint64],
    width: NDArray[np.uint64],
    precision: NDArray[np.uint64],
    words: NDArray[np.uint32],
) -> int:
    half = np.uint64(32)
    # The largest state that stays under 2**64; wraps to the largest of all where the width is 2**precision.
    largest = (width << (np.uint64(64) - precision)) - np.uint64(1)
    others = (np.uint64(1) << precision) - width
    put = np.empty(width.shape, dtype=np.uint32)
    full = np.empty(width.shape, dtype=np.bool_)
    quotient = np.empty_like(states)
    for t in range(len(width) - 1, -1, -1):
        over = np.greater(states, largest[t], out=full[t])
        put[t] = states  # the low 32 bits
        np.right_shift(states, half, out=states, where=over)
        np.floor_divide(states, width[t], out=quotient)
        quotient *= others[t]
        states += quotient
        states += low[t]
    found = put[full]
    begin = len(words) - len(found)
    words[begin:] = found
    return begin


@SMALL.loop(fallback=_push_by_numpy)
def _push(states: Any, low: Any, width: Any, precision: Any, words: Any) -> Any:
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


def _blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield slices of the steps, the last first, whose arrays stay in the cache."""
    steps, lanes = shape
    rows = max(1, _BLOCK // max(1, lanes))
    for end in range(steps, 0, -rows):
        yield slice(max(0, end - rows), end)


def _pop_by_numpy(
    states: NDArray[np.uint64],
    low: NDArray[np.uint64],
    width: NDArray[np.uint64],
    precision: NDArray[np.uint64],
    words: NDArray[np.uint64],
    used: int,
) -> int:
    rest = (states & ((np.uint64(1) << precision) - np.uint64(1))) - low
    states >>= precision
    states *= width
    states += rest
    hungry = np.flatnonzero(states < np.uint64(LEAST))
    end = used + len(hungry)
    if end > len(words):
        return -1
    states[hungry] = (states[hungry] << np.uint64(32)) | words[used:end]
    return end


@SMALL.loop(fallback=_pop_by_numpy)
def _pop(states: Any, low: Any, width: Any, precision: Any, words: Any, used: Any) -> Any:
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


class Decoder:
    """The inverse of ``encode``, one symbol of every lane at a time: ask for ``points``, say what was found there."""

    def __init__(self, code: bytes, lanes: int, precision: int) -> None:
        """Raise CorruptDataError where ``code`` is too short to hold ``lanes`` states, or holds half a word."""
        size = _STATE.itemsize * lanes
        if len(code) < size or (len(code) - size) % _WORD.itemsize:
            raise CorruptDataError("a segment's code is cut short")
        self._states = np.frombuffer(code[:size], dtype=_STATE).astype(np.uint64)
        if (self._states < np.uint64(LEAST)).any():
            raise CorruptDataError("a segment's code begins with a state that no encoder writes")
        self._words = np.frombuffer(code[size:], dtype=_WORD).astype(np.uint64)
        self._precision = np.array([precision], dtype=np.uint64)
        self._mask = np.uint64((1 << precision) - 1)
        self._used = 0

    def points(self) -> NDArray[np.int64]:
        """Return (n,) a point in [0, 2**precision) for each lane; its next symbol's interval holds it."""
        return (self._states & self._mask).astype(np.int64)

    def advance(self, low: NDArray[np.int64], width: NDArray[np.int64]) -> None:
        """Take the (n,) intervals found at the points out of the states.

        Raises:
            CorruptDataError: the code has come to its end.
        """
        intervals = low.astype(np.uint64), width.astype(np.uint64)
        self._used = _pop(self._states, *intervals, self._precision, self._words, self._used)
        if self._used < 0:
            raise CorruptDataError("a segment's code ends before its data")

    @property
    def states(self) -> list[int]:
        """The n states that are left: at the end, those that the encoder began with."""
        return [int(state) for state in self._states]

    @property
    def used(self) -> int:
        """Words read so far."""
        return self._used

    @property
    def left(self) -> int:
        """Words not read yet."""
        return len(self._words) - self._used
