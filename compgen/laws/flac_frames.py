"""FLAC frames read: how a block of samples was predicted, and with which codes (RFC 9639, sections 9 and 10).

A FLAC frame is a block of *frames of sound* (one sample of every channel). For each channel it has a *subframe*: a
predictor, and the residuals, which are Rice codes in *partitions* of equal size, each with a parameter of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compgen.errors import CompressorError

INDEPENDENT, LEFT_SIDE, SIDE_RIGHT, MID_SIDE = 0, 8, 9, 10
"""How two channels are coded (section 9.1.3). Any code below ``LEFT_SIDE`` is that of independent channels."""

FIXED = ((), (1,), (2, -1), (3, -3, 1), (4, -6, 4, -1))
"""Coefficients of the fixed predictors, by their order (section 9.2.5)."""

_SYNC = 0xFFF8 >> 1
_BLOCK_CODES = {1: 192, **{n: 144 << n for n in range(2, 6)}, **{n: 1 << n for n in range(8, 16)}}
_MANY_BITS = 64  # of a number that is read as one


@dataclass(frozen=True, eq=False)
class Subframe:
    """How one channel of a block is coded.

    A sample with its ``wasted`` low bits dropped is the prediction plus a residual. The prediction is
    ``offset + (sum of coefficients[i] * the sample i + 1 before) >> shift``.

    Attributes:
        coefficients: (order,) of the prediction, that of the last sample first.
        shift: bits that the sum is shifted right.
        offset: what a constant channel holds; 0 for others.
        wasted: low bits that are 0 in every sample.
        codes: (partitions,) of the residuals: k for the Rice code with parameter k; -1 - n for n bits, as they are.
        sizes: (partitions,) residuals with each of them.
        samples: (block,) what is coded.
    """

    coefficients: NDArray[np.int64]
    shift: int
    offset: int
    wasted: int
    codes: NDArray[np.int64]
    sizes: NDArray[np.int64]
    samples: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Frame:
    """One FLAC frame.

    Attributes:
        assignment: how the channels are coded.
        subframes: of each coded channel: a channel, or the middle or the difference of two.
        begin, first, end: where the frame, its first subframe, and its last bit but for padding and checksum are.
    """

    assignment: int
    subframes: list[Subframe]
    begin: int
    first: int
    end: int

    def channels(self) -> NDArray[np.int64]:
        """Return (block, channels) the samples of its channels."""
        first, second = (self.subframes[0].samples, self.subframes[-1].samples)
        if self.assignment == LEFT_SIDE:
            second = first - second
        elif self.assignment == SIDE_RIGHT:
            first = first + second
        elif self.assignment == MID_SIDE:
            left = first + ((second + 1) >> 1)
            first, second = left, left - second
        else:
            return np.stack([subframe.samples for subframe in self.subframes], axis=1)
        return np.stack([first, second], axis=1)


def frames_in(stream: bytes, start: int, bits: int) -> list[Frame]:
    """Return the frames of ``stream`` from its byte ``start`` on; samples have so many ``bits``."""
    reader, found = _Reader(stream), []
    reader.place = 8 * start
    while reader.place < 8 * len(stream):
        found.append(reader.frame(bits))
    return found


class _Reader:
    """A stream, and the place of the next bit in it."""

    def __init__(self, stream: bytes) -> None:
        self._stream = stream
        self.place = 0
        bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8))
        ones = np.flatnonzero(bits)
        # Where the next 1 is, by place.
        which = np.cumsum(bits) - bits
        self._next = np.append(ones, len(bits))[which].tolist()

    def number(self, bits: int) -> int:
        """Read an unsigned number."""
        begin, end = self.place, self.place + bits
        self.place = end
        part = self._stream[begin // 8 : -(-end // 8)]
        if end > 8 * len(self._stream):
            raise CompressorError("the flac encoder wrote a stream that ends early")
        return int.from_bytes(part, "big") >> (-end % 8) & ((1 << bits) - 1)

    def signed(self, bits: int) -> int:
        """Read a number in two's complement."""
        value = self.number(bits)
        return value - (value >> (bits - 1) << bits) if bits else 0

    def unary(self) -> int:
        """Read zeros up to a 1, and return how many there were."""
        begin, self.place = self.place, self._next[self.place] + 1
        return self.place - 1 - begin

    def frame(self, bits: int) -> Frame:
        """Read one frame."""
        begin = self.place
        if self.number(15) != _SYNC:
            raise CompressorError("the flac encoder wrote what is no frame")
        self.number(1)
        size_code, rate_code, assignment, _ = (self.number(n) for n in (4, 4, 4, 4))
        number = self.number(8)
        while number & 0x40 and number & 0x80:  # a byte more for each 1 that follows the first, as in UTF-8
            self.number(8)
            number <<= 1
        if size_code in (6, 7):
            size = self.number(8 * (size_code - 5)) + 1
        else:
            size = _BLOCK_CODES[size_code]
        self.number({12: 8, 13: 16, 14: 16}.get(rate_code, 0))
        self.number(8)
        first = self.place
        count = assignment + 1 if assignment < LEFT_SIDE else 2
        side = {LEFT_SIDE: 1, SIDE_RIGHT: 0, MID_SIDE: 1}.get(assignment)
        subframes = [self._subframe(size, bits + (channel == side)) for channel in range(count)]
        end = self.place
        self.place = -(-end // 8) * 8 + 16
        return Frame(assignment, subframes, begin, first, end)

    def _subframe(self, size: int, bits: int) -> Subframe:
        kind = self.number(7)
        wasted = self.unary() + 1 if self.number(1) else 0
        bits -= wasted
        nothing = np.empty(0, np.int64)
        if kind == 0:
            value = self.signed(bits)
            samples = np.full(size, value << wasted, dtype=np.int64)
            return Subframe(nothing, 0, value, wasted, np.array([-1]), np.array([size]), samples)
        if kind == 1:
            samples = np.array([self.signed(bits) for _ in range(size)], dtype=np.int64) << wasted
            return Subframe(nothing, 0, 0, wasted, np.array([-1 - bits]), np.array([size]), samples)
        order = kind - 31 if kind >= 32 else kind - 8
        warm_up = [self.signed(bits) for _ in range(order)]
        shift, coefficients = 0, list(FIXED[order]) if kind < 32 else []
        if kind >= 32:
            precision = self.number(4) + 1
            shift = self.signed(5)
            coefficients = [self.signed(precision) for _ in range(order)]
        codes, sizes, residuals = self._residuals(size, order)
        samples = np.array(_restored(warm_up, coefficients, shift, residuals), dtype=np.int64) << wasted
        return Subframe(np.array(coefficients, dtype=np.int64), shift, 0, wasted, codes, sizes, samples)

    def _residuals(self, size: int, order: int) -> tuple[NDArray[np.int64], NDArray[np.int64], list[int]]:
        """Read the partitions: their codes, their sizes, and the residuals."""
        width = 5 if self.number(2) else 4
        partitions = 1 << self.number(4)
        codes, sizes, residuals = [], [], []
        for number in range(partitions):
            count = size // partitions - (0 if number else order)
            k = self.number(width)
            if k == (1 << width) - 1:
                raw = self.number(5)
                codes.append(-1 - raw)
                residuals += [self.signed(raw) for _ in range(count)]
            else:
                codes.append(k)
                residuals += self._rice(k, count)
            sizes.append(count)
        return np.array(codes, dtype=np.int64), np.array(sizes, dtype=np.int64), residuals

    def _rice(self, k: int, count: int) -> list[int]:
        """Read ``count`` residuals in the Rice code with parameter ``k``."""
        following, place, read = self._next, self.place, []
        stream, size = self._stream, 8 * len(self._stream)
        mask = (1 << k) - 1
        for _ in range(count):
            one = following[place]
            end = one + 1 + k
            low = int.from_bytes(stream[(one + 1) // 8 : -(-end // 8)], "big") >> (-end % 8) & mask
            folded = (one - place) << k | low
            read.append(folded >> 1 ^ -(folded & 1))
            place = end
        if place > size:
            raise CompressorError("the flac encoder wrote a stream that ends early")
        self.place = place
        return read


def _restored(samples: list[int], coefficients: list[int], shift: int, residuals: list[int]) -> list[int]:
    """Return samples that begin with the given ones: each that follows is its prediction plus its residual."""
    samples, order = list(samples), len(coefficients)
    backwards = coefficients[::-1]
    for residual in residuals:
        recent = samples[len(samples) - order :]
        samples.append((sum(map(int.__mul__, backwards, recent)) >> shift) + residual)
    return samples
