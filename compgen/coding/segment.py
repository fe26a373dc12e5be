"""One segment: bytes coded with a model's distributions, and decoded by asking the model the same questions.

A segment has lanes: its bytes are cut into so many parts, the first ones a byte longer where it does not come out
even, and row i of the model's state codes part i. Encoder and decoder ask a state for intervals and extend it, in the
same order. The entropy coder begins each lane at a state that is the lane's checksum, which so takes no room.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from compgen.coding import rans
from compgen.errors import CorruptDataError
from compgen.models.base import PRECISION, State

_BLOCK = 64  # steps that are coded between two reports

Progress: TypeAlias = Callable[[int], None]
"""Called with the number of bytes done so far."""

ALL = 1 << PRECISION
"""The width of a symbol that owns every point, which is coded in no bits: what a lane goes on with after its end."""


def encode(state: State, data: bytes, watch: Progress = lambda done: None) -> bytes:
    """Return the code of ``data``, one lane for each row of ``state``, which is then extended by it."""
    parts = [data[begin:end] for begin, end in itertools.pairwise(_cuts(len(data), state.rows))]
    low, width = _intervals(state, parts, watch)
    return rans.encode(low, width, PRECISION, [beginning(part) for part in parts])


def encode_each(state: State, parts: Sequence[bytes]) -> tuple[list[bytes], NDArray[np.float64]]:
    """Return the codes of ``parts``, each a segment of its own with one lane, coded side by side by the state's rows.

    Beside them stand the (B,) bits that each needs, the sum of -log2 p over its bytes.
    """
    low, width = _intervals(state, parts, lambda done: None)
    codes = [
        rans.encode(low[: len(part), row, None], width[: len(part), row, None], PRECISION, [beginning(part)])
        for row, part in enumerate(parts)
    ]
    return codes, (PRECISION - np.log2(width)).sum(axis=0)


def _intervals(state: State, parts: Sequence[bytes], watch: Progress) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return (low, width), (T, B) each, of the parts' bytes; rows that have ended get symbols that own all points."""
    lengths = np.array([len(part) for part in parts])
    symbols = np.zeros((lengths.max(initial=0), len(parts)), dtype=np.uint8)
    for row, part in enumerate(parts):
        symbols[: len(part), row] = np.frombuffer(part, dtype=np.uint8)
    low = np.empty(symbols.shape, dtype=np.uint32)
    width = np.empty(symbols.shape, dtype=np.uint32)
    for begin in range(0, len(symbols), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        low[block], width[block] = state.consume(symbols[block])
        watch(int(np.minimum(lengths, begin + _BLOCK).sum()))
    ended = np.arange(len(symbols))[:, None] >= lengths
    low[ended], width[ended] = 0, ALL
    return low, width


def decode(state: State, code: bytes, length: int, watch: Progress = lambda done: None) -> bytes:
    """Return the ``length`` bytes that ``code`` stands for; ``state`` is then extended by them.

    Raises:
        CorruptDataError: ``code`` does not hold ``length`` bytes, or other bytes than were coded.
    """
    lanes = state.rows
    decoder = rans.Decoder(code, lanes, PRECISION)
    symbols = np.zeros((-(-length // lanes), lanes), dtype=np.uint8)
    for step in range(len(symbols)):
        column, low, width = state.locate(decoder.points())
        ended = _going(length, lanes, step)
        column[ended:], low[ended:], width[ended:] = 0, 0, ALL
        decoder.advance(low, width)
        symbols[step] = column
        state.extend(column)
        watch(step * lanes + ended)
    sizes = [end - begin for begin, end in itertools.pairwise(_cuts(length, lanes))]
    parts = [symbols[:size, lane].tobytes() for lane, size in enumerate(sizes)]
    return joined(decoder, parts)


def joined(decoder: rans.Decoder, parts: Sequence[bytes]) -> bytes:
    """Return the parts that lanes gave as one, if all code was read and each lane is back where it began.

    Raises:
        CorruptDataError: it is not.
    """
    if decoder.left or decoder.states != [beginning(part) for part in parts]:
        raise CorruptDataError(
            "a segment decodes to other bytes than were coded: it is damaged, or its model has changed"
        )
    return b"".join(parts)


def beginning(part: bytes) -> int:
    """Return the state that a lane begins with."""
    return rans.LEAST + zlib.crc32(part)


def _cuts(length: int, lanes: int) -> list[int]:
    """Return where the parts begin, and where the last one ends."""
    size, longer = divmod(length, lanes)
    return [lane * size + min(lane, longer) for lane in range(lanes + 1)]


def _going(length: int, lanes: int, step: int) -> int:
    """Return how many lanes, the first ones, have a byte at this step."""
    return min(lanes, length - step * lanes)
