"""Prompts that the project makes itself: prose, plucked strings, vowels, drawings.

The numbers in the makers are chosen. Prompts have fixed seeds, and are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from compgen.media.audio import Audio
from compgen.media.image import Image

_RATE = 8000
"""Samples per second of the sounds made here."""


def prose() -> bytes:
    """Return a diary of forty days in a lighthouse, written by a small grammar."""
    random = np.random.default_rng(11)

    def one(*choices: str) -> str:
        return choices[random.integers(len(choices))]

    days = []
    for day in range(1, 41):
        keeper = one("The keeper", "Old Anna", "The boy", "The harbour master")
        act = one("lit the lamp", "climbed the stairs", "wrote in the log", "mended the net", "watched the ships")
        days.append(
            f"Day {day}. {keeper} {act} {one('at dawn', 'at dusk', 'before the storm', 'when the fog came in')}. "
            f"{one('The wind', 'The sea', 'The light')} {one('was quiet', 'turned north', 'grew', 'fell')}, and "
            f"{one('nobody came', 'a ship passed', 'the gulls were gone', 'the bell rang twice')}.\n"
        )
    return "".join(days).encode()


def plucked() -> bytes:
    """Return eight plucked notes (Karplus and Strong 1983), played twice, as WAV."""
    random = np.random.default_rng(12)
    notes = [_string(random, frequency) for frequency in (220.0, 277.2, 329.6, 440.0, 329.6, 277.2, 246.9, 293.7)]
    return _wav(np.tile(np.concatenate(notes), 2))


def _string(random: np.random.Generator, frequency: float) -> NDArray[np.float64]:
    period = round(_RATE / frequency)
    samples = list(random.uniform(-0.7, 0.7, period))
    for i in range(period, _RATE // 8):
        samples.append(0.498 * (samples[i - period] + samples[i - period - 1 if i > period else 0]))
    return np.array(samples)


def vowels() -> bytes:
    """Return two seconds of speech-like sound as WAV: pulses through two formants that glide from vowel to vowel."""
    formants = np.array([(700, 1200), (300, 2200), (500, 1000), (350, 800), (700, 1200)], dtype=float)
    count = 2 * _RATE
    place = np.linspace(0, len(formants) - 1.001, count)
    low = place.astype(int)
    glide = formants[low] + (formants[low + 1] - formants[low]) * (place - low)[:, None]
    pitch = 110 + 15 * np.sin(np.arange(count) / _RATE * 2 * np.pi * 1.5)
    pulses = np.diff(np.floor(np.cumsum(pitch) / _RATE), prepend=0)
    out = np.zeros(count)
    for formant in range(2):
        angle, radius = 2 * np.pi * glide[:, formant] / _RATE, 0.97
        y1 = y2 = 0.0
        for i in range(count):
            y1, y2 = pulses[i] + 2 * radius * np.cos(angle[i]) * y1 - radius**2 * y2, y1
            out[i] += y1
    return _wav(0.8 * out / np.abs(out).max())


def tiles() -> bytes:
    """Return a drawing of nine tiles with rings, as PNG."""
    y, x = np.mgrid[:48, :48]
    rings = np.hypot(x % 16 - 7.5, y % 16 - 7.5)
    return _png(np.where(rings < 7, np.where(rings < 3.5, 230, 40), 140 + 40 * ((x // 16 + y // 16) % 2)))


def hills() -> bytes:
    """Return a drawing of three ranges of hills with a little noise, as PNG."""
    random = np.random.default_rng(13)
    y, x = np.mgrid[:48, :64]
    picture = 225.0 - y
    for level, shade, length in ((19, 150, 5.0), (28, 110, 7.0), (36, 60, 11.0)):
        ridge = level + 4 * np.sin(x / length + level) + 1.5 * np.sin(x / 3 + level)
        picture = np.where(y > ridge, shade + (y - ridge) / 3, picture)
    return _png(picture + random.normal(0, 1.0, picture.shape))


def _wav(sound: NDArray[np.float64]) -> bytes:
    data = np.clip(np.rint(128 + 127 * sound), 0, 255).astype(np.uint8).tobytes()
    return Audio(rate=_RATE, channels=1).decode(data, ".wav")


def _png(picture: NDArray[np.float64]) -> bytes:
    data = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return Image(channels=1, width=data.shape[1]).decode(data.tobytes())


MADE: dict[str, Callable[[], bytes]] = {
    "prose": prose,
    "plucked": plucked,
    "vowels": vowels,
    "tiles": tiles,
    "hills": hills,
}
"""The makers of prompts, by the name that a config gives as ``made``."""
