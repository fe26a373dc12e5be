"""Samples of sound and pictures: predicted from their neighbours, with a spread that the neighbours' errors tell.

A signal seldom repeats its bytes. Each sample is predicted linearly from those around it, by least squares over what
the window holds, of which more or less is forgotten as it goes on (the best coders of signals do so: TMW, Meyer and
Tischer 1997; OptimFROG); in rows also by LOCO-I's median of left, above and left + above - corner (Weinberger et al.
2000, the predictor of JPEG-LS). How far a prediction will miss is told by how far those around it missed: given that
size, the error has a logistic distribution of some scale, and scales, half an octave apart, have shares that are learnt
for each size. So a miss in a quiet place is small, and tails are as heavy as they have been. A sample of two bytes is
predicted as one number: its high byte is the interval that it falls into, and its low byte the place there.

All is learnt a block at a time and in integers: Gauss's elimination in fixed point, logistic curves by table.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from compgen.media.layout import Layout
from compgen.models.quantise import log2_units
from compgen.powers import FRACTION, exp2_table

BINS = 44
"""Sizes of the errors around, half an octave apart."""

KINDS = 9
"""A whole byte, a high and a low one, of the first, the second and later channels."""

PREDICTIONS = 3
"""How many there are of each sample."""

_ONE = 30  # log2 of what shares sum to
_BLOCK = 32  # samples of a channel after which is learnt from them
_MEMORIES = {"rows": (2, 4), "line": (2, 4, 7)}  # 2**-memory of what is known is forgotten at every block
_LAGS = 16  # samples of a channel in a line that predict the next
_OTHER_LAGS = 4  # the same of another channel
_OTHERS = 2  # channels that help
_LEVEL = 16  # predictions and errors are in units of a level over this
_CONSTANT = 64  # the last of the neighbours
_POINT = 16  # binary places of coefficients
_LARGEST = 16  # coefficient
_RIDGE = 4  # squared levels

_PRIOR = (107, 102, 148, 331, 876, 1901, 2765, 2149, 944, 395, 169, 66, 32, 15)
"""Shares of scales before any was learnt: seven half octaves below the size to five above, and a wide one for edges.

They are what was learnt from training pictures and sound, mean over the sizes.
"""
_BELOW = 7
_FEW = 24  # errors that the prior is worth
_MANY = 1024  # errors after which half are forgotten
_UNIT = 1 << 16  # of the counts: one error
_USUAL = 6  # the usual error moves by 2**-6 of the difference at every block
_ARGUMENT = 16  # binary places of a logistic curve's argument
_STEP = 6  # binary places of its table
_REACH = 34  # where it ends


@functools.cache
def _curve() -> NDArray[np.int64]:
    """Return 2**_ONE / (1 + 2**-z) for z from -_REACH to _REACH in steps of 2**-_STEP, and one step more."""
    below = np.arange(_REACH << _STEP, -1, -1, dtype=np.int64) << (FRACTION - _STEP)
    power = exp2_table()[below & ((1 << FRACTION) - 1)] >> (below >> FRACTION)
    rising = (power << _ONE) // ((1 << 32) + power)
    return np.concatenate([rising, (1 << _ONE) - rising[-2::-1], [1 << _ONE]])


def _below(distances: NDArray[np.int64], inverses: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the share of 2**_ONE below ``distances`` of logistic distributions over 1 / ``inverses``."""
    end = _REACH << _ARGUMENT
    z = np.clip((distances * inverses) >> 8, -end, end) + end
    fine = _ARGUMENT - _STEP
    low = _curve()[z >> fine]
    share: NDArray[np.int64] = low + (((_curve()[(z >> fine) + 1] - low) * (z & ((1 << fine) - 1))) >> fine)
    return share


