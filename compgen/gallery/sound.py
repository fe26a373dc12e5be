"""Pictures of sound: spectrograms on a shared scale, and waveforms."""

from __future__ import annotations

import io
import itertools

import numpy as np
from numpy.typing import NDArray

RANGE = 70
"""Decibels that the colours of a spectrogram span. Chosen: the range of 8-bit sound and some more."""
_SCALE = ((5, 4, 22), (60, 15, 110), (145, 40, 129), (220, 72, 105), (252, 150, 92), (252, 240, 190))
"""Red, green and blue from the quietest to the loudest: darker is quieter, for every eye."""
_SILENCE = -90.0
"""dB of full scale from which on a spectrogram has colours at most. Chosen: below the least step of 16 bits, so that
silence is dark."""


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
