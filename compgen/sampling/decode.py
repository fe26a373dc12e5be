"""Sampling by decompression: to decode noise is to sample.

``decode`` decodes random bits with the entropy coder of ``compgen.coding``. It uses the same frequencies as ancestral
sampling, so the two have the same distribution, except for the coder's rounding. Under
``rule=decoder`` they are what the compressor's own decoder would make of random bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compgen.coding.bits import STATE, bits_to_bytes
from compgen.errors import UsageError
from compgen.models.allowed import allowed
from compgen.models.base import PRECISION
from compgen.sampling.base import Request, Sample, Sampler


@dataclass(frozen=True)
class Decode(Sampler):
    """Decodes random bits, or the bits of the file ``bits``. ``compgen.coding.bits.bytes_to_bits`` gives them back."""

    bits: str | None = None
    allow: str | None = None

    name: ClassVar[str] = "decode"

    def __post_init__(self) -> None:
        allowed(self.allow, [b""])

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
            request.model, request.prompt, bits, request.length, self.allow, lambda made: request.watch(made, b"")
        )
        return [Sample(one.data, one.surprisals, 1 / request.samples).whole(self.allow) for one in decoded]


def _enough(length: int) -> int:
    """Return how many bytes of bits suffice to decode ``length`` bytes, whatever they are."""
    return 8 + 4 * -(-length * PRECISION // 32)


def _read(path: str) -> bytes:
    try:
        bits = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"bits '{path}' cannot be read: {error.strerror}") from None
    if len(bits) < STATE:
        raise UsageError(f"bits '{path}': {len(bits)} bytes are too few; give {STATE} or more")
    return bits
