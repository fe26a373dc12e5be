"""One segment as the canonical tokens of a language model: about the bits of its byte law, one forward a token.

A segment qualifies if the tokeniser's own encoding of it spells it again (``Tokeniser.encode_text``). Its code is the
number of tokens, then the entropy coder's. Lanes are as in ``segment.py``, but of tokens: row i of the state codes part
i, and begins at a state that is the checksum of the bytes its tokens spell.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compgen.coding import rans
from compgen.coding.segment import Progress, beginning, joined
from compgen.errors import CorruptDataError
from compgen.models.language import TokenState

_COUNT = struct.Struct("<I")


def encode(state: TokenState, tokens: Sequence[int], watch: Progress = lambda done: None) -> bytes:
    """Return the code of ``tokens``, one lane for each row of ``state``, which is then extended by them.

    ``watch`` is told of the bytes that the tokens so far spell.
    """
    parts = np.array_split(np.array(tokens, dtype=np.int64), state.rows)
    table = np.zeros((len(parts[0]), state.rows), dtype=np.int64)
    for lane, part in enumerate(parts):
        table[: len(part), lane] = part
    low, width = (np.empty(table.shape, dtype=np.uint32) for _ in range(2))
    done = 0
    for step, column in enumerate(table):
        going = min(state.rows, len(tokens) - step * state.rows)
        column[going:] = column[0]
        low[step], width[step] = state.append(column)
        low[step, going:], width[step, going:] = 0, 1 << state.precision
        done += len(state.spell(column[:going]))
        watch(done)
    code = rans.encode(low, width, state.precision, [beginning(state.spell(part)) for part in parts])
    return _COUNT.pack(len(tokens)) + code


def encode_each(state: TokenState, parts: Sequence[Sequence[int]]) -> tuple[list[bytes], NDArray[np.float64]]:
    """Return the codes of ``parts``, each a segment of its own with one lane, coded side by side by the state's rows.

    Beside them stand the (B,) bits that each needs, the sum of -log2 p over its tokens.
    """
    sizes = [len(part) for part in parts]
    table = np.zeros((max(sizes), len(parts)), dtype=np.int64)
    for row, part in enumerate(parts):
        table[:, row] = part[0]  # rows that have ended go on with any token
        table[: len(part), row] = part
    low, width = (np.empty(table.shape, dtype=np.uint32) for _ in range(2))
    for step, column in enumerate(table):
        low[step], width[step] = state.append(column)
    codes, bits = [], np.empty(len(parts))
    for row, size in enumerate(sizes):
        begin = [beginning(state.spell(table[:size, row]))]
        codes.append(
            _COUNT.pack(size) + rans.encode(low[:size, row, None], width[:size, row, None], state.precision, begin)
        )
        bits[row] = (state.precision - np.log2(width[:size, row])).sum()
    return codes, bits


def decode(state: TokenState, code: bytes, most: int, watch: Progress = lambda done: None) -> bytes:
    """Return what the tokens in ``code`` spell, at most ``most`` bytes; ``state`` is then extended by them.

    Rows that end a token before others take one more, whatever it is.

    Raises:
        CorruptDataError: ``code`` holds more than that, less than it says, or other bytes than were coded.
    """
    lanes = state.rows
    count = _COUNT.unpack_from(code)[0] if len(code) >= _COUNT.size else most + 1
    if count > most:
        raise CorruptDataError("a segment's code is cut short, or of more tokens than it has bytes")
    decoder = rans.Decoder(code[_COUNT.size :], lanes, state.precision)
    table = np.zeros((-(-count // lanes), lanes), dtype=np.int64)
    done = 0
    for step in range(len(table)):
        going = min(lanes, count - step * lanes)
        column, low, width = state.append_at(decoder.points())
        low[going:], width[going:] = 0, 1 << state.precision  # what rows take after their end counts no more
        decoder.advance(low, width)
        table[step] = column
        done += len(state.spell(column[:going]))
        if done > most:
            raise CorruptDataError("a segment's code is of more bytes than it should be")
        watch(done)
    sizes = [len(part) for part in np.array_split(np.empty(count), lanes)]
    spelled = [state.spell(table[:size, lane]) for lane, size in enumerate(sizes)]
    return joined(decoder, spelled)
