"""The components of FLAC's law, their weights, and what they expect of the next byte; see ``flac.py``."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from compgen.jit import Loops
from compgen.laws.base import PRECISION, SHARE_BITS, frequencies_of
from compgen.laws.flac_damping import damped, residual_power
from compgen.laws.flac_frames import LEFT_SIDE, Frame, Subframe
from compgen.types import Frequencies

LOOPS = Loops(cost=1.0)
"""Compiled loops: importing numba and loading them takes about a second."""

WEIGHT = 28
"""log2 of what weights of the mixture sum to."""
SHARES = WEIGHT + 6
"""log2 of the whole of a component's shares."""
HALF = 32
"""log2 of the mass of the residuals on one side of a prediction, in the units of ``masses``."""
MEMORY = 32
"""Samples that a prediction looks back at most: the highest order of a linear predictor."""
NEW_CODE, NEW_PREDICTOR = 5, 7
"""-log2 of the chance that a new partition, and that a new subframe, begins with the next sample. Chosen: measured."""
FRACTION = 8
"""Binary places of predictions."""
SIDE = 2
"""The row of left - right."""

HALF_UP, UNARY_UP = 128, 57
"""By how much damped predictions are moved, in units of 2**-FRACTION: minus the mean of random residuals, 1/2 under
Rice codes with k > 0 and 2/9 with k = 0."""

NOTHING = np.empty(0, dtype=np.int64)
"""Where nothing is to be written."""


class Predictors(NamedTuple):
    """J predictors for each of C channels.

    Attributes:
        coefficients: (C, J, MEMORY) that of the last sample first, and 0 beyond the order.
        shifts, offsets, wasted: (C, J) see ``Subframe``.
        damped: (C, J) 1 where the predictor is damped, else 0.
        rows: (C, J) what is predicted: 0 left, 1 right, 2 side.
    """

    coefficients: NDArray[np.int64]
    shifts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    wasted: NDArray[np.int64]
    damped: NDArray[np.int64]
    rows: NDArray[np.int64]


class Components(NamedTuple):
    """The E components of one channel: each is a predictor with one code.

    Attributes:
        owners: (E,) the predictor, ascending.
        codes: (E,) of residuals; see ``Subframe``.
        prior: (E,) weights, sum to 2**WEIGHT or a little less.
        within: (E,) its share of its predictor, in units of 2**-WEIGHT.
        centres: (E,) by how much predictions are moved, in units of 2**-FRACTION.
    """

    owners: NDArray[np.int64]
    codes: NDArray[np.int64]
    prior: NDArray[np.int64]
    within: NDArray[np.int64]
    centres: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Description:
    """What the encoder's last frames say.

    Attributes:
        predictors: of the frames.
        components: of each channel.
    """

    predictors: Predictors
    components: tuple[Components, ...]


def described(frames: list[Frame], powers: tuple[int, ...] = ()) -> Description:
    """Return the mixture of ``frames``, each with the same weight.

    Args:
        frames: of independent channels, or of left and side.
        powers: mean squares of left, right and side, to which predictors are damped. By default they are not.
    """
    channels = range(len(frames[0].subframes))
    rows = [[2 if channel and frame.assignment == LEFT_SIDE else channel for frame in frames] for channel in channels]
    coded = [
        [_damped(frame.subframes[channel], powers[row]) if powers else frame.subframes[channel] for frame, row in pairs]
        for channel, pairs in ((channel, zip(frames, rows[channel], strict=True)) for channel in channels)
    ]
    coefficients = np.zeros((len(channels), len(frames), MEMORY), dtype=np.int64)
    for channel, subframes in enumerate(coded):
        for number, subframe in enumerate(subframes):
            coefficients[channel, number, : len(subframe.coefficients)] = subframe.coefficients
    fields = [
        np.array([[getattr(one, name) for one in subframes] for subframes in coded], dtype=np.int64)
        for name in ("shift", "offset", "wasted", "damped")
    ]
    shifts, offsets, wasted, are_damped = fields
    named = np.array(rows, dtype=np.int64)
    predictors = Predictors(coefficients, shifts, offsets, wasted, are_damped, named)
    return Description(predictors, tuple(_components(subframes) for subframes in coded))


