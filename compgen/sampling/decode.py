"""Sampling by decompression: to decode noise is to sample.

``decode`` decodes random bits with the entropy coder of ``compgen.coding``. It uses the same frequencies as ancestral
sampling, so the two have the same distribution, except for the coder's rounding. ``decode-native`` gives noise to the
compressor's own decoder. Its samples follow the compressor itself, and not the distribution derived from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from compgen.coding.bits import bits_to_bytes
from compgen.errors import UsageError
from compgen.models import CodeLengthModel
from compgen.models.base import PRECISION
from compgen.sampling.base import Request, Sample, Sampler


@dataclass(frozen=True)
class Decode(Sampler):
    """Decodes random bits, or the bits of the file ``bits``. ``compgen.coding.bits.bytes_to_bits`` gives them back."""

    bits: str | None = None

    name: ClassVar[str] = "decode"

    def draw(self, request: Request) -> list[Sample]:
        """Return the continuations, each decoded from bits of its own.

        Raises:
            UsageError: the file of bits cannot be read, holds too few bits, or is given for more than one sample.
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
    """Feeds random bytes to the compressor's own decoder, after the code of the prompt."""

    name: ClassVar[str] = "decode-native"

    def draw(self, request: Request) -> list[Sample]:
        """Return the continuations.

        Raises:
            UsageError: the model is not derived from one compressor, or that compressor cannot decode noise.
        """
        model = request.model
        if not isinstance(model, CodeLengthModel):
            raise UsageError(f"decode-native needs a compressor with a decoder of its own, such as ppmd, not '{model}'")
        context = model.context_window.visible(request.prompt)
        drawn = []
        for row in range(request.samples):
            seed = int(request.generator(row).integers(1 << 32))
            data = model.compressor.decode_noise(context, request.length, seed)
            state = model.start([request.prompt])
            _, width = state.consume(np.frombuffer(data, dtype=np.uint8).reshape(-1, 1))
            drawn.append(Sample(data, PRECISION - np.log2(width[:, 0]), 1 / request.samples))
        request.watch(request.length, b"")
        return drawn


def _enough(length: int) -> int:
    """Return how many bytes of bits suffice to decode ``length`` bytes, whatever they are."""
    return 8 + 4 * -(-length * PRECISION // 32)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"bits '{path}' cannot be read: {error.strerror}") from None
