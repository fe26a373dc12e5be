"""The law of FLAC: the next sample as the predictors and Rice codes of the encoder's own last frames expect it.

A FLAC decoder (RFC 9639) computes a prediction from the samples before and adds a residual, which it reads as a Rice
code with parameter k. Fed with fair random bits, it reads the residual r, folded to u = 2r or -2r - 1, with probability
2**-(1 + k + (u >> k)). So the next sample has a two-sided geometric distribution around a known number.

Which predictor, and which k, the decoder reads in the headers of the frame. These are not known before the frame is,
so the law is a mixture. Its *predictors* are those that the encoder itself finds when it codes the last 4,096, 1,024,
512 and 256 frames of sound as one block each; each comes with the codes of its partitions, as often as it uses them.
They are renewed every ``RENEWALS.every`` frames of sound. Their weights move with every byte (Bayes). After each sample
a new partition is expected to begin with a chance of 1/32 and a new subframe with one of 1/128: so much of the weights
returns to what the headers say.

A sample of 16 bits is two bytes, high first: the chance of a high byte is the sum over 256 samples, in closed form.
What lies outside the range of the samples is left out and the rest normalised. All is computed in integers; the same
ones come from NumPy here and from compiled loops in ``flac_loops.py``.

**Two channels.** Left comes before right. FLAC codes them independently, or one of them as the *side*, left - right.
After left and side, the right sample is expected at left - side. Where the encoder prefers side and right, or middle
and side, the law takes left and side, each as the encoder codes it (``compressors/flac.py``): a decoder of the others
would have to know right before left.

**Damping.** A predictor that would run away on random residuals is damped (``flac_damping.py``). Its predictions are no
whole numbers: the fraction is the chance that they are rounded up. And they are moved by the mean of the residuals,
which is not 0 since -1 has a shorter code than 1. Other predictors are FLAC's to the bit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from compgen.laws.base import PRECISION, SHARE_BITS, Law, LawState
from compgen.laws.flac_frames import Frame
from compgen.laws.flac_mixture import MEMORY, NOTHING, Description, Mixture, described, samples_of
from compgen.laws.lz77 import Renewals
from compgen.types import Frequencies

RENEWALS = Renewals(first=32, every=256)
"""Where predictors are renewed, frames of sound. Chosen: every 128 gains 0.02 bits for twice the encodings."""
BLOCKS = (4096, 1024, 512, 256)
"""Frames of sound that the encoder codes for one predictor each. Chosen: measured on speech and music."""
_UNIFORM = np.full(256, 1 << (PRECISION - 8), dtype=np.int64)


@dataclass(frozen=True)
class FlacLaw(Law):
    """The law of FLAC.

    Attributes:
        frames: codes frames of sound as one block, and returns the FLAC frame of it.
        channels: 1 or 2.
        bits: of a sample: 8 or 16.
    """

    family: ClassVar[str] = "flac"
    numbers: ClassVar[tuple[int, ...]] = (4, 20)

    frames: Callable[[bytes], Frame]
    channels: int = 1
    bits: int = 8

    @property
    def frame(self) -> int:
        """Bytes of a frame of sound."""
        return self.channels * self.bits // 8

    def start(self, context: bytes) -> FlacState:
        """Return the state after ``context``, which begins with a whole frame of sound."""
        return FlacState(self, context)

    def state_memory(self, length: int) -> int:
        """Return the bytes of the tables of a state, and of what it keeps of ``length`` bytes."""
        return (1 << 20) + 2 * length


@functools.lru_cache(maxsize=8)
def _described(law: FlacLaw, recent: bytes, powers: tuple[int, ...]) -> Description:
    """Return what the encoder makes of the ends of ``recent``, damped to ``powers``."""
    ends = dict.fromkeys(recent[-law.frame * block :] for block in BLOCKS)
    return described([law.frames(end) for end in ends], powers)


class FlacState(LawState):
    """The context, the mixture, and the samples that predictions are made from."""

    def __init__(self, law: FlacLaw, context: bytes) -> None:
        self._law = law
        self._frozen = False
        self._frequencies: Frequencies | None = None
        frame = law.frame
        self._next = RENEWALS.last(len(context) // frame)  # frames of sound, where predictors are renewed
        begin = self._next * frame
        self._context = bytearray(context[:begin])
        self._mixture: Mixture | None = None
        self._renew()
        self._read(np.frombuffer(context[begin:], dtype=np.uint8), NOTHING, NOTHING)

    def _renew(self) -> None:
        """Renew the predictors: the context has come to where they are."""
        here, frame = self._next, self._law.frame
        self._next = RENEWALS.after(here)
        if not here:
            return
        recent = bytes(self._context[-frame * BLOCKS[0] :])
        if self._frozen and self._mixture is not None:
            description, ranges = self._mixture.description, self._mixture.ranges
        else:
            ranges = None
            sound = samples_of(bytes(self._context), self._law.channels, self._law.bits)
            powers = tuple((np.square(sound).sum(axis=1) // here).tolist())
            description = _described(self._law, recent, powers)
        self._mixture = Mixture(
            description, recent[-frame * MEMORY :], self._law.channels, self._law.bits, self._next - here, ranges
        )

    def _read(self, data: NDArray[np.uint8], low: NDArray[np.int64], width: NDArray[np.int64]) -> None:
        """Append ``data``; fill ``low`` and ``width`` unless they are empty."""
        self._frequencies = None
        done = 0
        while done < len(data):
            part = slice(done, min(done + self._next * self._law.frame - len(self._context), len(data)))
            if self._mixture is not None:
                self._mixture.read(data[part], low[part], width[part])
            elif len(width):
                low[part], width[part] = data[part].astype(np.int64) << (PRECISION - 8), _UNIFORM[0]
            self._context += data[part].tobytes()
            done = part.stop
            if len(self._context) == self._next * self._law.frame:
                self._renew()

    def frequencies(self) -> Frequencies:
        """Return (256,) frequencies; see ``LawState``."""
        if self._frequencies is None:
            self._frequencies = _UNIFORM if self._mixture is None else self._mixture.frequencies()
        return self._frequencies

    def append(self, symbol: int) -> None:
        """Append one byte."""
        self._read(np.array([symbol], dtype=np.uint8), NOTHING, NOTHING)

    def consume(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append (T,) known bytes; see ``LawState``."""
        low, width = np.empty(len(data), dtype=np.int64), np.empty(len(data), dtype=np.int64)
        self._read(data, low, width)
        return low, width

    def parts(self) -> tuple[NDArray[np.int64], list[int]]:
        """Return what each predictor expects, and then the law as a whole.

        The numbers tell which byte of a frame of sound comes next, and the size of the last residual, in bits.
        """
        whole = self.frequencies() << (SHARE_BITS - PRECISION)
        found = np.repeat(whole[None], len(BLOCKS) + 1, axis=0)
        if self._mixture is None:
            return found, [len(self._context) % self._law.frame, 0]
        alone = self._mixture.alone()
        found[: len(alone)] = alone
        return found, [len(self._context) % self._law.frame, self._mixture.last_residual.bit_length()]

    def freeze(self) -> None:
        """Keep the predictors as they are from now on: what follows is the law's own sample.

        No byte has a chance of 0, so a long sample clicks. A click rang on: what predictors make of a sample at full
        scale is near full scale, and no residual leads back. So they now see samples cut off at the context's range.
        """
        self._frozen = True
        whole = len(self._context) // self._law.frame
        if self._mixture is not None and whole:
            sound = samples_of(bytes(self._context[: whole * self._law.frame]), self._law.channels, self._law.bits)
            sound = sound[: self._law.channels]
            self._mixture.ranges = np.stack([sound.min(axis=1), sound.max(axis=1)], axis=1)

    def fork(self) -> Self:
        """Return an independent state."""
        fork = self._sharing()
        fork._context = self._context.copy()
        fork._mixture = self._mixture and self._mixture.fork()
        return fork
