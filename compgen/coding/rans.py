"""Entropy coding by rANS, the range variant of asymmetric numeral systems (Duda 2013), in several lanes.

A symbol is coded by its interval of integers: of 2**precision points it owns ``width``, the first of which is ``low``.
The state of a lane is a number x. Coding a symbol changes it so that it grows by -log2 p bits::

    x  ->  (x // width) * 2**precision + low + x % width        about x * 2**precision / width

If x would not fit in 64 bits, its low 32 bits are first appended to the code, as a word. Decoding inverts the step: the
low ``precision`` bits of x are a point, and the symbol is the one whose interval holds the point. The symbol that was
coded last comes out first. So the encoder works from the last symbol to the first, and the decoder works forward,
beside its model.

The caller chooses the initial state of each lane, 2**32 or more, and the decoder ends in it. If the initial state is a
checksum of the data, the checksum takes no space. A symbol that owns all points changes nothing: such symbols fill up
the lanes that are shorter than others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.errors import CorruptDataError
from compgen.jit import SMALL

LEAST = 1 << 32
"""The smallest state. With words of 32 bits, states stay in [2**32, 2**64)."""

LANE = 8
"""Bytes of code that a lane takes at least: its final state."""

_STATE = np.dtype("<u8")
"""A state in the code."""

_WORD = np.dtype("<u4")
"""A word in the code."""

_BLOCK = 1 << 14
"""Symbols that the encoder prepares at a time. Chosen: the arrays of so many stay in a processor's cache."""


def encode(low: NDArray[np.uint32], width: NDArray[np.uint32], precision: int, begin: Sequence[int]) -> bytes:
    """Return the code of T symbols in each of n lanes: the n final states, then the words that all lanes share.

    Args:
        low: (T, n) the first point of each symbol's interval, in [0, 2**precision).
        width: (T, n) the number of points in it, in [1, 2**precision].
        precision: log2 of the number of points, at most 30.
        begin: the n initial states, from LEAST to 2**64 - 1, in which the decoder ends.
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
    # The largest state that stays below 2**64. If the width is 2**precision, the sum wraps to 2**64 - 1, as it should.
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
    """Code (T, n) intervals into the n ``states``, in place. ``words`` is filled from its end.

    All arrays are of uint64, except ``words``, which is of uint32. ``precision`` is an array of one number, so that
    compiled code keeps its type.

    Returns:
        The place in ``words`` where the words begin.
    """
    shift = 64 - precision[0]
    left = len(words)
    for t in range(low.shape[0] - 1, -1, -1):
        for i in range(low.shape[1] - 1, -1, -1):
            state = states[i]
            points = width[t, i]
            if points >> precision[0]:
                continue  # the symbol owns every point and is coded in no bits
            if (state >> shift) >= points:
                left -= 1
                words[left] = state & 0xFFFFFFFF
                state >>= 32
            quotient = state // points
            states[i] = state - quotient * points + (quotient << precision[0]) + low[t, i]
    return left


def _blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield slices of the steps, the last slice first, of about ``_BLOCK`` symbols each."""
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
    """Decode one symbol in each of the n ``states``, in place. Returns the words used so far, or -1 if they ran out."""
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
    """The inverse of ``encode``. It decodes one symbol of every lane at a time.

    Ask for ``points``, find the symbols whose intervals hold them, and ``advance`` by these intervals.
    """

    def __init__(self, code: bytes, lanes: int, precision: int) -> None:
        """Read the states of ``lanes`` lanes.

        Raises:
            CorruptDataError: the code is too short, ends inside a word, or begins with a state that cannot be.
        """
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
        """Return (n,) a point in [0, 2**precision) for each lane: it lies in the interval of the lane's next symbol."""
        return (self._states & self._mask).astype(np.int64)

    def advance(self, low: NDArray[np.int64], width: NDArray[np.int64]) -> None:
        """Remove the symbols with the given (n,) intervals, which hold the points, from the states.

        Raises:
            CorruptDataError: there are no more words.
        """
        intervals = low.astype(np.uint64), width.astype(np.uint64)
        self._used = _pop(self._states, *intervals, self._precision, self._words, self._used)
        if self._used < 0:
            raise CorruptDataError("a segment's code ends before its data")

    @property
    def states(self) -> list[int]:
        """The n current states. After the last symbol, they are the encoder's initial states."""
        return [int(state) for state in self._states]

    @property
    def used(self) -> int:
        """Words read so far."""
        return self._used

    @property
    def left(self) -> int:
        """Words not read yet."""
        return len(self._words) - self._used
