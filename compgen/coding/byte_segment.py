"""Code one segment byte by byte with a model's distributions.

The bytes of a segment are cut into *lanes*, parts of nearly equal length that lie one after the other; the first parts
are one byte longer if the length does not divide evenly. Row i of the model's state codes lane i, and all rows advance
in lockstep. Encoder and decoder ask the state the same questions in the same order, so the decoder sees the same
intervals. The entropy coder starts each lane in a state that is the lane's checksum, so the checksum takes no space.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compgen.coding import rans
from compgen.errors import CorruptDataError
from compgen.models.base import PRECISION, State
from compgen.types import Progress

_BLOCK = 64
"""Steps that are coded between two reports of progress. Chosen: often enough to watch, and cheap."""

_ALL_POINTS = 1 << PRECISION
"""The width of a symbol that owns every point. It is coded in no bits; shorter lanes are filled up with it."""


def encode(state: State, data: bytes, watch: Progress = lambda done: None) -> bytes:
    """Return the code of ``data``, with one lane for each row of ``state``. The state is extended by the data."""
    parts = [data[begin:end] for begin, end in itertools.pairwise(_cuts(len(data), state.rows))]
    low, width = _intervals(state, parts, watch)
    return rans.encode(low, width, PRECISION, [initial_state(part) for part in parts])


def encode_each(state: State, parts: Sequence[bytes]) -> tuple[list[bytes], NDArray[np.float64]]:
    """Code several segments of one lane each, side by side in the rows of ``state``.

    Returns:
        The code of each segment, and (B,) the bits that each needs: the sum of -log2 p over its bytes.
    """
    low, width = _intervals(state, parts, lambda done: None)
    codes = [
        rans.encode(low[: len(part), row, None], width[: len(part), row, None], PRECISION, [initial_state(part)])
        for row, part in enumerate(parts)
    ]
    return codes, (PRECISION - np.log2(width)).sum(axis=0)


def surprisals(state: State, parts: Sequence[bytes]) -> list[NDArray[np.float64]]:
    """Return -log2 p of each byte of each part, bits; the rows of ``state`` read the parts side by side."""
    _, width = _intervals(state, parts, lambda done: None)
    return [PRECISION - np.log2(width[: len(part), row]) for row, part in enumerate(parts)]


def _intervals(state: State, parts: Sequence[bytes], watch: Progress) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return (low, width), (T, B) each, of the bytes in each part. Shorter parts are filled up with free symbols."""
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
    low[ended], width[ended] = 0, _ALL_POINTS
    return low, width


def decode(state: State, code: bytes, length: int, watch: Progress = lambda done: None) -> bytes:
    """Return the ``length`` bytes that were coded as ``code``. The state is extended by them.

    Raises:
        CorruptDataError: the code is of another length, or decodes to other bytes than were coded.
    """
    lanes = state.rows
    decoder = rans.Decoder(code, lanes, PRECISION)
    symbols = np.zeros((-(-length // lanes), lanes), dtype=np.uint8)
    for step in range(len(symbols)):
        column, low, width = state.locate(decoder.points())
        going = min(lanes, length - step * lanes)  # lanes, the first ones, that have a byte at this step
        if going < lanes:
            column[going:], low[going:], width[going:] = 0, 0, _ALL_POINTS
        decoder.advance(low, width)
        symbols[step] = column
        state.extend(column)
        watch(step * lanes + going)
    sizes = [end - begin for begin, end in itertools.pairwise(_cuts(length, lanes))]
    return checked_join(decoder, [symbols[:size, lane].tobytes() for lane, size in enumerate(sizes)])


def checked_join(decoder: rans.Decoder, parts: Sequence[bytes]) -> bytes:
    """Return the decoded lanes as one byte string.

    Raises:
        CorruptDataError: a part of the code was not read, or a lane does not match its checksum.
    """
    if decoder.left or decoder.states != [initial_state(part) for part in parts]:
        raise CorruptDataError(
            "a segment decodes to other bytes than were coded: it is damaged, or its model has changed"
        )
    return b"".join(parts)


def initial_state(part: bytes) -> int:
    """Return the entropy coder's initial state for a lane that holds ``part``: a CRC-32, moved into its range."""
    return rans.LEAST + zlib.crc32(part)


def _cuts(length: int, lanes: int) -> list[int]:
    """Return where each lane begins, and where the last one ends."""
    size, longer = divmod(length, lanes)
    return [lane * size + min(lane, longer) for lane in range(lanes + 1)]
