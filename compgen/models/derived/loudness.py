"""What holds a sampled line of samples at the loudness of its window.

The errors of a model that is fed with its own sample depend on each other alone: small errors make small errors
likely. So a sound that ends quietly would stay quiet for ever. A frozen signal therefore measures its own power, over
some 250 samples, and where that leaves a band around the power of the window, the size that errors are expected to have
moves by a step a block, until it is back. Within the band nothing is corrected.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compgen.powers import FRACTION, exp2_table

_MEMORY = 3
"""Each block moves the measured power by 2**-3 of the difference. Chosen: 2**-4 held three of four sounds, this all
four (docs/log.md, "long samples that are held")."""
_DOWN = 2
"""Steps down for one step up. Chosen: a sample that is too loud is clipped, one that is too quiet is not."""
_BAND = 1
"""Octaves of power, up or down, that are left alone: 3 dB. Chosen: half of what is asked for."""
_PARTS = 3
"""A step is 2**-3 octaves of the size of errors, 0.75 dB. Chosen: slower than the measured power."""
_RANGE = (-(2 << _PARTS), 8 << _PARTS)
"""The least and the largest correction, steps: -12 and 48 dB. Chosen: 30 left a sine that had grown for long 20 dB too
quiet, and from -30 it took a second to come back."""


@dataclass(frozen=True)
class Loudness:
    """The loudness of a frozen signal; an immutable value.

    Attributes:
        mean: (channels,) the mean sample of the window.
        wanted: (channels,) the power of its samples around the mean, squared levels.
        measured: (channels,) the power of late.
        steps: (channels,) the correction: errors are expected to be 2**(steps / 2**_PARTS) times as large.
    """

    mean: NDArray[np.int64]
    wanted: NDArray[np.int64]
    measured: NDArray[np.int64]
    steps: NDArray[np.int64]

    @classmethod
    def of(cls, frames: NDArray[np.int64]) -> Loudness:
        """Return the loudness of (n, channels) samples of a window, n >= 1, not corrected yet."""
        mean = frames.sum(axis=0) // len(frames)
        power = ((frames - mean) ** 2).sum(axis=0) // len(frames)
        return cls(mean, power, power, np.zeros_like(power))

    def after(self, frames: NDArray[np.int64]) -> Loudness:
        """Return the loudness after a block of (n, channels) samples."""
        power = ((frames - self.mean) ** 2).sum(axis=0) // len(frames)
        measured = self.measured + ((power - self.measured) >> _MEMORY)
        quiet, loud = measured << _BAND < self.wanted, measured >> _BAND > self.wanted
        return replace(self, measured=measured, steps=np.clip(self.steps + quiet - _DOWN * loud, *_RANGE))

    def corrected(self, sizes: NDArray[np.int64], channel: int) -> NDArray[np.int64]:
        """Return sizes of errors of a channel, corrected."""
        down = -int(self.steps[channel])
        scale = int(exp2_table()[(down & ((1 << _PARTS) - 1)) << (FRACTION - _PARTS)])  # in units of 2**-32
        # One more and one less: errors of a window that was predicted exactly are 0, and grow too.
        found: NDArray[np.int64] = ((sizes + 1) * scale >> (32 + (down >> _PARTS))) - 1
        return np.maximum(found, 0)
