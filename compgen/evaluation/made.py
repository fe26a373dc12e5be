"""Data that the project makes itself: what studies run on where no real data is given, and random bytes.

None of it is a likeness of the real thing; it has what compressors of that kind look for: words that come back by
Zipf's law, smooth surfaces with edges and a little noise, a pitch with overtones that rise and fall.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 16
"""Bytes that are made at a time, each block from its own seed, so that any can be made without those before it."""

_HEIGHT, _WIDTH = 32, 64
_RATE = 16_000  # samples per second


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


@functools.lru_cache(maxsize=16)
def block(kind: str, seed: int, number: int) -> bytes:
    """Return the ``BLOCK`` bytes of block ``number``, counted from 0."""
    made = _MAKERS[kind](np.random.default_rng([seed, KINDS.index(kind), number])).tobytes()
    if len(made) != BLOCK:
        raise AssertionError(f"a block of made {kind} has {len(made)} bytes")
    return made
