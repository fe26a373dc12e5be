"""Code one segment as the canonical tokens of a language model.

This takes about as many bits as coding byte by byte, and one forward pass for each token instead of one for each byte.
A segment qualifies if the tokeniser's own encoding of it spells it again (``TokenModel.encode``). The code is the
number of tokens, then what the entropy coder wrote. Lanes are as in ``byte_segment.py``, but hold tokens: row i of the
state codes lane i, and the entropy coder's initial state is a checksum of the bytes that the lane's tokens spell.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compgen.coding import rans
from compgen.coding.byte_segment import checked_join, initial_state
from compgen.errors import CorruptDataError
from compgen.models.language import TokenState
from compgen.types import Progress

_COUNT = struct.Struct("<I")
"""The number of tokens (docs/format.md)."""


def encode(state: TokenState, tokens: Sequence[int], watch: Progress = lambda done: None) -> bytes:
    """Return the code of ``tokens``, with one lane for each row of ``state``. The state is extended by the tokens.

    ``watch`` is called with the number of bytes that the tokens so far spell.
    """
    parts = np.array_split(np.array(tokens, dtype=np.int64), state.rows)
    table = np.zeros((len(parts[0]), state.rows), dtype=np.int64)
    for lane, part in enumerate(parts):
        table[: len(part), lane] = part
    low, width = (np.empty(table.shape, dtype=np.uint32) for _ in range(2))
    done = 0
    for step, column in enumerate(table):
        going = min(state.rows, len(tokens) - step * state.rows)
        column[going:] = column[0]  # a lane that has ended appends any token; its interval is not coded
        low[step], width[step] = state.append(column)
        low[step, going:], width[step, going:] = 0, 1 << state.precision
        done += len(state.spell(column[:going]))
        watch(done)
    code = rans.encode(low, width, state.precision, [initial_state(state.spell(part)) for part in parts])
    return _COUNT.pack(len(tokens)) + code


def encode_each(state: TokenState, parts: Sequence[Sequence[int]]) -> tuple[list[bytes], NDArray[np.float64]]:
    """Code several segments of one lane each, side by side in the rows of ``state``.

    Args:
        state: a state with a row for each segment.
        parts: the tokens of each segment, at least one.

    Returns:
        The code of each segment, and (B,) the bits that each needs: the sum of -log2 p over its tokens.
    """
    sizes = [len(part) for part in parts]
    table = np.zeros((max(sizes), len(parts)), dtype=np.int64)
    for row, part in enumerate(parts):
        table[:, row] = part[0]  # a row that has ended appends any token; its interval is not coded
        table[: len(part), row] = part
    low, width = (np.empty(table.shape, dtype=np.uint32) for _ in range(2))
    for step, column in enumerate(table):
        low[step], width[step] = state.append(column)
    codes, bits = [], np.empty(len(parts))
    for row, size in enumerate(sizes):
        begin = [initial_state(state.spell(table[:size, row]))]
        codes.append(
            _COUNT.pack(size) + rans.encode(low[:size, row, None], width[:size, row, None], state.precision, begin)
        )
        bits[row] = (state.precision - np.log2(width[:size, row])).sum()
    return codes, bits


def decode(state: TokenState, code: bytes, most: int, watch: Progress = lambda done: None) -> bytes:
    """Return the bytes, at most ``most``, that the tokens in ``code`` spell. The state is extended by the tokens.

    Lanes that end one token before the others append one more token, whatever it is.

    Raises:
        CorruptDataError: the code spells more than ``most`` bytes, is cut short, or spells other bytes than were coded.
    """
    lanes = state.rows
    count = _COUNT.unpack_from(code)[0] if len(code) >= _COUNT.size else most + 1
    if count > most:
        raise CorruptDataError("a segment's code is cut short, or holds more tokens than the segment has bytes")
    decoder = rans.Decoder(code[_COUNT.size :], lanes, state.precision)
    table = np.zeros((-(-count // lanes), lanes), dtype=np.int64)
    done = 0
    for step in range(len(table)):
        going = min(lanes, count - step * lanes)
        column, low, width = state.append_at(decoder.points())
        low[going:], width[going:] = 0, 1 << state.precision  # the lane has ended: no bits for its token
        decoder.advance(low, width)
        table[step] = column
        done += len(state.spell(column[:going]))
        if done > most:
            raise CorruptDataError("a segment's code spells more bytes than the segment has")
        watch(done)
    sizes = [len(part) for part in np.array_split(np.empty(count), lanes)]
    spelled = [state.spell(table[:size, lane]) for lane, size in enumerate(sizes)]
    return checked_join(decoder, spelled)
