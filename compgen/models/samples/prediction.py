"""Samples of sound and pictures, predicted as numbers from their neighbours.

A signal seldom repeats its bytes. So each sample gets a few predictions, and each prediction a distribution of errors:

- Linear predictions from neighbouring samples, by least squares over what the window holds. Each forgets old samples at
  a rate of its own, as the best coders of signals do (TMW, Meyer and Tischer 1997; OptimFROG). In rows there is also
  LOCO-I's median of left, above and left + above - corner (Weinberger et al. 2000, the predictor of JPEG-LS).
- The errors of neighbouring samples tell how large the next error will be. The next error is logistic, with a scale
  that is not known exactly: scales half an octave apart have shares, which are learnt for each size of the neighbouring
  errors. So an error in a quiet place is small, and tails are as heavy as they have been.

A sample of two bytes is predicted as one number. Its high byte says which interval the sample lies in, its low byte
where in the interval.

Everything is learnt a block of samples at a time and in integers: Gaussian elimination in fixed point, and logistic
curves by table. A *level* is one step of a sample's value.
"""

from __future__ import annotations

import copy
import functools
import operator

import numpy as np
from numpy.typing import NDArray

from compgen.media.layout import Layout
from compgen.models.quantise import SHARE_BITS, log2_units
from compgen.models.samples.linear import POINT, solve
from compgen.models.samples.loudness import Loudness
from compgen.models.samples.neighbours import LAGS, around, median, median_offsets, neighbours
from compgen.powers import FRACTION, exp2_table

BINS = 44
"""Bins for the size of neighbouring errors; each spans half an octave. Errors of 16-bit samples need 41 of them."""

_PARTS, _CHANNELS = 3, 3
"""What KINDS tell apart: a whole byte, a high byte, a low byte; the first, the second and later channels."""
KINDS = _PARTS * _CHANNELS
"""Kinds of bytes of a sample."""

PREDICTIONS = 3
"""Predictions made for each sample: in rows two linear ones and the median, in a line three linear ones."""

_BLOCK = 32
"""Samples of a channel between two updates of what is learnt. Chosen: an update solves a system of equations."""
_MEMORIES = {"rows": (2, 4), "line": (2, 4, 7)}
"""For each linear prediction m: at every block it forgets 2**-m of what it knows. Chosen: speech wants 2 to 4, and 9
costs a bit per byte (docs/log.md, "samples that stay signals")."""
_LEVEL = 16
"""Predictions and errors are in units of 1/16 level. Chosen."""
_CONSTANT = 64
"""The value, in levels of 8-bit samples, of the constant neighbour that stands for the mean. Chosen: the larger it is,
the less the ridge draws the mean towards zero."""
_RIDGE = 4
"""Added to the diagonal of the equations, squared levels of 8-bit samples. Chosen: 512 cost speech 0.6 bits per byte
(docs/log.md, "samples that stay signals")."""

_PRIOR = (107, 102, 148, 331, 876, 1901, 2765, 2149, 944, 395, 169, 66, 32, 15)
"""Shares of the scales of an error before any is learnt, of any sum: from seven half octaves below the size of the
neighbouring errors to five above, and one wide scale for edges. These are what was learnt from training pictures and
sound, averaged over the sizes."""
_BELOW = 7
"""Scales below the size of the neighbouring errors."""
_FEW = 24
"""Errors that the prior counts as. Chosen."""
_MANY = 1024
"""Errors of one size after which their counts are halved. Chosen."""
_UNIT = 1 << 16
"""What one error adds to the counts. Chosen: one error is divided among scales to within 2**-16."""
_MEAN_MEMORY = 6
"""The mean error moves by 2**-6 of the difference at every block. Chosen."""
_ARGUMENT = 16
"""Binary places of a logistic curve's argument. Chosen."""
_STEP = 6
"""Binary places of the steps between the entries of the curve's table, which is interpolated. Chosen."""
_REACH = 34
"""The largest argument in the table: 2**-34 is below the unit of shares."""


@functools.cache
def _curve() -> NDArray[np.int64]:
    """Return the logistic curve 2**SHARE_BITS / (1 + 2**-z), for z from -_REACH to _REACH in steps of 2**-_STEP.

    One more entry lets the last one be interpolated.
    """
    below = np.arange(_REACH << _STEP, -1, -1, dtype=np.int64) << (FRACTION - _STEP)
    power = exp2_table()[below & ((1 << FRACTION) - 1)] >> (below >> FRACTION)
    rising = (power << SHARE_BITS) // ((1 << 32) + power)
    return np.concatenate([rising, (1 << SHARE_BITS) - rising[-2::-1], [1 << SHARE_BITS]])


