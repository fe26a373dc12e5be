"""A digest of how a model behaves: two machines that agree on it will most likely decode each other's files.

It cannot prove that; checksums do the rest (``container.py``).
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np

from compgen.models.base import ByteModel

SIZE = 8
_STEPS = 6


def fingerprint(model: ByteModel, lanes: int = 1) -> bytes:
    """Return a BLAKE2b digest of a model as it is with so many lanes, which matters where floats decide.

    It is of what the libraries behind the model make of a probe, and of the model's frequencies after fixed contexts:
    none, text, and records.
    """
    return _fingerprint(model, lanes, model.versions)


@functools.lru_cache(maxsize=64)
def _fingerprint(model: ByteModel, lanes: int, versions: str) -> bytes:
    # Versions are in the key alone, to tell devices and weights apart.
    digest = hashlib.blake2b(digest_size=SIZE)
    digest.update(model.behaviour(_text() + _records() + _text()[::-1] + bytes(range(256)) * 2))
    rows = 1 if model.reproducible else lanes
    for context in (b"", _text(), _records()):
        state = model.start([context] * rows)
        for symbol in np.frombuffer(context[:_STEPS] or b"probe.", dtype=np.uint8):
            digest.update(state.frequencies().astype("<i8").tobytes())
            state.extend(symbol.repeat(rows))
    return digest.digest()


def _text() -> bytes:
    """Words drawn by a linear congruential generator: nothing here may depend on a library's random numbers."""
    words = b"the of and to in a is that it was he for on are with as his they be at one have this from".split()
    state, text = 1, bytearray()
    while len(text) < 1200:
        state = (1_103_515_245 * state + 12_345) % (1 << 31)
        text += words[(state >> 16) % len(words)] + (b".\n" if (state >> 8) % 11 == 0 else b" ")
    return bytes(text)


def _records() -> bytes:
    """Sixteen-byte records that count up."""
    return b"".join(b"%05d,\x00\xff%06d\r\n" % (i, i * i) for i in range(40))