@functools.cache
def _inverses(most: int) -> NDArray[np.int64]:
    """Return (BINS, 14) 2**(_ARGUMENT + 8) over each scale: 2**(half octaves / 2), in units of predictions."""
    halves = np.arange(BINS)[:, None] + np.arange(len(_PRIOR))[None, :] - _BELOW
    halves[:, -1] = 2 * (most * _LEVEL).bit_length() - 8  # an eighth of the range
    root = np.array([1 << 32, 3037000500], dtype=np.int64)  # 2**32, over 1 and over the square root of 2
    inverses: NDArray[np.int64] = root[halves & 1] >> (halves // 2 + 32 - _ARGUMENT - 8)
    return inverses


def solve(equations: list[list[int]], one: int, least: int) -> list[int]:
    """Return the n unknowns, in units of 1 / ``one``, of n symmetric equations, each of n + 1 numbers.

    Gauss's elimination in fixed point. The matrix has ``least`` added to its diagonal, so that no pivot would be
    smaller but for rounding.
    """
    size, places = len(equations), 32
    rows, least = [[number << 16 for number in row] for row in equations], least << 16
    for k, pivot in enumerate(rows):
        lead = max(pivot[k], least)
        for i in range(k + 1, size):
            if factor := (pivot[i] << places) // lead:
                rows[i][i:] = [a - ((factor * b) >> places) for a, b in zip(rows[i][i:], pivot[i:], strict=True)]
    unknowns = [0] * size
    for k in range(size - 1, -1, -1):
        known = sum(a * b for a, b in zip(rows[k][k + 1 : size], unknowns[k + 1 :], strict=True))
        found = (rows[k][size] * one - known) // max(rows[k][k], least)
        unknowns[k] = min(max(found, -_LARGEST * one), _LARGEST * one)
    return unknowns


class Signal:
    """The samples of a window, and what predicts the next.

    Args:
        data: the window, from the first byte of a frame or pixel on.
        layout: of its samples; without rows they are a line.
    """

    def __init__(self, data: bytes, layout: Layout) -> None:
        self._size = layout.bits // 8
        self._channels = channels = layout.channels
        row = layout.stride // self._size
        self._rows = bool(row)
        self._most = 1 << (layout.bits - 1)
        self._offsets = [_neighbours(channel, channels, row) for channel in range(channels)]
        self._around = [_around(channel, channels, row) for channel in range(channels)]
        self._medians = [_medians(channel, channels, row) for channel in range(channels)] if row else []
        self._margin = 2 * row + (_LAGS + 1) * channels  # of middle levels, and no errors, before the first sample
        whole = len(data) // self._size
        values = np.frombuffer(data, dtype=np.uint8 if self._size == 1 else ">u2", count=whole).astype(np.int64)
        self._samples = np.zeros(self._margin + 2 * whole + 1024, dtype=np.int64)
        self._samples[self._margin : self._margin + whole] = values - self._most
        self._errors = np.zeros((PREDICTIONS, len(self._samples)), dtype=np.int64)
        self._count = 0
        self._begun = data[whole * self._size :]  # bytes of the next sample
        self._next: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
        self._learns = True
        unit = self._most // 128  # levels of so many bits to one of 8
        self._ridge = _RIDGE * unit**2
        self._constant = _CONSTANT * unit
        memories = _MEMORIES["rows" if row else "line"]
        self._moments = [[np.zeros((len(o) + 2, len(o) + 2), np.int64) for _ in memories] for o in self._offsets]
        self._memories = memories
        self._coefficients = [[self._fitted(moment) for moment in moments] for moments in self._moments]
        prior = np.array(_PRIOR, dtype=np.int64) * (_FEW * _UNIT // sum(_PRIOR))
        self._counts = np.tile(prior, (PREDICTIONS, channels, BINS, 1))
        self._inverses = _inverses(self._most)
        self._usual = np.full((PREDICTIONS, channels), 4 * _LEVEL * unit, dtype=np.int64)
        for start in range(0, whole, _BLOCK * channels):
            end = min(start + _BLOCK * channels, whole)
            for channel in range(channels):
                numbers = np.arange(start + channel, end, channels)
                self._miss(numbers, self._predicted(numbers, channel))
            self._count = end
            if end - start == _BLOCK * channels:
                self._learn()

    def _predicted(self, numbers: NDArray[np.int64], channel: int) -> NDArray[np.int64]:
        """Return (PREDICTIONS, n) predictions of samples of a channel, levels over _LEVEL."""
        neighbours = self._neighbours(numbers, channel)
        found = [(neighbours * c).sum(axis=1) * _LEVEL >> _POINT for c in self._coefficients[channel]]
        if self._rows:
            left, up, corner, *before = (self._samples[self._margin + numbers - o] for o in self._medians[channel])
            median = _median(left, up, corner)
            if before:  # what the channel before has just missed is expected to be missed again
                median += before[0] - _median(*before[1:])
            found.append(median * _LEVEL)
        predicted: NDArray[np.int64] = np.clip(found, -self._most * _LEVEL, (self._most - 1) * _LEVEL)
        return predicted

    def _neighbours(self, numbers: NDArray[np.int64], channel: int) -> NDArray[np.int64]:
        """Return (n, K + 1) the neighbours of samples, and a constant."""
        found = np.full((len(numbers), len(self._offsets[channel]) + 1), self._constant, dtype=np.int64)
        found[:, :-1] = self._samples[self._margin + numbers[:, None] - self._offsets[channel]]
        return found

    def _sizes(self, numbers: NDArray[np.int64], channel: int) -> NDArray[np.int64]:
        """Return (PREDICTIONS, n) the size, as a bin, of the errors around samples and of the usual error.

        Without the usual error a sample would fall silent or grow without end: its errors have but its own to go by.
        """
        offsets, weights = self._around[channel]
        around = self._errors[:, self._margin + numbers[:, None] - offsets] * weights
        size = (around.sum(axis=2) // int(weights.sum()) + self._usual[:, channel, None]) >> 1
        bins: NDArray[np.int64] = np.minimum(log2_units(size + 1) >> (FRACTION - 1), BINS - 1)
        return bins

    def _miss(self, numbers: NDArray[np.int64], predicted: NDArray[np.int64]) -> None:
        places = self._margin + numbers
        self._errors[:, places] = np.abs(self._samples[places] * _LEVEL - predicted)

    def _learn(self) -> None:
        """Learn from the last block."""
        for channel in range(self._channels):
            numbers = np.arange(self._count - _BLOCK * self._channels + channel, self._count, self._channels)
            places = self._margin + numbers
            targets = self._samples[places]
            lower = targets * _LEVEL - _LEVEL // 2 - self._predicted(numbers, channel)
            for counts, bins, edges in zip(self._counts, self._sizes(numbers, channel), lower, strict=True):
                inverses = self._inverses[bins]
                likely = _below(edges[:, None] + _LEVEL, inverses) - _below(edges[:, None], inverses) + 1
                weights = counts[channel, bins] * likely
                np.add.at(counts[channel], bins, weights // (weights.sum(axis=1, keepdims=True) // _UNIT))
                counts[channel, counts[channel].sum(axis=1) > _MANY * _UNIT] >>= 1
            mean = self._errors[:, places].sum(axis=1) // _BLOCK
            self._usual[:, channel] += (mean - self._usual[:, channel]) >> _USUAL
            known = np.column_stack([self._neighbours(numbers, channel), targets])
            moments = self._moments[channel]
            for moment, memory in zip(moments, self._memories, strict=True):
                moment += known.T @ known - (moment >> memory)
            self._coefficients[channel] = [self._fitted(moment) for moment in moments]

    def _fitted(self, moment: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (K + 1,) coefficients, drawn towards left + above - corner, or the last sample."""
        equations: list[list[int]] = moment.tolist()[:-1]
        for k, equation in enumerate(equations):
            equation[k] += self._ridge
        for equation, coefficient in zip(equations, (1, 1, -1) if self._rows else (1,), strict=False):
            equation[-1] += self._ridge * coefficient
        return np.array(solve(equations, 1 << _POINT, self._ridge), dtype=np.int64)

    @property
    def _channel(self) -> int:
        return self._count % self._channels

    def _expected(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (PREDICTIONS,) what the next sample is expected to be, and the size of the errors around it."""
        if self._next is None:
            number = np.array([self._count])
            self._next = self._predicted(number, self._channel)[:, 0], self._sizes(number, self._channel)[:, 0]
        return self._next

    @property
    def kind(self) -> int:
        """Which of KINDS the next byte is."""
        part = 0 if self._size == 1 else 1 + len(self._begun)
        return 3 * part + min(self._channel, 2)

    @property
    def activity(self) -> int:
        """Which of BINS the size of the errors around is."""
        return int(self._expected()[1][0])

    def shares(self) -> NDArray[np.int64]:
        """Return (PREDICTIONS, 256) shares of the next byte, of 2**30."""
        predicted, bins = self._expected()
        left = 8 * (self._size - len(self._begun))  # bits of the sample that are to come
        known = (int.from_bytes(self._begun, "big") << left) - self._most
        edges = known * _LEVEL - _LEVEL // 2 + (np.arange(257) * _LEVEL << (left - 8))
        below = _below(edges - predicted[:, None, None], self._inverses[bins][:, :, None])
        if not self._begun:  # signals are clipped
            below[:, :, 0], below[:, :, 256] = 0, 1 << _ONE
        counts = self._counts[np.arange(PREDICTIONS), self._channel, bins]
        mass = (np.diff(below, axis=2) * counts[:, :, None]).sum(axis=1)
        for one in mass:
            one >>= max(int(one.sum()).bit_length() - 32, 0)
        mass += 1
        shares: NDArray[np.int64] = (mass << _ONE) // mass.sum(axis=1, keepdims=True)
        return shares

    def append(self, symbol: int) -> None:
        """Add one byte."""
        self._begun += bytes([symbol])
        if len(self._begun) < self._size:
            return
        predicted, _ = self._expected()
        place = self._margin + self._count
        if place == len(self._samples):
            self._samples = np.concatenate([self._samples, np.zeros_like(self._samples)])
            self._errors = np.concatenate([self._errors, np.zeros_like(self._errors)], axis=1)
        self._samples[place] = int.from_bytes(self._begun, "big") - self._most
        self._miss(np.array([self._count]), predicted[:, None])
        self._begun, self._next = b"", None
        self._count += 1
        if self._learns and self._count % (_BLOCK * self._channels) == 0:
            self._learn()

    def freeze(self) -> None:
        """Keep what is learnt as it is."""
        self._learns = False

    def fork(self) -> Signal:
        """Return an independent copy."""
        fork = Signal.__new__(Signal)
        fork.__dict__.update(self.__dict__)
        fork._samples, fork._errors = self._samples.copy(), self._errors.copy()
        fork._moments = [[moment.copy() for moment in moments] for moments in self._moments]
        fork._coefficients = list(self._coefficients)
        fork._counts, fork._usual = self._counts.copy(), self._usual.copy()
        return fork


def _neighbours(channel: int, channels: int, row: int) -> NDArray[np.int64]:
    """Return how far back the samples lie that predict the next of a channel, those of its own channel first."""
    if row:
        found = [channels, row, row + channels, row - channels, 2 * channels, 2 * row]
        for before in range(1, min(channel, _OTHERS) + 1):
            found += [before, before + channels, before + row, before + row + channels]
    else:
        found = [channels * lag for lag in range(1, _LAGS + 1)]
        for before in range(1, min(channels - 1, _OTHERS) + 1):
            found += [before + channels * lag for lag in range(_OTHER_LAGS)]
    return np.array(list(dict.fromkeys(max(offset, 1) for offset in found)), dtype=np.int64)


def _around(channel: int, channels: int, row: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how far back the errors lie that tell the size of the next, and what each counts."""
    if row:
        found = [(channels, 3), (row, 3), (row + channels, 1), (max(row - channels, 1), 2), (2 * channels, 1)]
    else:
        found = [(channels * lag, weight) for lag, weight in enumerate((4, 3, 3, 2, 2, 2, 1, 1), 1)]
    found += [(before, 4) for before in range(1, min(channel, _OTHERS) + 1)]
    offsets, weights = np.array(found, dtype=np.int64).T
    return offsets, weights


def _medians(channel: int, channels: int, row: int) -> list[int]:
    """Return how far back left, above and corner lie, and of the channel before: here, left, above and corner."""
    own = [channels, row, row + channels]
    return [*own, 1, *(1 + offset for offset in own)] if channel else own


def _median(left: NDArray[np.int64], up: NDArray[np.int64], corner: NDArray[np.int64]) -> NDArray[np.int64]:
    middle: NDArray[np.int64] = np.maximum(np.minimum(left, up), np.minimum(np.maximum(left, up), left + up - corner))
    return middle
