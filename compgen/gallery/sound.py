"""Pictures of sound on a shared scale, and sound whose level suits listening."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RANGE = 70
"""Decibels that the colours of a spectrogram span. Chosen: the range of 8-bit sound and some more."""
_SCALE = ((5, 4, 22), (60, 15, 110), (145, 40, 129), (220, 72, 105), (252, 150, 92), (252, 240, 190))
"""Red, green and blue from the quietest to the loudest: darker is quieter, for every eye."""
_SILENCE = -90.0
"""dB of full scale from which on a spectrogram has colours at most. Chosen: below the least step of 16 bits, so that
silence is dark."""
_LISTENING = -20.0
"""dBFS of the root mean square at which sound is played. Chosen: speech stands there in broadcasts, roughly."""
_PEAK = -1.0
"""dBFS that no sample exceeds when sound is played. Chosen: players that resample do not clip there."""
_MOST_GAIN = 24.0
"""Decibels by which a part is made louder at most. Chosen: near-silence stays quiet."""
_FADE = 0.005
"""Seconds in which the level changes where the given part ends. Chosen: no click."""


def _power(sound: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Return the power at each time and frequency, decibels of a sine at full scale."""
    size = 256 if rate < 12_000 else 512
    padded = np.pad(sound, (0, max(size - len(sound), 0)))
    hop = max((len(padded) - size) // 255, 1)
    window = np.hanning(size)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * window
    level: NDArray[np.float64] = np.abs(np.fft.rfft(frames, axis=1)) / (window.sum() / 2)
    return 20 * np.log10(level + 1e-9)


def loudest(sound: NDArray[np.float64], rate: int) -> float:
    """Return the level of the loudest point of a spectrogram, decibels of a sine at full scale."""
    return float(_power(sound, rate).max())


def spectrogram(sound: NDArray[np.float64], rate: int, top: float | None = None) -> bytes:
    """Return a spectrogram as PNG: time across (about 256 columns), frequency upwards (to half of ``rate``, Hz).

    Colours span the 70 dB below ``top``, by default below the loudest point. One ``top`` puts several on one scale.
    """
    power = _power(sound, rate)
    highest = max(power.max() if top is None else top, _SILENCE)
    shade = np.clip((power - highest + RANGE) / RANGE, 0, 1)[:, ::-1].T
    places = np.linspace(0, 1, len(_SCALE))
    colour = np.stack([np.interp(shade, places, channel) for channel in zip(*_SCALE, strict=True)], axis=2)
    from PIL import Image as Pillow

    file = io.BytesIO()
    Pillow.fromarray(np.rint(colour).astype(np.uint8)).save(file, "PNG", optimize=True)
    return file.getvalue()


def waveform_path(sound: NDArray[np.float64], width: int = 256, height: int = 40) -> str:
    """Return an SVG path of a waveform: for each of ``width`` columns, a line from least to greatest sample."""
    edges = np.linspace(0, len(sound), width + 1).astype(int)
    parts = []
    for x, (start, end) in enumerate(itertools.pairwise(edges.tolist())):
        piece = sound[start : max(end, start + 1)]
        if len(piece):
            top, bottom = ((1 - v) * height / 2 for v in (float(piece.max()), float(piece.min())))
            parts.append(f"M{x} {top:.1f}V{bottom + 0.5:.1f}")
    return "".join(parts)


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
    from compgen.media.sound_files import soundfile

    file = io.BytesIO()
    soundfile().write(file, np.rint(sound * 32767).astype(np.int16), rate, format="WAV", subtype="PCM_16")
    return Levelled(file.getvalue(), true, gains)
