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
from compgen.models.base import PRECISION, ByteModel
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
    model: ByteModel, prompt: bytes, bits: Sequence[bytes], length: int, watch: Progress = lambda done: None
) -> list[Decoded]:
    """Decode each of ``bits`` to ``length`` bytes after ``prompt``, all side by side.

    ``watch`` is called with the number of bytes done so far in each.

    Raises:
        UsageError: there are not enough bits.
    """
    state = model.start([prompt] * len(bits))
    sources = [decoder(one) for one in bits]
    data = np.zeros((length, len(bits)), dtype=np.uint8)
    widths = np.ones((length, len(bits)))
    for step in range(length):
        data[step], low, widths[step] = state.locate(np.concatenate([source.points() for source in sources]))
        for row, source in enumerate(sources):
            try:
                source.advance(low[row : row + 1], widths[step, row : row + 1].astype(np.int64))
            except CorruptDataError:
                raise UsageError(
                    f"{len(bits[row])} bytes of bits lasted for {step} bytes of {length}; give more bits"
                ) from None
        state.extend(data[step])
        watch(step + 1)
    surprisals = PRECISION - np.log2(widths)
    return [
        Decoded(data[:, row].tobytes(), source.states[0], STATE + _WORD * source.used, surprisals[:, row])
        for row, source in enumerate(sources)
    ]


def bytes_to_bits(model: ByteModel, prompt: bytes, decoded: Decoded) -> bytes:
    """Return the ``decoded.used`` bytes of bits that were decoded to ``decoded``.

    Raises:
        CorruptDataError: ``decoded`` was decoded with another model or after another prompt.
    """
    symbols = np.frombuffer(decoded.data, dtype=np.uint8).reshape(-1, 1)
    low, width = model.start([prompt]).consume(symbols)
    code = rans.encode(low.astype(np.uint32), width.astype(np.uint32), PRECISION, [decoded.state])
    first = int.from_bytes(code[:8], "little") - rans.LEAST
    if first >> (8 * STATE) or len(code) - 8 != decoded.used - STATE:
        raise CorruptDataError("these bytes were not decoded with this model after this prompt")
    return first.to_bytes(STATE, "little") + code[8:]
