"""A digest of how a model behaves. Two machines that agree on it will most likely decode each other's files.

The digest cannot prove that they will. The checksums of segments find the rest (``container.py``).
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np

from compgen.models.base import ByteModel

SIZE = 8
"""Bytes of a fingerprint (docs/format.md)."""

LONGEST_PROBE = 4096
"""The most bytes that a model reads for its fingerprint, rounded up. The probe below has 3,550."""

_STEPS = 6
"""Bytes after each context whose frequencies go into the digest (docs/format.md)."""

_FEW_STEPS, _SHORT = 2, 96
"""The same if floats decide, and bytes of the text that is the only context then, besides none (docs/format.md).

Chosen: another arithmetic shows in nearly every frequency, and each forward of a large network takes a tenth of a
second. Records, which tokenisers have few tokens for, would take five times as many forwards as the rest.
"""


def fingerprint(model: ByteModel) -> bytes:
    """Return the BLAKE2b digest of a model's behaviour.

    The digest is of two things: what the libraries behind the model make of a probe (``ByteModel.behaviour``), and the
    model's frequencies in one row after three fixed contexts, which are no bytes, text, and records. If floats decide,
    which may take a large network long, the text is short, there are no records, and steps are few.
    """
    if model.reproducible:
        return _fingerprint(model, model.versions, 1, (b"", _text(), _records()), _STEPS)
    return _fingerprint(model, model.versions, 1, (b"", _text()[:_SHORT]), _FEW_STEPS)


def earlier_fingerprint(model: ByteModel, lanes: int) -> bytes:
    """Return the fingerprint that files of so many lanes had before format version 4."""
    rows = 1 if model.reproducible else lanes
    return _fingerprint(model, model.versions, rows, (b"", _text(), _records()), _STEPS)


@functools.lru_cache(maxsize=64)
def _fingerprint(model: ByteModel, versions: str, rows: int, contexts: tuple[bytes, ...], steps: int) -> bytes:
    # Versions are here for the cache's key alone: they tell apart the devices and weights that one spec may name.
    digest = hashlib.blake2b(digest_size=SIZE)
    digest.update(model.behaviour(_text() + _records() + _text()[::-1] + bytes(range(256)) * 2))
    for context in contexts:
        state = model.start([context] * rows)
        for symbol in np.frombuffer((context or b"probe.")[:steps], dtype=np.uint8):
            digest.update(state.frequencies().astype("<i8").tobytes())
            state.extend(symbol.repeat(rows))
    return digest.digest()


def _text() -> bytes:
    """Return words drawn by a linear congruential generator, so that no library's random numbers matter."""
    words = b"the of and to in a is that it was he for on are with as his they be at one have this from".split()
    state, text = 1, bytearray()
    while len(text) < 1200:
        state = (1_103_515_245 * state + 12_345) % (1 << 31)
        text += words[(state >> 16) % len(words)] + (b".\n" if (state >> 8) % 11 == 0 else b" ")
    return bytes(text)


def _records() -> bytes:
    """Return sixteen-byte records that count up."""
    return b"".join(b"%05d,\x00\xff%06d\r\n" % (i, i * i) for i in range(40))
