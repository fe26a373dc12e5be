"""The contract of a law, and how weights become frequencies.

A decoder reads instructions: a literal, or a match of some length at some distance. Each has a code of known length
in the decoder's present state. Fed with fair random bits, the decoder is a stochastic process over bytes. Its law is

    P(x) = probability that the output begins with x
         = sum of 2**-bits over the shortest instruction sequences whose output begins with x
    P(b | x) = P(x b) / P(x)

Several instruction sequences may write the same bytes, and the law sums over them (docs/decoder-law.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.growing import Growing
from compgen.jit import SMALL
from compgen.types import Frequencies

PRECISION = 24
"""log2 of what frequencies sum to."""

SHARE_BITS = 30
"""log2 of what the shares of a part of a law sum to, at most."""


class NoLaw(UsageError):  # noqa: N818 - the name says what there is not
    """A compressor has no decoder's law, or none that is known."""


class Law(ABC):
    """What a compressor's decoder expects, from the compressor's own output for the context.

    Attributes:
        family: the kind of decoder: laws of one family have the same parts (``LawState.parts``).
        numbers: for each number that goes with the parts, how many contexts it tells apart.
    """

    family: ClassVar[str] = "whole"
    numbers: ClassVar[tuple[int, ...]] = ()

    @property
    def parts_time(self) -> float:
        """The most seconds that parts, and learning from them, take for a byte without compiled loops: an estimate."""
        return 5e-4

    @property
    def warm_up(self) -> int | None:
        """See ``ByteModel.warm_up``: None for a law that learns nothing, so that a fresh start equals going on."""
        return None

    @property
    def start_time(self) -> float:
        """The most seconds that a start takes without compiled loops, where that is over 0.1: an estimate."""
        return 0.0

    @abstractmethod
    def start(self, context: bytes) -> LawState:
        """Return the state after ``context``, a function of its bytes alone."""

    def state_memory(self, length: int) -> int:
        """Return the bytes of memory that a state takes at most, after ``length`` bytes; see ``ByteModel.memory``."""
        return length


class LawState(Growing):
    """One context that grows, and the distribution of its next byte."""

    @abstractmethod
    def frequencies(self) -> Frequencies:
        """Return (256,) integers >= 1 that sum to 2**24. Pure: asking twice gives the same."""

    @abstractmethod
    def append(self, symbol: int) -> None:
        """Append one byte to the context."""

    @abstractmethod
    def consume(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append (T,) known bytes, and return (T,) low and (T,) frequency of each one's interval in [0, 2**24)."""

    @abstractmethod
    def fork(self) -> LawState:
        """Return an independent state."""

    def parts(self) -> tuple[NDArray[np.int64], list[int]]:
        """Return the distributions that the law is made of, and where the context stands.

        A calibrated model learns how far to trust each part (``models/derived/calibrated.py``). Pure.

        Returns:
            (E, 256) shares of 2**SHARE_BITS: for each part, what it alone expects of the next byte. The last part is
            the law as a whole. By default it is the only one.
            Numbers below those of ``Law.numbers``, for contexts that deserve another trust. By default none.
        """
        return self.frequencies()[None] << (SHARE_BITS - PRECISION), []

    def _copied(self) -> Growing:
        return self.fork()

    def freeze(self) -> None:
        """Stop learning, in place; see ``State.freeze``. By default there is nothing to stop."""


def frequencies_of(weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (256,) frequencies >= 1 that sum to 2**PRECISION; equal weights get equal ones, to within one count."""
    shares = np.empty(256, dtype=np.int64)
    _share(weights, PRECISION, shares)
    return shares


def _share_by_numpy(weights: NDArray[np.int64], precision: int, shares: NDArray[np.int64]) -> None:
    scaled = weights >> max(int(weights.max()).bit_length() - 32, 0)
    total = max(int(scaled.sum()), 1)
    np.add(scaled * ((1 << precision) - 256) // total, 1, out=shares)
    each, left = divmod((1 << precision) - int(shares.sum()), 256)
    shares[:left] += 1
    shares += each


@SMALL.loop(fallback=_share_by_numpy)
def _share(weights: Any, precision: Any, shares: Any) -> None:
    most, shift, total = weights.max(), 0, 0
    while most >> shift >= 1 << 32:
        shift += 1
    for b in range(256):
        total += weights[b] >> shift
    left = 1 << precision
    for b in range(256):
        shares[b] = (weights[b] >> shift) * ((1 << precision) - 256) // max(total, 1) + 1
        left -= shares[b]
    for b in range(256):
        shares[b] += (left >> 8) + (b < left & 255)