def _below(distances: NDArray[np.int64], inverses: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the shares, of 2**SHARE_BITS, that logistic distributions around 0 have below ``distances``.

    Args:
        distances: in units of 1 / _LEVEL level.
        inverses: 2**(_ARGUMENT + 8) over the scale of each distribution; broadcast against ``distances``.
    """
    end = _REACH << _ARGUMENT
    z = np.clip((distances * inverses) >> 8, -end, end) + end
    fine = _ARGUMENT - _STEP
    low = _curve()[z >> fine]
    share: NDArray[np.int64] = low + (((_curve()[(z >> fine) + 1] - low) * (z & ((1 << fine) - 1))) >> fine)
    return share


@functools.cache
def _inverses(most: int) -> NDArray[np.int64]:
    """Return (BINS, 14) 2**(_ARGUMENT + 8) over each scale, for each bin of neighbouring errors.

    A scale is 2**(half octaves / 2) units of 1 / _LEVEL level.

    Args:
        most: half the number of levels.
    """
    halves = np.arange(BINS)[:, None] + np.arange(len(_PRIOR))[None, :] - _BELOW
    halves[:, -1] = 2 * (most * _LEVEL).bit_length() - 8  # the wide scale: an eighth of the range
    root = np.array([1 << 32, 3037000500], dtype=np.int64)  # 2**32 over 1 and over the square root of 2
    inverses: NDArray[np.int64] = root[halves & 1] >> (halves // 2 + 32 - _ARGUMENT - 8)
    return inverses


class Signal:
    """The samples of a window, and the predictions of the next one.

    Args:
        data: the window, from the first byte of a pixel (or frame of sound) on.
        layout: channels and bits of the samples, and the stride of rows. Without a stride the samples are a line.
    """

    def __init__(self, data: bytes, layout: Layout) -> None:
        self._size = layout.bits // 8
        self._channels = channels = layout.channels
        row = layout.stride // self._size
        self._rows = bool(row)
        self._most = 1 << (layout.bits - 1)
        self._neighbours_of = [neighbours(channel, channels, row) for channel in range(channels)]
        self._offsets = [shape.offsets for shape in self._neighbours_of]
        self._around = [around(channel, channels, row) for channel in range(channels)]
        self._medians = [median_offsets(channel, channels, row) for channel in range(channels)] if row else []
        self._margin = 2 * row + (LAGS + 1) * channels  # samples at the middle level, without errors, before the first
        whole = len(data) // self._size
        values = np.frombuffer(data, dtype=np.uint8 if self._size == 1 else ">u2", count=whole).astype(np.int64)
        self._samples = np.zeros(self._margin + 2 * whole + 1024, dtype=np.int64)
        self._samples[self._margin : self._margin + whole] = values - self._most
        self._errors = np.zeros((PREDICTIONS, len(self._samples)), dtype=np.int64)
        self._count = 0
        self._partial = data[whole * self._size :]  # bytes known of the next sample
        self._ranges = [(-self._most, self._most - 1)] * channels  # that samples stay in
        self._next: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
        self._loudness: Loudness | None = None  # of a frozen line
        self._is_frozen = False
        unit = self._most // 128  # levels of these samples in one of 8-bit samples
        self._ridge = _RIDGE * unit**2
        self._constant = _CONSTANT * unit
        memories = _MEMORIES["rows" if row else "line"]
        self._moments = [[np.zeros((len(o) + 2, len(o) + 2), np.int64) for _ in memories] for o in self._offsets]
        self._memories = memories
        self._coefficients = [[self._fitted(moment) for moment in moments] for moments in self._moments]
        prior = np.array(_PRIOR, dtype=np.int64) * (_FEW * _UNIT // sum(_PRIOR))
        self._counts = np.tile(prior, (PREDICTIONS, channels, BINS, 1))
        self._inverses = _inverses(self._most)
        self._mean_errors = np.full((PREDICTIONS, channels), 4 * _LEVEL * unit, dtype=np.int64)
        for start in range(0, whole, _BLOCK * channels):
            end = min(start + _BLOCK * channels, whole)
            for channel in range(channels):
                numbers = np.arange(start + channel, end, channels)
                self._store_errors(numbers, self._predicted(numbers, channel))
            self._count = end
            if end - start == _BLOCK * channels:
                self._learn()

    def _predicted(self, numbers: NDArray[np.int64], channel: int) -> NDArray[np.int64]:
        """Return (PREDICTIONS, n) predictions of n samples of a channel, in units of 1 / _LEVEL level."""
        neighbours = self._neighbours(numbers, channel)
        found = [(neighbours * c).sum(axis=1) * _LEVEL >> POINT for c in self._coefficients[channel]]
        if self._rows:
            left, up, corner, *before = (self._samples[self._margin + numbers - o] for o in self._medians[channel])
            middle = median(left, up, corner)
            if before:  # the median of the channel before had an error here; the same error is expected again
                middle += before[0] - median(*before[1:])
            found.append(middle * _LEVEL)
        least, greatest = self._ranges[channel]
        predicted: NDArray[np.int64] = np.clip(found, least * _LEVEL, greatest * _LEVEL)
        return predicted

    def _neighbours(self, numbers: NDArray[np.int64], channel: int) -> NDArray[np.int64]:
        """Return (n, K + 1): K neighbours of each of n samples of a channel, and a constant, levels."""
        found = np.full((len(numbers), len(self._offsets[channel]) + 1), self._constant, dtype=np.int64)
        found[:, :-1] = self._samples[self._margin + numbers[:, None] - self._offsets[channel]]
        return found

    def _sizes(self, numbers: NDArray[np.int64], channel: int) -> NDArray[np.int64]:
        """Return (PREDICTIONS, n) bins: the size of the errors around each of n samples of a channel.

        The size is the mean of the neighbouring errors and of the channel's mean error. Without the latter a sampled
        signal would fall silent or grow without end, since its errors depend on each other alone.
        """
        offsets, weights = self._around[channel]
        around = self._errors[:, self._margin + numbers[:, None] - offsets] * weights
        mean = self._mean_errors[:, channel]
        if self._loudness is not None:
            mean = self._loudness.corrected(mean, channel)
        size = (around.sum(axis=2) // int(weights.sum()) + mean[:, None]) >> 1
        bins: NDArray[np.int64] = np.minimum(log2_units(size + 1) >> (FRACTION - 1), BINS - 1)
        return bins

    def _store_errors(self, numbers: NDArray[np.int64], predicted: NDArray[np.int64]) -> None:
        """Store the errors of (PREDICTIONS, n) predictions of n samples."""
        places = self._margin + numbers
        self._errors[:, places] = np.abs(self._samples[places] * _LEVEL - predicted)

    def _learn(self) -> None:
        """Learn shares of scales, mean errors and coefficients from the last block."""
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
            self._mean_errors[:, channel] += (mean - self._mean_errors[:, channel]) >> _MEAN_MEMORY
            known = np.column_stack([self._neighbours(numbers, channel), targets])
            moments = self._moments[channel]
            for moment, memory in zip(moments, self._memories, strict=True):
                moment += known.T @ known - (moment >> memory)
            self._coefficients[channel] = [self._fitted(moment) for moment in moments]

    def _fitted(self, moment: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (K + 1,) coefficients, in units of 2**-POINT, by least squares over (K + 2, K + 2) moments.

        The ridge draws them towards left + above - corner in rows, and towards the last sample in a line.
        """
        equations: list[list[int]] = moment.tolist()[:-1]
        for k, equation in enumerate(equations):
            equation[k] += self._ridge
        for equation, coefficient in zip(equations, (1, 1, -1) if self._rows else (1,), strict=False):
            equation[-1] += self._ridge * coefficient
        return np.array(solve(equations, 1 << POINT, self._ridge), dtype=np.int64)

    def _bounded(self, channel: int, fitted: NDArray[np.int64], moment: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (K + 1,) coefficients like those fitted over (K + 2, K + 2) moments, but stable; see ``linear.py``.

        What they predict where all neighbours have their mean stays the same.
        """
        coefficients, sums_of = fitted.tolist(), moment.tolist()
        *sums, weight, total = sums_of[-2]
        weight = max(weight, 1)  # of the constant; the others are sums of samples
        errors = [*(-coefficient for coefficient in coefficients), 1 << POINT]
        noise = sum(a * sum(map(operator.mul, errors, row)) for a, row in zip(errors, sums_of, strict=True))
        noise >>= 2 * POINT
        power = sums_of[-1][-1] - total * total // weight
        kept = self._neighbours_of[channel].stable(coefficients[:-1], noise + self._ridge, power + self._ridge)
        moved = sum((a - b) * mean for a, b, mean in zip(coefficients, kept, sums, strict=False))
        return np.array([*kept, coefficients[-1] + moved // weight], dtype=np.int64)

    @property
    def _channel(self) -> int:
        """The channel of the next sample."""
        return self._count % self._channels

    def _expected(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (PREDICTIONS,) predictions of the next sample, and (PREDICTIONS,) bins of the errors around it."""
        if self._next is None:
            number = np.array([self._count])
            self._next = self._predicted(number, self._channel)[:, 0], self._sizes(number, self._channel)[:, 0]
        return self._next

    @property
    def kind(self) -> int:
        """Which of KINDS the next byte is, from 0."""
        # Whole, high or low byte.
        part = 0 if self._size == 1 else 1 + len(self._partial)
        return _CHANNELS * part + min(self._channel, _CHANNELS - 1)

    @property
    def activity(self) -> int:
        """Which of BINS the size of the errors around the next sample is, from 0; of the first prediction."""
        return int(self._expected()[1][0])

    def shares(self) -> NDArray[np.int64]:
        """Return (PREDICTIONS, 256) shares of the next byte, of 2**SHARE_BITS."""
        predicted, bins = self._expected()
        left = 8 * (self._size - len(self._partial))  # bits of the sample that are not known yet
        known = (int.from_bytes(self._partial, "big") << left) - self._most
        edges = known * _LEVEL - _LEVEL // 2 + (np.arange(257) * _LEVEL << (left - 8))
        below = _below(edges - predicted[:, None, None], self._inverses[bins][:, :, None])
        if not self._partial or self._is_frozen:  # all mass beyond the range is in its first and its last value
            least, greatest = self._ranges[self._channel]
            below[:, :, edges <= least * _LEVEL - _LEVEL // 2] = 0
            below[:, :, edges >= greatest * _LEVEL + _LEVEL // 2] = 1 << SHARE_BITS
        counts = self._counts[np.arange(PREDICTIONS), self._channel, bins]
        mass = (np.diff(below, axis=2) * counts[:, :, None]).sum(axis=1)
        for one in mass:
            one >>= max(int(one.sum()).bit_length() - 32, 0)
        mass += 1
        shares: NDArray[np.int64] = (mass << SHARE_BITS) // mass.sum(axis=1, keepdims=True)
        return shares

    def append(self, symbol: int) -> None:
        """Append one byte. A sample that is complete is stored, and a block that is complete is learnt from."""
        self._partial += bytes([symbol])
        if len(self._partial) < self._size:
            return
        predicted, _ = self._expected()
        place = self._margin + self._count
        if place == len(self._samples):
            self._samples = np.concatenate([self._samples, np.zeros_like(self._samples)])
            self._errors = np.concatenate([self._errors, np.zeros_like(self._errors)], axis=1)
        self._samples[place] = int.from_bytes(self._partial, "big") - self._most
        self._store_errors(np.array([self._count]), predicted[:, None])
        self._partial, self._next = b"", None
        self._count += 1
        if self._count % (_BLOCK * self._channels) == 0:
            if not self._is_frozen:
                self._learn()
            elif self._loudness is not None:
                self._loudness = self._loudness.after(self._frames(self._count - _BLOCK * self._channels))

    def freeze(self) -> None:
        """Stop learning.

        What follows may be the model's own sample. So from here on predictions are stable, samples stay in the range of
        the window's, and a line keeps the window's loudness.
        """
        if self._is_frozen:
            return
        self._is_frozen = True
        self._next = None
        self._coefficients = [
            [
                self._bounded(channel, *fit)
                for fit in zip(self._coefficients[channel], self._moments[channel], strict=True)
            ]
            for channel in range(self._channels)
        ]
        known = self._frames(0)
        if len(known):
            self._ranges = list(zip(known.min(axis=0).tolist(), known.max(axis=0).tolist(), strict=True))
            self._loudness = None if self._rows else Loudness.of(known)

    def _frames(self, start: int) -> NDArray[np.int64]:
        """Return (n, channels) samples from number ``start`` on, the whole frames of them."""
        end = self._count - self._count % self._channels
        return self._samples[self._margin + start : self._margin + end].reshape(-1, self._channels)

    def fork(self) -> Signal:
        """Return an independent copy."""
        fork = copy.copy(self)
        fork._samples, fork._errors = self._samples.copy(), self._errors.copy()
        fork._moments = [[moment.copy() for moment in moments] for moments in self._moments]
        fork._coefficients = list(self._coefficients)
        fork._counts, fork._mean_errors = self._counts.copy(), self._mean_errors.copy()
        return fork
