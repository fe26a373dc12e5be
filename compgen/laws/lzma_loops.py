"""LZMA's decoder (the method of LZMA2 chunks) as functions that numba can compile and that Python can run as they are.

Every bit has an adaptive probability of being 0, in units of 2**-11, except the middle bits of far distances. Numbers
are whole ones under 2**32, so lists of Python and arrays of numba hold them alike.

``coder`` is (4,): the range, the code, the place of the next byte of the stream, and the decoder's state.
"""

from __future__ import annotations

from typing import Any

# Where the probabilities of each kind begin in their table.
IS_MATCH = 0  # 12 states by 4 positions
IS_REP = 48
IS_REP0 = 60
IS_REP1 = 72
IS_REP2 = 84
IS_LONG = 96  # 12 states by 4 positions: of rep0, whether it is longer than one byte
SLOT = 144  # 4 classes of lengths by 64
SPECIAL = 400  # of slots 4 to 13
ALIGN = 528
LENGTH = 544  # choice, choice2, low (4 by 8), middle (4 by 8), high (256)
REP_LENGTH = 866
LITERAL = 1188  # 8 tables of 768, by the high bits of the byte before
PROBABILITIES = LITERAL + 8 * 768

# The kinds of instructions.
ONE, MATCH, REP0, REP1, REP2, REP3, SHORT = range(7)


def _bit(stream: Any, coder: Any, table: Any, place: Any) -> Any:
    """Decode a bit by the probability at ``place``, and adapt that."""
    bound = (coder[0] >> 11) * table[place]
    if coder[1] < bound:
        coder[0] = bound
        table[place] += (2048 - table[place]) >> 5
        bit = 0
    else:
        coder[0] -= bound
        coder[1] -= bound
        table[place] -= table[place] >> 5
        bit = 1
    if coder[0] < 1 << 24:
        coder[0] <<= 8
        coder[1] = (coder[1] << 8) | stream[coder[2]]
        coder[2] += 1
    return bit


def _plain_bits(stream: Any, coder: Any, count: Any) -> Any:
    """Decode ``count`` bits that have no probability."""
    value = 0
    for _ in range(count):
        coder[0] >>= 1
        bit = 0
        if coder[1] >= coder[0]:
            coder[1] -= coder[0]
            bit = 1
        value = 2 * value + bit
        if coder[0] < 1 << 24:
            coder[0] <<= 8
            coder[1] = (coder[1] << 8) | stream[coder[2]]
            coder[2] += 1
    return value


def _tree(stream: Any, coder: Any, table: Any, base: Any, bits: Any) -> Any:
    """Decode a number of ``bits`` bits, the high one first."""
    node = 1
    for _ in range(bits):
        node = 2 * node + _bit(stream, coder, table, base + node)
    return node - (1 << bits)


def _reversed_tree(stream: Any, coder: Any, table: Any, base: Any, bits: Any) -> Any:
    """Decode a number of ``bits`` bits, the low one first."""
    node, value = 1, 0
    for i in range(bits):
        bit = _bit(stream, coder, table, base + node)
        node = 2 * node + bit
        value |= bit << i
    return value


def _length(stream: Any, coder: Any, table: Any, base: Any, position: Any) -> Any:
    """Decode the length of a match."""
    if _bit(stream, coder, table, base) == 0:
        return 2 + _tree(stream, coder, table, base + 2 + 8 * position, 3)
    if _bit(stream, coder, table, base + 1) == 0:
        return 10 + _tree(stream, coder, table, base + 34 + 8 * position, 3)
    return 18 + _tree(stream, coder, table, base + 66, 8)


def _distance(stream: Any, coder: Any, table: Any, length: Any) -> Any:
    """Decode the distance of a match."""
    slot = _tree(stream, coder, table, SLOT + 64 * min(length - 2, 3), 6)
    if slot < 4:
        return slot + 1
    bits = (slot >> 1) - 1
    base = (2 | (slot & 1)) << bits
    if slot < 14:
        return base + 1 + _reversed_tree(stream, coder, table, SPECIAL + base - slot, bits)
    high = _plain_bits(stream, coder, bits - 4) << 4
    return base + 1 + high + _reversed_tree(stream, coder, table, ALIGN, 4)


