"""A zstd decoder over the tables that ``compgen/laws/zstd.py`` reads: slow, and wrong wherever a table is."""

from __future__ import annotations

import numpy as np

from compgen.laws import zstd


def decode(frame: bytes) -> bytes:
    """Return the data of a frame."""
    out, recent, place, found, last = bytearray(), [1, 4, 8], zstd.begin(frame), iter(zstd.blocks(frame)), 0
    while not last:
        header = int.from_bytes(frame[place : place + 3], "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        place += 3
        if kind == 2:
            decode_block(frame, next(found), out, recent)
        else:
            out += frame[place : place + size] if kind == 0 else frame[place : place + 1] * size
        place += 1 if kind == 1 else size
    return bytes(out)


def decode_block(frame: bytes, block: zstd.Block, out: bytearray, recent: list[int]) -> None:
    literals, at = decode_literals(frame, block), 0
    if block.sequences:
        bits, states = zstd.BackwardBits(frame[block.first : block.end]), [zstd.states_of(t) for t in block.tables]
        now = [bits.take(table[1]) for table in block.tables]
        for step in range(block.sequences):
            run, offset, match = (states[k][now[k]][0] for k in range(3))
            value = (1 << offset) + bits.take(offset)
            length = zstd.MATCH_BASE[match] + bits.take(zstd.MATCH_EXTRA[match])
            literal = zstd.LITERAL_BASE[run] + bits.take(zstd.LITERAL_EXTRA[run])
            for k in (0, 2, 1) if step < block.sequences - 1 else ():
                _, more, base = states[k][now[k]]
                now[k] = base + bits.take(more)
            distance = distance_of(value, literal, recent)
            out += literals[at : at + literal]
            at += literal
            for _ in range(length):
                out.append(out[-distance])
        assert bits.left == 0
    out += literals[at:]


def distance_of(value: int, literal: int, recent: list[int]) -> int:
    which = 3 if value > 3 else value - 1 + (literal == 0)
    distance = value - 3 if value > 3 else recent[0] - 1 if which == 3 else recent[which]
    if which:
        del recent[min(which, 2)]
        recent.insert(0, distance)
    return distance


def decode_literals(frame: bytes, block: zstd.Block) -> bytes:
    begun, streams, end = block.section
    kind, form = frame[begun] & 3, frame[begun] >> 2 & 3
    head = int.from_bytes(frame[begun : begun + 5], "little")
    if kind == 0:
        return frame[streams:end]
    if kind == 1:
        width = (1, 2, 1, 3)[form]
        return frame[streams : streams + 1] * ((head & (1 << 8 * width) - 1) >> (3 if width == 1 else 4))
    count = head >> 4 & (1 << (10, 10, 14, 18)[form]) - 1
    ends = [end]
    if form:
        sizes = [int.from_bytes(frame[streams + 2 * i : streams + 2 * i + 2], "little") for i in range(3)]
        streams += 6
        ends = [*(streams + np.cumsum(sizes)).tolist(), end]
    assert block.literals is not None
    longest = int(block.literals.max())
    table = [
        (symbol, bits)
        for bits in range(longest, 0, -1)
        for symbol in np.flatnonzero(block.literals == bits).tolist()
        for _ in range(1 << (longest - bits))
    ]
    out, each = bytearray(), -(-count // len(ends))
    for number, stop in enumerate(ends):
        bits = zstd.BackwardBits(frame[streams:stop])
        for _ in range(each if number < len(ends) - 1 else count - each * (len(ends) - 1)):
            symbol, used = table[bits.take(longest)]
            bits.left += longest - used
            out.append(symbol)
        assert bits.left == 0
        streams = stop
    return bytes(out)
