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
_FIXED, _LINEAR = 8, 32
"""The least types of a subframe with a fixed and with a linear predictor (section 9.2.1)."""


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
        places: of each partition, where in the stream its residuals are coded, by bits; the samples are not decoded.
        begin: the bit of the stream after the kind of the subframe and its wasted bits, where its first sample is.
        damped: whether coefficients and shift are no longer the encoder's; see ``flac_damping.py``.
    """

    coefficients: NDArray[np.int64]
    shift: int
    offset: int
    wasted: int
    codes: NDArray[np.int64]
    places: list[list[int]]
    begin: int
    damped: bool = False

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(partitions,) residuals in each."""
        return np.array([len(places) for places in self.places])


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
        written = self.number(8 * (size_code - 5)) + 1 if size_code in (6, 7) else 0
        size = written or _BLOCK_CODES[size_code]
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
        begin, nothing = self.place, np.empty(0, np.int64)
        if kind < _FIXED:
            value, coded = (self.signed(bits), 0) if kind == 0 else (0, bits)
            places = list(range(begin, begin + coded * size, coded)) if coded else [self.place] * size
            self.place = begin + (bits if kind == 0 else coded * size)
            return Subframe(nothing, 0, value, wasted, np.array([-1 - coded]), [places], begin)
        order = kind - _LINEAR + 1 if kind >= _LINEAR else kind - _FIXED
        self.place += order * bits
        shift, coefficients = 0, list(FIXED[order]) if kind < _LINEAR else []
        if kind >= _LINEAR:
            precision = self.number(4) + 1
            shift = self.signed(5)
            coefficients = [self.signed(precision) for _ in range(order)]
        codes, residuals = self._residuals(size, order)
        return Subframe(np.array(coefficients, dtype=np.int64), shift, 0, wasted, codes, residuals, begin)

    def _residuals(self, size: int, order: int) -> tuple[NDArray[np.int64], list[list[int]]]:
        """Read the partitions: their codes, and where their residuals are."""
        width = 5 if self.number(2) else 4
        partitions = 1 << self.number(4)
        codes, places = [], []
        for number in range(partitions):
            count = size // partitions - (0 if number else order)
            code = self.number(width)
            if code == (1 << width) - 1:
                raw = self.number(5)
                code = -1 - raw
                places.append([self.place + raw * i for i in range(count)])
                self.place += raw * count
            else:
                places.append(self._rice(code, count))
            codes.append(code)
        return np.array(codes, dtype=np.int64), places

    def _rice(self, k: int, count: int) -> list[int]:
        """Skip ``count`` residuals in the Rice code with parameter ``k``, and return where they are."""
        following, place, places = self._next, self.place, []
        for _ in range(count):
            places.append(place)
            place = following[place] + 1 + k
        self.place = place
        return places