def _damped(subframe: Subframe, power: int) -> Subframe:
    made = residual_power(subframe.codes, subframe.sizes)
    coefficients, shift = damped(subframe.coefficients, subframe.shift, made, power >> 2 * subframe.wasted)
    return dataclasses.replace(subframe, coefficients=coefficients, shift=shift, damped=shift > subframe.shift)


def _components(subframes: list[Subframe]) -> Components:
    rows: list[tuple[int, int, int, int, int]] = []
    for number, subframe in enumerate(subframes):
        codes, which = np.unique(subframe.codes, return_inverse=True)
        counts = np.bincount(which, subframe.sizes).astype(np.int64)
        within = np.maximum((counts << WEIGHT) // max(int(counts.sum()), 1), 1)
        prior = np.maximum(within // len(subframes), 1)
        centres = np.where(codes > 0, HALF_UP, UNARY_UP) * (codes >= 0) * subframe.damped
        rows += list(
            zip([number] * len(codes), *(one.tolist() for one in (codes, prior, within, centres)), strict=True)
        )
    return Components(*np.array(rows, dtype=np.int64).T.copy())


def samples_of(data: bytes, channels: int, bits: int, ranges: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return (rows, frames) samples: of one channel, or left, right and side; see ``Predictors``.

    Left and right are cut off at ``ranges``, if they are given; see ``Mixture``.
    """
    unsigned = np.frombuffer(data, dtype=">u2" if bits == 16 else "u1").astype(np.int64)
    frames = (unsigned - (1 << (bits - 1))).reshape(-1, channels)
    samples = (frames if ranges is None else np.clip(frames, *ranges.T)).T
    if channels == 1:
        return samples
    left, right = samples
    return np.stack([left, right, left - right])


LENGTH, CHANNEL, BYTE, LEFT, HIGH, ERROR, KNOWN = range(7)
"""Registers of a mixture: frames of sound in ``sound``; channel and byte that come next; the left sample, and the high
byte, if they are known already; the last residual under the first predictor; whether masses are up to date."""


class Mixture:
    """The components, their weights, and the samples that predictions are made from.

    Args:
        description: of the components.
        recent: the last bytes, whole frames of sound.
        channels: 1 or 2.
        bits: of a sample.
        room: frames of sound that may be appended.
        ranges: (channels, 2) least and greatest sample that predictions are made from; those beyond count as these.
            By default all that samples of so many bits can have.
    """

    def __init__(
        self,
        description: Description,
        recent: bytes,
        channels: int,
        bits: int,
        room: int,
        ranges: NDArray[np.int64] | None = None,
    ) -> None:
        self.description = description
        self._channels, self._bits = channels, bits
        most = 1 << (bits - 1)
        self.ranges = np.array([[-most, most - 1]] * channels, dtype=np.int64) if ranges is None else ranges
        known = samples_of(recent, channels, bits, self.ranges)
        self._sound = np.zeros((len(known), MEMORY + room), dtype=np.int64)
        self._sound[:, MEMORY - known.shape[1] : MEMORY] = known
        self._registers = np.zeros(7, dtype=np.int64)
        self._registers[LENGTH] = MEMORY
        self._weights = [components.prior.copy() for components in description.components]
        self._predictions = np.zeros_like(description.predictors.shifts)
        self._predict()
        most = max(len(weights) for weights in self._weights)
        self._masses = np.zeros((most, 256), dtype=np.int64)
        self._factors = np.zeros(most, dtype=np.int64)

    def fork(self) -> Self:
        """Return an independent copy."""
        fork = copy.copy(self)
        for name in ("_sound", "_registers", "_predictions", "_masses", "_factors"):
            setattr(fork, name, getattr(self, name).copy())
        fork._weights = [weights.copy() for weights in self._weights]
        return fork

    @property
    def last_residual(self) -> int:
        """Size of the last residual under the first predictor."""
        return int(self._registers[ERROR])

    def read(self, data: NDArray[np.uint8], low: NDArray[np.int64], width: NDArray[np.int64]) -> None:
        """Append (T,) bytes; fill (T,) ``low`` and ``width`` with their intervals unless they are empty."""
        if LOOPS.run_compiled:
            self._compiled(data, low, width, NOTHING)
            return
        with LOOPS.fallback():
            for step, symbol in enumerate(data.tolist()):
                self._weigh()
                if len(width):
                    frequencies = frequencies_of(self._law())
                    low[step], width[step] = frequencies[:symbol].sum(), frequencies[symbol]
                self._append(symbol)

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies of the next byte."""
        if LOOPS.run_compiled:
            found = np.empty(256, dtype=np.int64)
            self._compiled(np.empty(0, np.uint8), NOTHING, NOTHING, found)
            return found
        with LOOPS.fallback():
            self._weigh()
            return frequencies_of(self._law())

    def alone(self) -> NDArray[np.int64]:
        """Return (J, 256) what each predictor expects, in shares of 2**SHARE_BITS."""
        self._weigh()
        owners = self._components.owners
        found = np.zeros((owners[-1] + 1, 256), dtype=np.int64)
        np.add.at(found, owners, self._factors[: len(owners), None] * self._masses[: len(owners)])
        found[~found.any(axis=1)] = 1
        return np.stack([frequencies_of(one) for one in found]) << (SHARE_BITS - PRECISION)

    def _compiled(
        self, data: NDArray[np.uint8], low: NDArray[np.int64], width: NDArray[np.int64], frequencies: NDArray[np.int64]
    ) -> None:
        from compgen.laws import flac_loops

        state = self._sound, self._registers, self._predictions, self._masses, self._factors, self.ranges
        # Plain tuples: numba's cache could not be read once a class in it had moved.
        first, last = tuple(self.description.components[0]), tuple(self.description.components[-1])
        run: Any = flac_loops.run
        given = tuple(self.description.predictors), first, last, self._weights[0], self._weights[-1]
        run(data, self._bits, self._channels, state, *given, low, width, frequencies)

    @property
    def _components(self) -> Components:
        """Those of the channel that comes next."""
        return self.description.components[int(self._registers[CHANNEL])]

    def _predict(self) -> None:
        """Compute the predictions for the next frame of sound."""
        predictors, length = self.description.predictors, int(self._registers[LENGTH])
        back = self._sound[:, length - MEMORY : length][:, ::-1]
        samples = back[predictors.rows] >> predictors.wasted[:, :, None]
        sums = (samples * predictors.coefficients).sum(axis=2)
        places = FRACTION * predictors.damped  # those of other predictors are dropped
        found = (sums >> (predictors.shifts - places)) << (FRACTION - places)
        self._predictions[:] = (predictors.offsets << FRACTION) + found

    def _law(self) -> NDArray[np.int64]:
        """Return (256,) weights of the next byte. Where no component expects anything, they are equal."""
        count = len(self._components.owners)
        weights: NDArray[np.int64] = (self._factors[:count, None] * self._masses[:count]).sum(axis=0)
        return weights if weights.any() else np.ones(256, dtype=np.int64)

    def _weigh(self) -> None:
        """Bring masses and factors up to date."""
        if self._registers[KNOWN]:
            return
        self._registers[KNOWN] = 1
        _, channel, byte, left, high, *_ = self._registers.tolist()
        components, weights = self._components, self._weights[channel]
        step = 256 if self._bits == 16 and byte == 0 else 1
        base = (high << 8 if byte else 0) - (1 << (self._bits - 1))
        count = len(weights)
        masses = self._masses[:count]
        edges = base + step * np.arange(257)
        turned = self.description.predictors.rows[channel][components.owners] == SIDE
        edges = np.where(turned[:, None], left + 1 - edges[::-1], edges)
        wasted = self.description.predictors.wasted[channel][components.owners][:, None]
        predictions = self._predictions[channel][components.owners] + components.centres
        edges = -(-edges >> wasted) - (predictions >> FRACTION)[:, None]
        masses[:] = np.diff(below(edges, components.codes, predictions & (1 << FRACTION) - 1), axis=1)
        masses[turned] = masses[turned, ::-1]
        totals = masses.sum(axis=1)
        self._factors[:count] = np.where(totals > 0, (weights << SHARES) // np.maximum(totals, 1), 0)

    def _append(self, symbol: int) -> None:
        """Append one byte; masses and factors are up to date."""
        registers, channel = self._registers, int(self._registers[CHANNEL])
        weights = self._weights[channel]
        count = len(weights)
        seen = self._factors[:count] * self._masses[:count, symbol]
        total = int(seen.sum())
        if total:
            shift = total.bit_length() - WEIGHT
            weights[:] = seen >> shift if shift > 0 else seen << -shift
        registers[KNOWN] = 0
        if self._bits == 16 and registers[BYTE] == 0:
            registers[BYTE], registers[HIGH] = 1, symbol
            return
        sample = symbol + (int(registers[HIGH]) << 8 if self._bits == 16 else 0) - (1 << (self._bits - 1))
        least, greatest = self.ranges[channel].tolist()
        sample = min(max(sample, least), greatest)
        registers[BYTE] = 0
        self._share(channel)
        self._sound[channel, registers[LENGTH]] = sample
        if channel == 0:
            registers[ERROR] = abs(sample - (int(self._predictions[0, 0]) >> FRACTION))
        if channel < self._channels - 1:
            registers[LEFT], registers[CHANNEL] = sample, 1
            return
        registers[CHANNEL] = 0
        if self._channels == 2:
            left = int(registers[LEFT])
            self._sound[SIDE, registers[LENGTH]] = left - sample
        registers[LENGTH] += 1
        self._predict()

    def _share(self, channel: int) -> None:
        """Return a part of the weights to what the headers say."""
        components, weights = self.description.components[channel], self._weights[channel]
        total, owners = int(weights.sum()), components.owners
        of_owner = np.zeros(owners[-1] + 1, dtype=np.int64)
        np.add.at(of_owner, owners, weights)
        weights += (
            -(weights >> NEW_CODE)
            - (weights >> NEW_PREDICTOR)
            + (of_owner[owners] * components.within >> (WEIGHT + NEW_CODE))
            + (total * components.prior >> (WEIGHT + NEW_PREDICTOR))
        )


def below(edges: NDArray[np.int64], codes: NDArray[np.int64], up: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (E, n) the mass of residuals below each of (E, n) ascending ``edges``, but for a constant.

    A residual r >= 0 has m = r, and one below 0 has m = -r - 1. All from m on have the mass (2**k - m % 2**(k-1)) *
    2**-(1 + k + q) with q = m >> (k - 1), if k > 0; with k = 0 they have 2/3 or 1/3 of 4**-m. The unit is
    2**-(HALF + 1), or less if all edges lie on one side: then the smallest q is taken from all.

    Args:
        edges: residuals.
        codes: (E,) of residuals; see ``Subframe``.
        up: (E,) the chance that residuals count from one more, in units of 2**-FRACTION.
    """
    k, unary, first = np.clip(codes, 1, None)[:, None], (codes == 0)[:, None], edges[:, :1] - (up > 0)[:, None]
    right = first >= 0
    outside = right | (edges[:, -1:] <= 0)
    ends = np.abs(np.concatenate([first, edges[:, -1:]], axis=1))
    least = np.where(outside, np.where(unary, 2 * ends, ends >> (k - 1)).min(axis=1, keepdims=True), 0)
    two_thirds, third = (2 << (HALF + 1)) // 3, (1 << (HALF + 1)) // 3
    whole = np.where(outside, 0, np.where(unary, two_thirds + third, 2 << HALF))
    bits = np.clip(-1 - codes, 0, None)[:, None]
    found = []
    for shifted in (edges, edges - 1):
        positive, far = right | (shifted > 0), np.abs(shifted)
        rice = ((1 << k) - (far & ((1 << (k - 1)) - 1))) << (HALF - k)
        tails = np.where(unary, np.where(positive, two_thirds, third), rice)
        tails >>= np.minimum(np.where(unary, 2 * far, far >> (k - 1)) - least, 63)
        plain = np.clip(shifted + ((1 << bits) >> 1), 0, 1 << bits)
        found.append(np.where((codes < 0)[:, None], plain, np.where(positive, whole - tails, tails)))
        if not up.any():
            return found[0]
    there = up[:, None]
    mixed: NDArray[np.int64] = ((1 << FRACTION) - there) * found[0] + there * found[1] >> FRACTION
    return mixed
