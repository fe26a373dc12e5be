"""Made data: what studies run on if no real data is given, and random bytes.

Made data does not imitate real data. It only has what compressors of its kind look for: words that recur by Zipf's law;
smooth surfaces with edges and a little noise; a pitch with overtones, rising and falling in loudness. The numbers in
the makers below were chosen for that. Changing one changes the data of every seed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 16
"""Bytes made at a time. Each block has a seed of its own, so any block can be made without those before it. Chosen: 32
image patches, or four seconds of sound."""

_HEIGHT, _WIDTH = 32, 64
"""Size of an image patch, pixels: the paper's patches of ImageNet."""
_RATE = 16_000
"""Samples of sound per second: the rate of LibriSpeech."""


def _random(generator: np.random.Generator) -> NDArray[np.uint8]:
    return generator.integers(0, 256, BLOCK, dtype=np.uint8)


def _text(generator: np.random.Generator) -> NDArray[np.uint8]:
    words = _vocabulary()
    drawn = np.minimum(generator.zipf(1.35, BLOCK // 2), len(words)) - 1
    ends = generator.geometric(1 / 12, BLOCK // 16)
    text, place = [], 0
    for length in ends:
        sentence = " ".join(words[i] for i in drawn[place : place + length])
        text.append(sentence[:1].upper() + sentence[1:] + ". ")
        place += int(length)
    return np.frombuffer("".join(text).encode()[:BLOCK], dtype=np.uint8)


@functools.cache
def _vocabulary() -> list[str]:
    generator = np.random.default_rng(0)
    onsets, vowels, codas = (
        ["b", "c", "d", "f", "g", "l", "m", "n", "p", "r", "s", "t", "th", "st", "tr", "w"],
        ["a", "e", "i", "o", "u", "ea", "ou"],
        ["", "n", "r", "s"],
    )
    syllables = [o + v + c for o in onsets for v in vowels for c in codas]
    counts = generator.integers(1, 4, 3000)
    return ["".join(generator.choice(syllables, count)) for count in counts]


def _image(generator: np.random.Generator) -> NDArray[np.uint8]:
    patches = BLOCK // (_HEIGHT * _WIDTH)
    y, x = np.mgrid[:_HEIGHT, :_WIDTH]
    phase, tilt = generator.uniform(0, 6.28, (patches, 1, 1)), generator.normal(0, 0.05, (2, patches, 1, 1))
    surface = 60 * np.sin(phase + tilt[0] * y + tilt[1] * x)
    edge = np.where(
        y + generator.normal(0, 1, (patches, 1, 1)) * x > generator.uniform(-64, 96, (patches, 1, 1)), 40, 0
    )
    values = generator.uniform(70, 150, (patches, 1, 1)) + surface + edge
    noisy: NDArray[np.float64] = values + generator.normal(0, 3, values.shape)
    return noisy.clip(0, 255).astype(np.uint8).reshape(-1)


def _speech(generator: np.random.Generator) -> NDArray[np.uint8]:
    time = np.arange(BLOCK) / _RATE
    pitch = 120 + 30 * np.sin(2 * np.pi * (generator.uniform(0.3, 0.7) * time + generator.uniform(0, 1)))
    turns = 2 * np.pi * np.cumsum(pitch) / _RATE
    loud = np.clip(np.sin(2 * np.pi * (generator.uniform(1, 3) * time + generator.uniform(0, 1))), 0, 1)
    voice = np.sin(np.outer(np.arange(1, 7), turns)).T @ generator.uniform(0, 14, 6)
    values: NDArray[np.float64] = 128 + loud * voice + generator.normal(0, 1, BLOCK)
    return values.clip(0, 255).astype(np.uint8)


_MAKERS: dict[str, Callable[[np.random.Generator], NDArray[np.uint8]]] = {
    "random": _random,
    "text": _text,
    "image": _image,
    "speech": _speech,
}
KINDS = tuple(_MAKERS)
"""Names of the kinds. The place of a kind is part of its seed, so a new kind goes to the end."""


@functools.lru_cache(maxsize=16)
def block(kind: str, seed: int, number: int) -> bytes:
    """Return block ``number``, counted from 0, of the data of this kind and seed: ``BLOCK`` bytes."""
    made = _MAKERS[kind](np.random.default_rng([seed, KINDS.index(kind), number])).tobytes()
    if len(made) != BLOCK:
        raise AssertionError(f"a block of made {kind} has {len(made)} bytes")
    return made
