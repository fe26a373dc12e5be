"""The contract of samplers: the request that they get, and the samples that they return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from compgen.display import readable, surprisal_html, surprisal_legend
from compgen.errors import UsageError
from compgen.media.base import Medium
from compgen.models.allowed import whole
from compgen.models.base import ByteModel
from compgen.registry import Configured
from compgen.sampling.shown import line, page, printed, rate

Watch: TypeAlias = Callable[[int, bytes], None]
"""A function that is called after each step, with the number of bytes in a row so far, and with those bytes of row 0
that have become final: no stop string can remove them any more."""


@dataclass(frozen=True)
class Request:
    """What to sample.

    Attributes:
        model: the model to draw from.
        prompt: the prompt of all samples.
        length: bytes in a continuation, if no stop string ends it, and no character that it would cut is dropped.
        samples: continuations to draw.
        seed: the seed of all random numbers.
        stop: strings that end a continuation.
        watch: called after each step.
        each: a prompt for each sample, in place of ``prompt``; empty for one prompt.
    """

    model: ByteModel
    prompt: bytes
    length: int
    samples: int
    seed: int
    stop: tuple[bytes, ...] = ()
    watch: Watch = field(default=lambda made, final: None)
    each: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.each and len(self.each) != self.samples:
            raise UsageError(f"{len(self.each)} prompts make as many samples, not {self.samples}")
        if self.length < 0:
            raise UsageError(f"length must be 0 or more bytes, not {self.length}")
        if self.samples < 1:
            raise UsageError(f"samples must be 1 or more, not {self.samples}")
        if self.seed < 0:
            raise UsageError(f"seed must be 0 or more, not {self.seed}")
        if b"" in self.stop:
            raise UsageError("a stop string must not be empty")

    @property
    def prompts(self) -> list[bytes]:
        """The prompts of the samples, in order."""
        return list(self.each) or [self.prompt] * self.samples

    def generator(self, row: int) -> np.random.Generator:
        """Return the random numbers of one row. They do not depend on the number of rows."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(row,)))

    def stop_position(self, data: bytes | bytearray, start: int = 0) -> int:
        """Return where the first stop string begins that ends after ``start``, or -1 if there is none."""
        found = [data.find(stop, max(0, start - len(stop) + 1)) for stop in self.stop]
        return min((position for position in found if position >= 0), default=-1)

    def cut_at_stop(self, sample: Sample) -> Sample:
        """Return ``sample`` without its first stop string and what follows, or as it is if it has none."""
        end = self.stop_position(sample.data)
        return sample if end < 0 else sample.cut(end)


@dataclass(frozen=True, eq=False)
class Sample:
    """One continuation.

    Attributes:
        data: its bytes, without the stop string that ended it.
        surprisals: (n,) bits, -log2 of each byte's probability under the model, among those that were allowed, before
            temperature, top-k, and so on.
        weight: its share among the samples drawn together. Only in sequential Monte Carlo are the shares unequal.
        stopped: True if a stop string ended it.
    """

    data: bytes
    surprisals: NDArray[np.float64] = field(repr=False)
    weight: float
    stopped: bool = False

    @property
    def text(self) -> str:
        """The bytes as text that is safe to show on a terminal or a page."""
        return readable(self.data)

    @property
    def bits(self) -> float:
        """-log2 of the probability of the whole continuation under the model."""
        return float(self.surprisals.sum())

    @property
    def log2_prob(self) -> float:
        """log2 of the probability of the whole continuation under the model, bits: what beams are ranked by."""
        return -self.bits

    @property
    def bits_per_byte(self) -> float | None:
        """Bits divided by bytes; None for no bytes, which have no rate."""
        return self.bits / len(self.data) if self.data else None

    def cut(self, length: int) -> Sample:
        """Return the first ``length`` bytes, marked as stopped."""
        return Sample(self.data[:length], self.surprisals[:length], self.weight, stopped=True)

    def whole(self, allow: str | None) -> Sample:
        """Return the sample without a last character that is unfinished, if ``allow`` is a set of characters."""
        length = whole(allow, self.data)
        return replace(self, data=self.data[:length], surprisals=self.surprisals[:length])

    def __str__(self) -> str:
        ended = ", ended by a stop string" if self.stopped else ""
        return f"{rate(self)}{ended}\nlog2 of its probability: {self.log2_prob:.1f}\n{line(self)}"

    def _repr_html_(self) -> str:
        return f"<p><b>{rate(self)}</b></p>{surprisal_html(self.data, self.surprisals)}{surprisal_legend()}"


@dataclass(frozen=True, eq=False)
class Samples(Sequence[Sample]):
    """Continuations drawn together, with the model, the sampler and the seed that draw them again.

    Attributes:
        drawn: the continuations.
        model: the model that they were drawn from.
        sampler: what drew them.
        seed: the seed of the random numbers.
        given: the prompt, or a prompt for each sample.
        medium: the medium of the bytes, if it was told: notebooks then show pictures and players.
    """

    drawn: tuple[Sample, ...]
    model: ByteModel
    sampler: Sampler
    seed: int
    given: tuple[bytes, ...] = field(default=(), repr=False)
    medium: Medium | None = None

    def joined(self) -> Samples:
        """Return the continuations as one sample, one after the other."""
        data = b"".join(one.data for one in self.drawn)
        surprisals = np.concatenate([one.surprisals for one in self.drawn])
        whole = Sample(data, surprisals, 1.0, any(one.stopped for one in self.drawn))
        return replace(self, drawn=(whole,))

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, index: int | slice) -> Sample | tuple[Sample, ...]:
        return self.drawn[index]

    def __len__(self) -> int:
        return len(self.drawn)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.drawn)

    def _repr_html_(self) -> str:
        return page(self)

    def __str__(self) -> str:
        return printed(self)


class Sampler(Configured, ABC):
    """A way to draw continuations. Subclasses are frozen dataclasses, whose fields are the sampler's options."""

    @abstractmethod
    def draw(self, request: Request) -> list[Sample]:
        """Return ``request.samples`` continuations. All random numbers come from ``request.generator``."""
