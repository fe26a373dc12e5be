"""What a DEFLATE decoder writes, found without the law: by enumeration, and by zlib's own decoder."""

from __future__ import annotations

import functools
import zlib
from fractions import Fraction

import numpy as np
from scipy import stats

from compgen.laws import deflate
from compgen.laws.lz77 import Prices


def tiny(literals: dict[int, int], lengths: dict[int, int], distances: dict[int, int]) -> Prices:
    """Prices by code lengths, bits."""
    one, long, far = np.zeros(256, np.int64), np.zeros(6, np.int64), np.zeros(9, np.int64)
    for table, bits, given_bits in ((one, 20, literals), (long, 20, lengths), (far, 28, distances)):
        for place, length in given_bits.items():
            table[place] = 1 << (bits - length)
    return Prices(one, long, far)


TINY = tiny({97: 2, 98: 2, 99: 3}, {3: 3, 4: 4, 5: 4}, {1: 1, 2: 2, 3: 3, 5: 3})


def enumerated(prices: Prices, known: bytes, written: bytes) -> Fraction:
    """The chance that the output begins with ``written``: all instruction sequences, the last may run past its end."""
    text = known + written

    @functools.cache
    def chance(here: int) -> Fraction:
        if here == len(text):
            return Fraction(1)
        total = Fraction(int(prices.literals[text[here]]), 1 << 20) * chance(here + 1)
        for distance in range(1, min(here, len(prices.distances) - 1) + 1):
            run = 0
            while (
                here + run < len(text) and run < len(prices.lengths) and text[here + run] == text[here + run - distance]
            ):
                run += 1
            price = Fraction(int(prices.distances[distance]), 1 << 28)
            for length in range(3, len(prices.lengths)):
                if length <= run or here + run == len(text):
                    after = chance(min(here + length, len(text)))
                    total += price * Fraction(int(prices.lengths[length]), 1 << 20) * after
        return total

    return chance(len(known))


class Decoder:
    """zlib's inflate behind a context, at the first symbol of a block with the codes of its stream's typical block."""

    def __init__(self, context: bytes, stream: bytes) -> None:
        found = deflate.blocks(stream)
        block = deflate.typical(found)
        bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8), bitorder="little")
        # The context in one stored block for each 65,535 bytes, then the header.
        stored = b"".join(
            b"\x00" + len(part).to_bytes(2, "little") + (len(part) ^ 0xFFFF).to_bytes(2, "little") + part
            for part in (context[i : i + 65_535] for i in range(0, len(context), 65_535))
        )
        header = bits[block.begin : block.first].copy()
        header[0] = 0  # not the last
        whole = len(header) // 8 * 8
        self._rest = header[whole:]
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        assert self._inflate.decompress(stored) == context
        assert self._inflate.decompress(np.packbits(header[:whole], bitorder="little").tobytes()) == b""

    def decode(self, bits: np.ndarray) -> bytes:
        """What it makes of bits: nothing where these are no code."""
        decoder = self._inflate.copy()
        try:
            return decoder.decompress(np.packbits(np.concatenate([self._rest, bits]), bitorder="little").tobytes())
        except zlib.error:
            return b""


def codes_alone(stream: bytes) -> Prices:
    """The prices without those of bytes that have no code, which zlib's decoder cannot write."""
    block = deflate.typical(deflate.blocks(stream))
    assert block.literals is not None
    found = deflate.prices_in(stream)
    return Prices(np.where(block.literals[:256] > 0, found.literals, 0), found.lengths, found.distances)


def chi_square(counts: np.ndarray, law: np.ndarray) -> float:
    """The chance of counts at least so far from the law; cells of under 5 expected are put together."""
    expected = law * counts.sum()
    small = expected < 5
    observed = np.append(counts[~small], counts[small].sum())
    wanted = np.append(expected[~small], expected[small].sum())
    if wanted[-1] < 5:
        observed, wanted = observed[:-1], wanted[:-1]
        wanted = wanted * (observed.sum() / wanted.sum())
    return float(stats.chisquare(observed, wanted).pvalue)
