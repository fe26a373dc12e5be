"""Code one segment as tokens of a language model.

This takes about as many bits as coding byte by byte, and one forward pass for each token instead of one for each byte.
The tokens are the tokeniser's own encoding where its tokens spell the segment again; around a byte that is no text they
are tokens of single bytes (``TokenModel.encode``). A few tokenisers have no token at all for bytes that never occur in
valid UTF-8. Such bytes are taken out of the segment and listed before its code.

Lanes are as in ``byte_segment.py``, but hold tokens: row i of the state codes lane i, and the entropy coder's initial
state is a checksum of the bytes that the lane's tokens spell. Several lanes have the number of tokens before their
code. A single lane ends where its bytes do.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from compgen.coding import rans
from compgen.coding.byte_segment import checked_join, initial_state
from compgen.coding.numbers import number, read_number
from compgen.errors import CorruptDataError
from compgen.models.language import TokenState
from compgen.types import Progress


def take_out(data: bytes, missing: Collection[int]) -> tuple[bytes, bytes]:
    """Return ``data`` without the bytes in ``missing``, and the list of these: what ``put_back`` reads.

    The list is the number of the bytes, and for each of them how many bytes lie between it and the one before, and the
    byte itself.
    """
    kept = bytes(symbol for symbol in data if symbol not in missing) if missing else data
    taken = bytearray(number(len(data) - len(kept)))
    after = 0
    for place, symbol in enumerate(data if len(kept) < len(data) else b""):
        if symbol in missing:
            taken += number(place - after) + bytes([symbol])
            after = place + 1
    return kept, bytes(taken)


def read_list(code: bytes, length: int) -> tuple[list[tuple[int, int]], bytes]:
    """Return the bytes that were taken out of ``length`` bytes, each with its place, and the code after the list.

    Raises:
        CorruptDataError: the list is damaged.
    """
    count, here = read_number(code)
    taken: list[tuple[int, int]] = []
    after = 0
    for _ in range(count):
        gap, here = read_number(code, here)
        if here >= len(code) or after + gap >= length:
            raise CorruptDataError("a segment's list of bytes without tokens is damaged")
        taken.append((after + gap, code[here]))
        after, here = after + gap + 1, here + 1
    return taken, code[here:]


def put_back(kept: bytes, taken: Sequence[tuple[int, int]]) -> bytes:
    """Return ``kept`` with the bytes of ``taken`` in their places again; the inverse of ``take_out``."""
    data, done = bytearray(), 0
    for place, symbol in taken:
        gap = place - len(data)
        data += kept[done : done + gap] + bytes([symbol])
        done += gap
    return bytes(data + kept[done:])


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
    return code if state.rows == 1 else number(len(tokens)) + code


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
        codes.append(rans.encode(low[:size, row, None], width[:size, row, None], state.precision, begin))
        bits[row] = (state.precision - np.log2(width[:size, row])).sum()
    return codes, bits


def decode(state: TokenState, code: bytes, length: int, watch: Progress = lambda done: None) -> bytes:
    """Return the ``length`` bytes that the tokens in ``code`` spell. The state is extended by the tokens.

    Lanes that end one token before the others append one more token, whatever it is.

    Raises:
        CorruptDataError: the code spells more or fewer bytes, is cut short, or spells other bytes than were coded.
    """
    lanes = state.rows
    count: int | None = None
    if lanes > 1:
        count, begin = read_number(code)
        code = code[begin:]
        if count > length:
            raise CorruptDataError("a segment's code holds more tokens than the segment has bytes")
    decoder = rans.Decoder(code, lanes, state.precision)
    columns: list[NDArray[np.int64]] = []
    done = 0
    while done < length if count is None else len(columns) * lanes < count:
        going = lanes if count is None else min(lanes, count - len(columns) * lanes)
        column, low, width = state.append_at(decoder.points())
        low[going:], width[going:] = 0, 1 << state.precision  # the lane has ended: no bits for its token
        decoder.advance(low, width)
        columns.append(column)
        done += len(state.spell(column[:going]))
        if done > length:
            raise CorruptDataError("a segment's code spells more bytes than the segment has")
        watch(done)
    table = np.array(columns, dtype=np.int64).reshape(-1, lanes)
    sizes = [len(part) for part in np.array_split(np.empty(len(table) if count is None else count), lanes)]
    return checked_join(decoder, [state.spell(table[:size, lane]) for lane, size in enumerate(sizes)])