def _literal(stream: Any, coder: Any, table: Any, before: Any, matched: Any) -> Any:
    """Decode a byte. ``matched`` is the one that the last match would have gone on with, -1 behind a literal."""
    base = LITERAL + 768 * (before >> 5)
    node = 1
    while matched >= 0 and node < 256:
        expected = (matched >> 7) & 1
        matched = (matched << 1) & 255
        bit = _bit(stream, coder, table, base + 256 + 256 * expected + node)
        node = 2 * node + bit
        if bit != expected:
            break
    while node < 256:
        node = 2 * node + _bit(stream, coder, table, base + node)
    return node - 256


def _which_rep(stream: Any, coder: Any, table: Any, position: Any) -> Any:
    """Decode which recent distance a match repeats."""
    state = coder[3]
    if _bit(stream, coder, table, IS_REP0 + state) == 0:
        return REP0 if _bit(stream, coder, table, IS_LONG + 4 * state + position) else SHORT
    if _bit(stream, coder, table, IS_REP1 + state) == 0:
        return REP1
    return REP3 if _bit(stream, coder, table, IS_REP2 + state) else REP2


def _kind(stream: Any, coder: Any, table: Any, position: Any) -> Any:
    """Decode the kind of an instruction."""
    if _bit(stream, coder, table, IS_MATCH + 4 * coder[3] + position) == 0:
        return ONE
    if _bit(stream, coder, table, IS_REP + coder[3]) == 0:
        return MATCH
    return _which_rep(stream, coder, table, position)


def _recent(recent: Any, number: Any, distance: Any) -> None:
    """Move ``distance`` to the front of the recent ones, from place ``number``."""
    for i in range(number, 0, -1):
        recent[i] = recent[i - 1]
    recent[0] = distance


def _after(state: Any, kind: Any) -> Any:
    """Return the state after an instruction; from 7 on the last one was a match."""
    if kind == ONE:
        return 0 if state < 4 else state - 3 if state < 10 else state - 6
    behind = 0 if state < 7 else 3
    if kind == MATCH:
        return 7 if behind == 0 else 10
    if kind == SHORT:
        return 9 if behind == 0 else 11
    return 8 if behind == 0 else 11


def decode_chunk(stream: Any, coder: Any, recent: Any, table: Any, out: Any, here: Any, end: Any, found: Any) -> Any:
    """Decode one chunk.

    Args:
        stream: the whole stream.
        coder: see above; the place is that of the chunk's data.
        recent: (4,) the recent distances.
        table: (PROBABILITIES,) in units of 2**-11.
        out: the bytes so far, with room for more.
        here: how many there are.
        end: how many there will be.
        found: rows of four numbers, with room: state before, kind, length and distance of each instruction. The first
            row holds how many there are.
    """
    coder[0], coder[1] = (1 << 32) - 1, 0
    for _ in range(5):
        coder[1] = (coder[1] << 8) | stream[coder[2]]
        coder[2] += 1
    while here < end:
        position, state = here & 3, coder[3]
        kind = _kind(stream, coder, table, position)
        length, distance = 1, 0
        if kind == ONE:
            matched = out[here - recent[0]] if state >= 7 else -1
            out[here] = _literal(stream, coder, table, out[here - 1] if here > 0 else 0, matched)
        elif kind == MATCH:
            length = _length(stream, coder, table, LENGTH, position)
            distance = _distance(stream, coder, table, length)
            _recent(recent, 3, distance)
        else:
            number = 0 if kind == SHORT else kind - REP0
            distance = recent[number]
            _recent(recent, number, distance)
            if kind != SHORT:
                length = _length(stream, coder, table, REP_LENGTH, position)
        for i in range(length if kind != ONE else 0):
            out[here + i] = out[here + i - distance]
        coder[3] = _after(state, kind)
        row = found[0][0] + 1
        found[0][0] = row
        found[row][0], found[row][1], found[row][2], found[row][3] = state, kind, length, distance
        here += length
