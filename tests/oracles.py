"""Slow and independent ways to know what is right."""

from __future__ import annotations


class _Bits:
    def __init__(self, data: bytes) -> None:
        self.value = int.from_bytes(data, "little")
        self.position = 0

    def take(self, count: int) -> int:
        taken = (self.value >> self.position) & ((1 << count) - 1)
        self.position += count
        return taken


_EXTRA_LENGTH = [0] * 8 + [i for i in range(1, 6) for _ in range(4)] + [0]
_EXTRA_DISTANCE = [0] * 4 + [i for i in range(1, 14) for _ in range(2)]
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


def _codes(lengths: list[int]) -> dict[tuple[int, int], int]:
    """(length, code) to symbol, by the canonical construction of RFC 1951, section 3.2.2."""
    code, codes = 0, {}
    for length in range(1, 16):
        for symbol, own in enumerate(lengths):
            if own == length:
                codes[length, code] = symbol
                code += 1
        code <<= 1
    return codes


def _symbol(bits: _Bits, codes: dict[tuple[int, int], int]) -> int:
    code = 0
    for length in range(1, 16):
        code = code << 1 | bits.take(1)
        if (length, code) in codes:
            return codes[length, code]
    raise AssertionError("not a code")


def _dynamic(bits: _Bits) -> tuple[list[int], list[int]]:
    literals, distances, meta = bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4
    meta_lengths = [0] * 19
    for index in _ORDER[:meta]:
        meta_lengths[index] = bits.take(3)
    codes = _codes(meta_lengths)
    lengths: list[int] = []
    while len(lengths) < literals + distances:
        symbol = _symbol(bits, codes)
        if symbol < 16:
            lengths.append(symbol)
        elif symbol == 16:
            lengths += [lengths[-1]] * (3 + bits.take(2))
        else:
            lengths += [0] * (3 + bits.take(3) if symbol == 17 else 11 + bits.take(7))
    return lengths[:literals], lengths[literals:]


def deflate_data_end(stream: bytes) -> int:
    """Parse a raw DEFLATE stream (RFC 1951); return the bit where its last block that holds data ends."""
    bits = _Bits(stream)
    end, final = 0, False
    while not final:
        final = bool(bits.take(1))
        kind = bits.take(2)
        produced = 0
        if kind == 0:
            bits.position = -(-bits.position // 8) * 8
            produced = bits.take(16)
            bits.take(16)
            bits.position += 8 * produced
        else:
            literal_lengths, distance_lengths = (
                ([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8, [5] * 30) if kind == 1 else _dynamic(bits)
            )
            literals, distances = _codes(literal_lengths), _codes(distance_lengths)
            while (symbol := _symbol(bits, literals)) != 256:
                produced += 1
                if symbol > 256:
                    bits.take(_EXTRA_LENGTH[symbol - 257])
                    bits.take(_EXTRA_DISTANCE[_symbol(bits, distances)])
        if produced:
            end = bits.position
    assert -(-bits.position // 8) == len(stream)
    return end
