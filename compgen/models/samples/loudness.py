"""What holds a sampled line of samples at the loudness of its window.

The errors of a model that is fed with its own sample depend on each other alone: small errors make small errors
likely. So a sound that ends quietly would stay quiet for ever. A frozen signal therefore measures its own power, over
some 250 samples, and where that leaves a band around the power of the window, the size that errors are expected to have
moves a little at every block, until it is back. Within the band nothing is corrected.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compgen.models.quantise import log2_units
from compgen.powers import FRACTION, exp2_table

_MEMORY = 3
"""Each block moves the measured power by 2**-3 of the difference. Chosen: with 2**-4 the level of music swung by 20 dB
(docs/log.md, "long samples that are held")."""
_BAND = 1
"""Octaves of power, up or down, that are left alone: 3 dB. Chosen: half of what is asked for."""
_PARTS = 3
"""Binary places of the correction, which is in octaves of the size of errors."""
_STEPS = 2
"""Units of the correction that a block moves it by: a quarter of an octave, 1.5 dB. Chosen: half of it left music too
quiet for a tenth of a second."""
_LATE = 256
"""Samples of a channel at the end of the window that tell the power of late. Chosen: as many as _MEMORY weighs."""
_RANGE = (-(2 << _PARTS), 8 << _PARTS)
"""The least and the largest correction: -12 and 48 dB. Chosen: 30 left a sine that had grown for long 20 dB too
quiet, and from -30 it took a second to come back."""


@dataclass(frozen=True)
class Loudness:
    """The loudness of a frozen signal; an immutable value.

    Attributes:
        mean: (channels,) the mean sample of the window.
        wanted: (channels,) the power of its samples around the mean, squared levels.
        measured: (channels,) the power of late.
        steps: (channels,) the correction; errors are expected to be 2**(steps / 2**_PARTS) times as large.
    """

    mean: NDArray[np.int64]
    wanted: NDArray[np.int64]
    measured: NDArray[np.int64]
    steps: NDArray[np.int64]

    @classmethod
    def of(cls, frames: NDArray[np.int64]) -> Loudness:
        """Return the loudness of (n, channels) samples of a window, n >= 1.

        A window that ends quietly begins with the correction that it lacks.
        """
        mean = frames.sum(axis=0) // len(frames)
        power = ((frames - mean) ** 2).sum(axis=0) // len(frames)
        late = frames[-_LATE:]
        measured = ((late - mean) ** 2).sum(axis=0) // len(late)
        lacking = (log2_units(power + 1) - log2_units(measured + 1)) >> (FRACTION + 1 - _PARTS)
        return cls(mean, power, measured, np.clip(lacking, 0, _RANGE[1]))

    def after(self, frames: NDArray[np.int64]) -> Loudness:
        """Return the loudness after a block of (n, channels) samples."""
        power = ((frames - self.mean) ** 2).sum(axis=0) // len(frames)
        measured = self.measured + ((power - self.measured) >> _MEMORY)
        quiet, loud = measured << _BAND < self.wanted, measured >> _BAND > self.wanted
        return replace(
            self, measured=measured, steps=np.clip(self.steps + _STEPS * (quiet.astype(np.int64) - loud), *_RANGE)
        )

    def corrected(self, sizes: NDArray[np.int64], channel: int) -> NDArray[np.int64]:
        """Return sizes of errors of a channel, corrected."""
        down = -int(self.steps[channel])
        scale = int(exp2_table()[(down & ((1 << _PARTS) - 1)) << (FRACTION - _PARTS)])  # in units of 2**-32
        # One more and one less: errors of a window that was predicted exactly are 0, and grow too.
        found: NDArray[np.int64] = ((sizes + 1) * scale >> (32 + (down >> _PARTS))) - 1
        return np.maximum(found, 0)
