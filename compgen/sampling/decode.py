"""Sampling by decompression: noise, through a decoder, is a sample.

``decode`` decodes random bits with the coder of ``compgen.coding``, which reads the very frequencies that ancestral
sampling draws from; the two agree but for the coder's rounding. ``decode-native`` gives noise to the compressor's own
decoder, so that what comes out is what the compressor itself expects, not the distribution derived from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compgen.coding.bits import bits_to_bytes
from compgen.errors import UsageError
from compgen.models import CodeLengthModel
from compgen.models.base import PRECISION
from compgen.sampling.base import Request, Sample, Sampler


@dataclass(frozen=True)
class Decode(Sampler):
    """Random bits, or those of the file ``bits``, decoded. ``compgen.coding.bits.bytes_to_bits`` gives them back."""

    bits: str | None = None

    name: ClassVar[str] = "decode"

    def draw(self, request: Request) -> list[Sample]:
        """Return one continuation for each row, each from bits of its own.

        Raises:
            UsageError: the file cannot be read, holds too few bits, or there is more than one row.
        """
        if self.bits is not None and request.samples > 1:
            raise UsageError("the bits of one file are one sample; leave out --samples")
        rows = range(request.samples)
        bits = (
            [_read(self.bits)] if self.bits else [request.generator(row).bytes(_enough(request.length)) for row in rows]
        )
        decoded = bits_to_bytes(
            request.model, request.prompt, bits, request.length, lambda made: request.watch(made, b"")
        )
        return [Sample(one.data, one.surprisals, 1 / request.samples) for one in decoded]


@dataclass(frozen=True)
class DecodeNative(Sampler):
    """Random bytes through the compressor's own decoder, after the code of the prompt."""

    name: ClassVar[str] = "decode-native"

    def draw(self, request: Request) -> list[Sample]:
        """Return one continuation for each row.

        Raises:
            UsageError: the model is not one compressor's, or that has no such decoder.
        """
        model = request.model
        if not isinstance(model, CodeLengthModel):
            raise UsageError(f"decode-native needs a compressor with a decoder of its own, such as ppmd, not '{model}'")
        context = model.context_window.visible(request.prompt)
        drawn = []
        for row in range(request.samples):
            seed = int(request.generator(row).integers(1 << 32))
            data = model.compressor.decode_noise(context, request.length, seed)
            drawn.append(Sample(data, _surprisals(request, data), 1 / request.samples))
        request.watch(request.length, b"")
        return drawn


def _enough(length: int) -> int:
    """Return how many bytes of bits any ``length`` bytes take at most."""
    return 8 + 4 * -(-length * PRECISION // 32)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"bits '{path}' cannot be read: {error.strerror}") from None


def _surprisals(request: Request, data: bytes) -> NDArray[np.float64]:
    state = request.model.start([request.prompt])
    bits = np.empty(len(data))
    for position, symbol in enumerate(np.frombuffer(data, dtype=np.uint8).reshape(-1, 1)):
        bits[position] = -state.log2_probs()[0, symbol[0]]
        state.extend(symbol)
    return bits
