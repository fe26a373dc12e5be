"""Decode any bits to a continuation of a prompt, and code that continuation to get the bits back.

Random bits decode to continuations as often as the model expects them: to decode noise is to sample. A continuation
that was decoded carries the bits, and looks like any other sample of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compgen.coding import rans
from compgen.errors import CorruptDataError, UsageError
from compgen.models.allowed import allowed, restricted
from compgen.models.base import PRECISION, ByteModel, find
from compgen.types import Progress

STATE = 4
"""Bytes of the bits that set the decoder's initial state: it lies in [2**32, 2**33), so 32 bits choose it."""

_WORD = 4
"""Bytes of a word of the entropy coder."""


@dataclass(frozen=True)
class Decoded:
    """A continuation that bits were decoded to.

    Attributes:
        data: the bytes of the continuation.
        state: the decoder's final state, from which coding the continuation starts.
        used: bytes of the bits that were read.
        surprisals: (n,) bits, -log2 of each byte's probability.
    """

    data: bytes
    state: int
    used: int
    surprisals: NDArray[np.float64]


def decoder(bits: bytes) -> rans.Decoder:
    """Return a decoder of one lane that reads ``bits``. Their first four bytes set its state.

    Up to three bytes at the end are not read, if the rest is not a whole number of words.

    Raises:
        UsageError: there are fewer than four bytes.
    """
    if len(bits) < STATE:
        raise UsageError(f"{len(bits)} bytes of bits are too few; give {STATE} or more")
    state = rans.LEAST + int.from_bytes(bits[:STATE], "little")
    words = bits[STATE : len(bits) - len(bits) % _WORD]
    return rans.Decoder(state.to_bytes(8, "little") + words, 1, PRECISION)


def bits_to_bytes(
    model: ByteModel,
    prompt: bytes,
    bits: Sequence[bytes],
    length: int,
    allow: str | None = None,
    watch: Progress = lambda done: None,
) -> list[Decoded]:
    """Decode each of ``bits`` to ``length`` bytes after ``prompt``, all side by side.

    Args:
        model: the model that decodes.
        prompt: the bytes before.
        bits: what is decoded.
        length: bytes that each of ``bits`` is decoded to.
        allow: the bytes that may come (``compgen.models.allowed``). A last character may stay unfinished.
        watch: called with the number of bytes done so far in each.

    Raises:
        UsageError: there are not enough bits, or there is no such set of bytes.
    """
    state = model.start([prompt] * len(bits))
    permitted = allowed(allow, [prompt] * len(bits))
    sources = [decoder(one) for one in bits]
    data = np.zeros((length, len(bits)), dtype=np.uint8)
    widths = np.ones((length, len(bits)))
    for step in range(length):
        points = np.concatenate([source.points() for source in sources])
        mask = permitted.mask()
        whole = bool(mask.all())
        located = state.locate(points) if whole else find(restricted(state.frequencies(), mask), points)
        data[step], low, widths[step] = located
        for row, source in enumerate(sources):
            try:
                source.advance(low[row : row + 1], widths[step, row : row + 1].astype(np.int64))
            except CorruptDataError:
                raise UsageError(
                    f"{len(bits[row])} bytes of bits lasted for {step} bytes of {length}; give more bits"
                ) from None
        state.extend(data[step])
        permitted.extend(data[step])
        watch(step + 1)
    surprisals = PRECISION - np.log2(widths)
    return [
        Decoded(data[:, row].tobytes(), source.states[0], STATE + _WORD * source.used, surprisals[:, row])
        for row, source in enumerate(sources)
    ]


def bytes_to_bits(model: ByteModel, prompt: bytes, decoded: Decoded, allow: str | None = None) -> bytes:
    """Return the ``decoded.used`` bytes of bits that were decoded to ``decoded``, with the same ``allow``.

    Raises:
        CorruptDataError: ``decoded`` was decoded with another model, after another prompt or with another ``allow``.
        UsageError: there is no such set of bytes.
    """
    symbols = np.frombuffer(decoded.data, dtype=np.uint8).reshape(-1, 1)
    permitted = allowed(allow, [prompt])
    low, width = np.empty(symbols.shape, dtype=np.int64), np.empty(symbols.shape, dtype=np.int64)
    state = model.start([prompt])
    for step, column in enumerate(symbols):
        frequencies = restricted(state.frequencies(), permitted.mask())
        width[step] = frequencies[0, column]
        low[step] = frequencies[0, : column[0]].sum()
        if not width[step]:
            raise CorruptDataError(f"byte {step} was not decoded with this model: allow={allow} forbids it")
        state.extend(column)
        permitted.extend(column)
    code = rans.encode(low.astype(np.uint32), width.astype(np.uint32), PRECISION, [decoded.state])
    first = int.from_bytes(code[:8], "little") - rans.LEAST
    if first >> (8 * STATE) or len(code) - 8 != decoded.used - STATE:
        raise CorruptDataError("these bytes were not decoded with this model after this prompt")
    return first.to_bytes(STATE, "little") + code[8:]
