"""The prices of DEFLATE (RFC 1951): code lengths read from the blocks of an encoder's own output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.jit import SMALL
from compgen.laws.lz77 import DISTANCE_BITS, LENGTH_BITS, LITERAL_BITS, Prices

REACH = 32768
"""Bytes that a match may look back."""

LONGEST = 258
"""The longest match."""

_LENGTH_EXTRA = (0,) * 8 + (1,) * 4 + (2,) * 4 + (3,) * 4 + (4,) * 4 + (5,) * 4 + (0,)
_DISTANCE_EXTRA = (0, 0, 0, 0, *(bits for bits in range(1, 14) for _ in range(2)))
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)  # of code length codes (section 3.2.7)
_LITERALS, _DISTANCES = 288, 32
_WORTH = 1024  # symbols from which on a block's code lengths are worth something
_UNCODED = 17  # bits of a byte that a block has no code for: codes have 15 at most, so that all together take 0.2%
_STORED, _FIXED, _DYNAMIC = range(3)


def _bases(first: int, extra: Sequence[int]) -> list[int]:
    found = [first]
    for bits in extra[:-1]:
        found.append(found[-1] + (1 << bits))
    return found


_LENGTH_BASE = _bases(3, _LENGTH_EXTRA)
_LENGTH_BASE[28] = LONGEST
_DISTANCE_BASE = _bases(1, _DISTANCE_EXTRA)


@dataclass(frozen=True, eq=False)
class Block:
    """One block of a stream.

    Attributes:
        begin: the bit at which its header begins.
        first: the bit at which its first symbol begins.
        symbols: how many symbols it codes, its end mark included; bytes of a stored block.
        literals: (288,) code lengths of literals and lengths, bits; None of a stored block.
        distances: (32,) the same of distances.
    """

    begin: int
    first: int
    symbols: int
    literals: NDArray[np.int64] | None
    distances: NDArray[np.int64] | None


def fixed() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the code lengths of a block with fixed codes (section 3.2.6)."""
    return np.array([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8), np.full(_DISTANCES, 5)


def decoding_table(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return a table of symbol * 16 + bits by the next ``width`` bits of a stream, low bit first, and ``width``."""
    width = max(int(lengths.max()), 1)
    table = np.zeros(1 << width, dtype=np.int64)
    code = 0
    for bits in range(1, width + 1):
        for symbol in np.flatnonzero(lengths == bits).tolist():
            reversed_code = int(format(code, f"0{bits}b")[::-1], 2)
            table[reversed_code :: 1 << bits] = symbol * 16 + bits
            code += 1
        code <<= 1
    return table, width


def _walk_in_python(
    data: NDArray[np.uint8],
    place: int,
    literals: NDArray[np.int64],
    width: int,
    distances: NDArray[np.int64],
    distance_width: int,
    length_extra: NDArray[np.int64],
    distance_extra: NDArray[np.int64],
) -> tuple[int, int]:
    """See ``_walk``."""
    stream = data.tobytes()
    table, far = literals.tolist(), distances.tolist()
    more, much = length_extra.tolist(), distance_extra.tolist()
    mask, far_mask, symbols = (1 << width) - 1, (1 << distance_width) - 1, 0
    byte = place >> 3
    held, buffer = 8 * min(6, len(stream) - byte), int.from_bytes(stream[byte : byte + 6], "little")
    byte += 6
    skip = place & 7
    buffer >>= skip
    held -= skip
    while True:
        if held < 48 and byte < len(stream):
            buffer |= int.from_bytes(stream[byte : byte + 6], "little") << held
            held += 8 * min(6, len(stream) - byte)
            byte += 6
        entry = table[buffer & mask]
        bits, symbol = entry & 15, entry >> 4
        buffer >>= bits
        held -= bits
        symbols += 1
        if symbol == 256:
            return 8 * min(byte, len(stream)) - held, symbols
        if symbol > 256:
            extra = more[symbol - 257]
            entry = far[buffer >> extra & far_mask]
            bits = extra + (entry & 15) + much[entry >> 4]
            buffer >>= bits
            held -= bits


@SMALL.loop(fallback=_walk_in_python)
def _walk(
    data: Any,
    place: Any,
    literals: Any,
    width: Any,
    distances: Any,
    distance_width: Any,
    length_extra: Any,
    distance_extra: Any,
) -> Any:
    """Return the bit after a block's end, and how many symbols it codes, its end mark included.

    Args:
        data: (n,) uint8 the stream.
        place: the bit at which its first symbol begins.
        literals: the decoding table of literals and lengths.
        width: the bits that index it.
        distances: the same of distances.
        distance_width: the same.
        length_extra: (31,) extra bits of the lengths' codes.
        distance_extra: (32,) extra bits of the distances' codes.
    """
    symbols = 0
    size = len(data)
    while True:
        window = np.int64(0)
        byte = place >> 3
        for i in range(7):
            if byte + i < size:
                window |= np.int64(data[byte + i]) << (8 * i)
        window >>= place & 7  # 49 bits at least: a match has up to 15 + 5 + 15 + 13
        entry = literals[window & ((1 << width) - 1)]
        place += entry & 15
        window >>= entry & 15
        symbol = entry >> 4
        symbols += 1
        if symbol == 256:
            return place, symbols
        if symbol > 256:
            extra = length_extra[symbol - 257]
            window >>= extra
            entry = distances[window & ((1 << distance_width) - 1)]
            place += extra + (entry & 15) + distance_extra[entry >> 4]


class _Bits:
    """Bits of a stream, the low one of each byte first."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data = data
        self.place = place

    def take(self, count: int) -> int:
        byte, shift = divmod(self.place, 8)
        self.place += count
        return (int.from_bytes(self._data[byte : byte + 4], "little") >> shift) & ((1 << count) - 1)


def blocks(stream: bytes) -> list[Block]:
    """Return the blocks of a whole raw DEFLATE stream that zlib has written; what is damaged is not looked for."""
    data, bits, found, last = np.frombuffer(stream, dtype=np.uint8), _Bits(stream, 0), [], False
    length_extra = np.array([*_LENGTH_EXTRA, 0, 0], dtype=np.int64)
    distance_extra = np.array([*_DISTANCE_EXTRA, 0, 0], dtype=np.int64)
    while not last:
        begin = bits.place
        last, kind = bool(bits.take(1)), bits.take(2)
        if kind == _STORED:
            bits.place = -(-bits.place // 8) * 8
            size = bits.take(16)
            first = bits.place + 16
            bits.place = first + 8 * size
            found.append(Block(begin, first, size, None, None))
            continue
        literals, distances = fixed() if kind == _FIXED else _read_lengths(bits)
        tables = *decoding_table(literals), *decoding_table(distances)
        first = bits.place
        bits.place, symbols = _walk(data, first, *tables, length_extra, distance_extra)
        found.append(Block(begin, first, int(symbols), literals, distances))
    return found


def _read_lengths(bits: _Bits) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the code lengths that the header of a block with dynamic codes holds (section 3.2.7)."""
    literal_count, distance_count, count = bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4
    lengths = np.zeros(len(_ORDER), dtype=np.int64)
    for symbol in _ORDER[:count]:
        lengths[symbol] = bits.take(3)
    table, width = decoding_table(lengths)
    read: list[int] = []
    while len(read) < literal_count + distance_count:
        entry = int(table[bits.take(width)])
        bits.place -= width - (entry & 15)
        symbol = entry >> 4
        if symbol < 16:
            read.append(symbol)
        elif symbol == 16:
            read += read[-1:] * (3 + bits.take(2))
        else:
            read += [0] * (3 + bits.take(3) if symbol == 17 else 11 + bits.take(7))
    literals, distances = np.zeros(_LITERALS, dtype=np.int64), np.zeros(_DISTANCES, dtype=np.int64)
    literals[:literal_count], distances[:distance_count] = read[:literal_count], read[literal_count:]
    return literals, distances


def typical(found: Sequence[Block]) -> Block:
    """Return the last block that is of a fair size, or else the largest."""
    fair = [block for block in found if block.symbols >= _WORTH]
    return fair[-1] if fair else max(reversed(found), key=lambda one: one.symbols)


def prices_in(stream: bytes) -> Prices:
    """Return the prices of the typical block of a stream; of a stored one, bytes are all alike and nothing matches."""
    block = typical(blocks(stream))
    if block.literals is None or block.distances is None:
        return Prices(
            np.full(256, 1 << (LITERAL_BITS - 8)), np.zeros(LONGEST + 1, np.int64), np.zeros(REACH + 1, np.int64)
        )
    return prices_of(block.literals, block.distances)


def prices_of(literals: NDArray[np.int64], distances: NDArray[np.int64]) -> Prices:
    """Return the prices by (288,) and (32,) code lengths, bits."""
    one = np.where(literals > 0, np.int64(1) << (LITERAL_BITS - literals), np.int64(1) << (LITERAL_BITS - _UNCODED))[
        :256
    ]
    lengths = np.zeros(LONGEST + 1, dtype=np.int64)
    for code, (base, extra) in enumerate(zip(_LENGTH_BASE, _LENGTH_EXTRA, strict=True)):
        if bits := int(literals[257 + code]):
            lengths[base : base + (1 << extra)] += 1 << (LENGTH_BITS - bits - extra)  # 258 has two codes
    far = np.zeros(REACH + 1, dtype=np.int64)
    for code, (base, extra) in enumerate(zip(_DISTANCE_BASE, _DISTANCE_EXTRA, strict=True)):
        if bits := int(distances[code]):
            far[base : base + (1 << extra)] = 1 << (DISTANCE_BITS - bits - extra)
    return Prices(one, lengths, far)
