"""The prices of zstd (RFC 8878): Huffman codes and FSE tables read from the blocks of an encoder's own frame.

A *sequence* is a run of literals and the match behind it: a code for the length of the run, one for the offset, one for
the length of the match. So a literal costs its Huffman code and the chance that the run goes on; a state of the pass is
how many literals stand behind the last match. An FSE coder's chances depend a little on its last code; what a table
says of a code is their mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compgen.laws.literals import ONE, MatchedLiterals
from compgen.laws.states import LITERAL, MATCH, OTHER, POSITIONS, REPEAT, StatePrices, reach_after

LONGEST = 258
"""The longest match, bytes; longer copies are several. What all longer ones have counts as this."""

_RUN = 24  # literals behind a match, from which on the chance of one more is that of all longer runs
_UNCODED = 17  # bits of a byte that a block has no code for: codes have 11 at most
_WORTH = 256  # sequences from which on a block's tables are worth something
_FINE = 28  # log2 of what distances sum to

LITERAL_EXTRA = (0,) * 16 + (1,) * 4 + (2, 2, 3, 3, 4, *range(6, 17))
MATCH_EXTRA = (0,) * 32 + (1,) * 4 + (2, 2, 3, 3, 4, 4, 5, *range(7, 17))
LITERAL_BASE = (
    *np.cumsum([0, *(1 << bits for bits in LITERAL_EXTRA[:24])]).tolist(),
    *(1 << bits for bits in range(6, 17)),
)
MATCH_BASE = (
    *np.cumsum([3, *(1 << bits for bits in MATCH_EXTRA[:42])]).tolist(),
    *(3 + (1 << bits) for bits in range(7, 17)),
)
_RAW, _RLE, _COMPRESSED, _AGAIN = range(4)

Table = tuple[NDArray[np.int64], int]
"""Normalised counts of the codes of an FSE table, -1 for less than one; and log2 of what they sum to."""

DEFAULTS: tuple[Table, Table, Table] = (
    (np.array([4, 3] + [2] * 11 + [1] * 3 + [2] * 9 + [3, 2] + [1] * 5 + [-1] * 4), 6),
    (np.array([1] * 6 + [2] * 3 + [1] * 15 + [-1] * 5), 5),
    (np.array([1, 4, 3] + [2] * 6 + [1] * 37 + [-1] * 7), 6),
)
"""Tables of literal lengths, offsets and match lengths where a block has none of its own (section 3.1.1.3.2.2)."""


@dataclass(frozen=True, eq=False)
class Block:
    """One block of a frame.

    Attributes:
        literals: (256,) code lengths of literals, bits; 0 for none. None where they stand as they are.
        sequences: how many there are.
        tables: of literal lengths, offsets and match lengths.
        section: where the literals section begins in the frame, where its streams do, and where it ends.
        first: where the sequences' bits begin in the frame.
        end: where the block ends.
    """

    literals: NDArray[np.int64] | None
    sequences: int
    tables: tuple[Table, Table, Table]
    section: tuple[int, int, int]
    first: int
    end: int


class _Bits:
    """Bits of a frame from a byte on, the low one of each byte first."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data = data
        self.place = 8 * place

    def take(self, count: int) -> int:
        byte, shift = divmod(self.place, 8)
        self.place += count
        return (int.from_bytes(self._data[byte : byte + 4], "little") >> shift) & ((1 << count) - 1)


