"""Sound whose level suits listening: a sample may be noise at full scale, after a whisper."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compgen.media.sound_files import soundfile

_LISTENING = -20.0
"""dBFS of the root mean square at which sound is played. Chosen: speech stands there in broadcasts, roughly."""
_PEAK = -1.0
"""dBFS that no sample exceeds when sound is played. Chosen: players that resample do not clip there."""
_MOST_GAIN = 24.0
"""Decibels by which a part is made louder at most. Chosen: near-silence stays quiet."""
_FADE = 0.005
"""Seconds in which the level changes where the given part ends. Chosen: no click."""


def level(sound: NDArray[np.float64]) -> float:
    """Return the root mean square of a sound, dBFS: 0 for a square wave at full scale. Its mean is taken out first."""
    return 20 * float(np.log10(np.std(sound) + 1e-5)) if len(sound) else -100.0


@dataclass(frozen=True)
class Levelled:
    """A sound whose parts have the level for listening.

    Attributes:
        wav: the sound, as a WAV file of 16 bits.
        true: the levels of the given and of the made part as they are, dBFS.
        gains: decibels by which the parts were changed.
    """

    wav: bytes
    true: tuple[float, float]
    gains: tuple[float, float]


def levelled(given: NDArray[np.float64], made: NDArray[np.float64], rate: int) -> Levelled:
    """Return the given part and its continuation, each at the level for listening, and never clipped."""
    true = level(given), level(made)
    parts = []
    for sound, now in zip((given, made), true, strict=True):
        middle = sound - sound.mean() if len(sound) else sound
        peak = 20 * float(np.log10(np.abs(middle).max() + 1e-5)) if len(sound) else -100.0
        parts.append((middle, min(_LISTENING - now, _PEAK - peak, _MOST_GAIN)))
    gains = parts[0][1], parts[1][1]
    factor = 10 ** (np.repeat(gains, [len(given), len(made)]) / 20)
    fade = min(int(_FADE * rate), len(given), len(made))
    # The change lies in the part with the greater gain, so that no sample gets more than the gain of its part.
    start = len(given) - fade if gains[0] > gains[1] else len(given)
    factor[start : start + fade] = 10 ** (np.linspace(*gains, fade) / 20)
    sound = np.concatenate([parts[0][0], parts[1][0]]) * factor
    file = io.BytesIO()
    soundfile().write(file, np.rint(sound * 32767).astype(np.int16), rate, format="WAV", subtype="PCM_16")
    return Levelled(file.getvalue(), true, gains)