class BackwardBits:
    """Bits of a stream that is read from its end; the highest 1 of the last byte marks where."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.left = 8 * len(data) - 9 + data[-1].bit_length()

    def take(self, count: int) -> int:
        """Return the next bits; those beyond the beginning are 0."""
        self.left -= count
        if self.left < 0:
            return int.from_bytes(self._data[:8], "little") << -self.left & ((1 << count) - 1)
        byte, shift = divmod(self.left, 8)
        return (int.from_bytes(self._data[byte : byte + 5], "little") >> shift) & ((1 << count) - 1)


def read_table(data: bytes, place: int) -> tuple[Table, int]:
    """Return an FSE table by its description, and the byte behind it (section 4.1.1)."""
    bits = _Bits(data, place)
    log = bits.take(4) + 5
    left, counts = 1 << log, []
    while left > 0:
        width = (left + 1).bit_length()
        value, low = bits.take(width), (1 << (width - 1)) - 1
        spare = (1 << width) - 2 - left
        if value & low < spare:
            bits.place -= 1
            value &= low
        elif value > low:
            value -= spare
        counts.append(value - 1)
        left -= abs(value - 1)
        zeros = 3 if value == 1 else 0
        while zeros == 3:
            zeros = bits.take(2)
            counts += [0] * zeros
    return (np.array(counts), log), -(-bits.place // 8)


def states_of(table: Table) -> list[tuple[int, int, int]]:
    """Return symbol, bits to read and base of the next state, for each state of an FSE decoder (section 4.1.1)."""
    counts, log = table
    size = 1 << log
    symbols, high = [0] * size, size - 1
    for symbol in np.flatnonzero(counts == -1).tolist():
        symbols[high] = symbol
        high -= 1
    place = 0
    for symbol, count in enumerate(counts.tolist()):
        for _ in range(max(count, 0)):
            symbols[place] = symbol
            place = (place + (size >> 1) + (size >> 3) + 3) & (size - 1)
            while place > high:
                place = (place + (size >> 1) + (size >> 3) + 3) & (size - 1)
    following = np.abs(counts).tolist()
    found = []
    for symbol in symbols:
        number = following[symbol]
        following[symbol] += 1
        bits = log + 1 - number.bit_length()
        found.append((symbol, bits, (number << bits) - size))
    return found


def _weights(data: bytes, place: int) -> tuple[list[int], int]:
    """Return the weights of a Huffman tree's description but the last one, and the byte behind it (4.2.1)."""
    head = data[place]
    if head >= 128:
        count = head - 127
        packed = data[place + 1 : place + 1 + (count + 1) // 2]
        return [half for byte in packed for half in (byte >> 4, byte & 15)][:count], place + 1 + len(packed)
    table, first = read_table(data, place + 1)
    end = place + 1 + head
    states, bits, found = states_of(table), BackwardBits(data[first:end]), []
    pair = [bits.take(table[1]), bits.take(table[1])]
    while True:  # two states by turns, until the bits are used up
        symbol, more, base = states[pair[0]]
        found.append(symbol)
        if bits.left < more:
            return [*found, states[pair[1]][0]], end
        pair = [pair[1], base + bits.take(more)]


def _huffman(data: bytes, place: int) -> tuple[NDArray[np.int64], int]:
    """Return (256,) code lengths of literals, 0 for none, and the byte behind the tree's description."""
    weights, end = _weights(data, place)
    total = sum(1 << (weight - 1) for weight in weights if weight)
    longest = total.bit_length()
    weights.append(((1 << longest) - total).bit_length())
    lengths = np.zeros(256, dtype=np.int64)
    lengths[: len(weights)] = [longest + 1 - weight if weight else 0 for weight in weights]
    return lengths, end


def begin(frame: bytes) -> int:
    """Return where the first block of a frame begins (section 3.1.1.1)."""
    head = frame[4]
    single = head >> 5 & 1
    return 5 + (1 - single) + (0, 1, 2, 4)[head & 3] + (single, 2, 4, 8)[head >> 6]


def blocks(frame: bytes) -> list[Block]:
    """Return the compressed blocks of a whole frame that zstd has written; what is damaged is not looked for."""
    place, found, last = begin(frame), [], 0
    literals: NDArray[np.int64] | None = None
    tables = DEFAULTS
    while not last:
        header = int.from_bytes(frame[place : place + 3], "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        place += 3
        if kind == _COMPRESSED:
            block, literals = _block(frame, place, place + size, literals, tables)
            tables = block.tables
            found.append(block)
        place += 1 if kind == _RLE else size
    return found


def _block(
    frame: bytes, place: int, end: int, literals: NDArray[np.int64] | None, tables: tuple[Table, Table, Table]
) -> tuple[Block, NDArray[np.int64] | None]:
    """Return a compressed block, and the Huffman codes that a later one may use again."""
    begun, kind, form = place, frame[place] & 3, frame[place] >> 2 & 3
    head = int.from_bytes(frame[place : place + 5], "little")
    here = None
    if kind in (_RAW, _RLE):
        width = (1, 2, 1, 3)[form]
        size = (head & (1 << 8 * width) - 1) >> (3 if width == 1 else 4)
        streams = place + width
        place = streams + (size if kind == _RAW else 1)
        if kind == _RLE:
            here = np.zeros(256, dtype=np.int64)
            here[frame[streams]] = 1
    else:
        bits, width = ((10, 3), (10, 3), (14, 4), (18, 5))[form]
        streams = place + width
        place = streams + (head >> (4 + bits) & (1 << bits) - 1)
        if kind == _COMPRESSED:
            literals, streams = _huffman(frame, streams)
        here = literals
    section = begun, streams, place
    count, place = _sequences(frame, place)
    if count:
        tables, place = _tables(frame, place, tables)
    return Block(here, count, tables, section, place, end), literals


def _sequences(frame: bytes, place: int) -> tuple[int, int]:
    """Return the number of sequences, and the byte behind it."""
    head = frame[place]
    if head < 128:
        return head, place + 1
    if head < 255:
        return (head - 128 << 8) + frame[place + 1], place + 2
    return int.from_bytes(frame[place + 1 : place + 3], "little") + 0x7F00, place + 3


def _tables(frame: bytes, place: int, before: tuple[Table, Table, Table]) -> tuple[tuple[Table, Table, Table], int]:
    modes, found = frame[place], []
    place += 1
    for shift, default, again in zip((6, 4, 2), DEFAULTS, before, strict=True):
        mode = modes >> shift & 3
        table = again if mode == _AGAIN else default
        if mode == _RLE:
            table = np.eye(1, frame[place] + 1, frame[place], dtype=np.int64)[0], 0
            place += 1
        elif mode == _COMPRESSED:
            table, place = read_table(frame, place)
        found.append(table)
    return (found[0], found[1], found[2]), place


def typical(found: list[Block]) -> Block:
    """Return the last block of a fair size, or else the largest."""
    fair = [block for block in found if block.sequences >= _WORTH]
    return fair[-1] if fair else max(reversed(found), key=lambda one: one.sequences)


def _shares(table: Table, units: int) -> list[int]:
    """Return the probability of each code, units of 2**-units."""
    counts, log = table
    return [abs(count) << (units - log) for count in counts.tolist()]


def _values(table: Table, base: tuple[int, ...], extra: tuple[int, ...], longest: int) -> NDArray[np.int64]:
    """Return (longest + 1,) probabilities of values, units of 2**-40; the last one has those of all above."""
    found = np.zeros(longest + 1, dtype=np.int64)
    for share, first, bits in zip(_shares(table, 40), base, extra, strict=False):
        inside = min(max(longest - first, 0), 1 << bits)
        found[first : first + inside] += share >> bits
        found[longest] += share - (share >> bits) * inside
    return found


def _kinds(runs: NDArray[np.int64], offsets: list[int]) -> NDArray[np.int64]:
    """Return (5, POSITIONS, S) probabilities of the kinds by literals behind a match, units of 2**-20.

    Args:
        runs: (n,) probabilities of runs of literals by length, units of 2**-40.
        offsets: of the codes of offsets, units of 2**-20. Code 0 is the last distance, code 1 one of two before;
            behind a match both are other ones.
    """
    tails = runs.sum() - np.cumsum(runs) >> 20  # units of 2**-20
    kinds = np.zeros((5, _RUN + 1), dtype=np.int64)
    for state in range(_RUN + 1):
        longer, longest = int(tails[state]), int(tails[state - 1]) if state else 1 << ONE
        if state == _RUN:
            longer, longest = int(tails[state:].sum()), int(tails[state - 1 :].sum())
        kinds[LITERAL, state] = (longer << ONE) // longest if longest else 0
    stops = (1 << ONE) - kinds[LITERAL]
    last, other = offsets[0], offsets[1] if len(offsets) > 1 else 0
    kinds[REPEAT, 1:] = stops[1:] * last >> ONE
    kinds[OTHER] = stops * other >> ONE
    kinds[OTHER, 0] = stops[0] * (last + other) >> ONE
    kinds[MATCH] = stops * (sum(offsets) - last - other) >> ONE
    return np.repeat(kinds[:, None], POSITIONS, axis=1)


def prices_of(found: list[Block], size: int) -> StatePrices:
    """Return the prices of the typical block of a frame of ``size`` bytes.

    Where blocks are stored as they are, bytes are all alike and nothing matches.
    """
    reach = reach_after(size)
    block = typical(found) if found else None
    codes = None if block is None else block.literals
    literals = np.full(256, 1 << (ONE - 8))
    if codes is not None:
        literals = np.int64(1) << (ONE - np.where(codes > 0, codes, _UNCODED))
    kinds = np.zeros((5, POSITIONS, _RUN + 1), dtype=np.int64)
    kinds[LITERAL] = 1 << ONE
    lengths, distances = np.zeros((1, POSITIONS, LONGEST + 1), np.int64), np.zeros((1, reach + 1), np.int32)
    if block is not None and block.sequences:
        run, offset, match = block.tables
        kinds = _kinds(_values(run, LITERAL_BASE, LITERAL_EXTRA, 1 << 17), _shares(offset, ONE))
        lengths[:] = _values(match, MATCH_BASE, MATCH_EXTRA, LONGEST) >> (40 - ONE)
        far = _shares(offset, _FINE)
        new = max(sum(far[2:]), 1)
        for code in range(2, len(far)):
            first = max((1 << code) - 3, 1)
            distances[0, first : (2 << code) - 3] = (far[code] << _FINE) // new >> code
    return StatePrices(
        kinds=kinds,
        after_literal=np.minimum(np.arange(1, _RUN + 2), _RUN),
        after_match=np.array([0, 0, 0]),
        literals_by=np.tile(literals, (8, 1)),
        matched=MatchedLiterals(np.zeros(0, dtype=np.int64)),
        first_matched=_RUN + 1,
        lengths=lengths,
        distances=distances,
        again=lengths[0],
    )
