"""The compressor contract, and the slow, correct defaults that fast compressors override."""

from __future__ import annotations

import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np

from compgen.errors import CorruptDataError, UsageError
from compgen.media.layout import Layout
from compgen.registry import Configured
from compgen.types import CodeLengths


class Compressor(Configured, ABC):
    """Bytes to bytes, and the code length L(x) of any byte string x, in bits.

    Subclasses are frozen dataclasses; their fields are the options of their spec. A new compressor
    needs ``compress``, ``decompress`` and ``version``; whatever it can do faster, it overrides.
    """

    resolution: ClassVar[float] = 8.0
    """The unit of its code lengths, bits: 1 where exact bit lengths are visible, 8 for whole bytes."""

    overhead: ClassVar[float] = 0.0
    """At most so many bits more than ``code_length`` says (rounded up to whole bytes) does ``compress`` write."""

    conditional: ClassVar[bool] = False
    """True where the context is a dictionary that costs nothing, so that only continuations are priced."""

    window: ClassVar[int] = 8192
    """Default context window of the models derived from it, bytes: its reach, or what patience allows."""

    parallel: ClassVar[bool] = True
    """True where encoders let go of the interpreter's lock, so that threads help."""

    @abstractmethod
    def compress(self, data: bytes) -> bytes:
        """Return ``data``, compressed."""

    @abstractmethod
    def decompress(self, blob: bytes) -> bytes:
        """Return what was compressed into ``blob``.

        Raises:
            CorruptDataError: ``blob`` is not the whole and unchanged output of ``compress``.
        """

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """Return the library behind it and that library's version."""

    def code_length(self, data: bytes) -> float:
        """Return L(data), bits, a whole number for all but models; by default the bits of ``compress(data)``."""
        return 8 * len(self.compress(data))

    def code_lengths(self, context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) L(context + continuation), bits, one for each of n continuations."""
        return measure(lambda y: self.code_length(context + y), continuations, self.parallel)

    def static_dictionary(self) -> bytes:
        """Return text that it can copy from whatever the context is, the likeliest last; none by default."""
        return b""

    def laid_out(self, layout: Layout) -> Compressor:
        """Return it for bytes that lie so; itself by default, since most compressors see bytes in a line."""
        return self

    def decode_noise(self, context: bytes, length: int, seed: int) -> bytes:
        """Return the ``length`` bytes that its own decoder makes of random bytes after the code of ``context``.

        Raises:
            UsageError: its codes are not such that noise after one is the code of something.
        """
        raise UsageError(f"{self.name}'s decoder does not take noise; ppmd's does, and the decode sampler suits all")

    def open(self, context: bytes) -> Meter:
        """Return a meter standing after ``context``."""
        return ReplayMeter(self, context)


def whole_stream(what: str, eof: bool, unused: bytes) -> None:
    """Check what a decoder says at the end of a blob.

    Raises:
        CorruptDataError: it has not come to the end, or there is more.
    """
    if not eof:
        raise CorruptDataError(f"the {what} is cut short")
    if unused:
        raise CorruptDataError(f"the {what} is followed by other bytes")


class Meter(ABC):
    """A context that grows, and the code lengths of what may follow it."""

    @abstractmethod
    def code_lengths(self, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) L(context + continuation), bits; equal to ``Compressor.code_lengths``."""

    @abstractmethod
    def extend(self, data: bytes) -> None:
        """Append ``data`` to the context."""

    @abstractmethod
    def flushed(self) -> Meter | None:
        """Return a fork whose pending block is closed, or None where the compressor cannot close one.

        Its lengths are those of an encoder that was flushed here, with no bits for the flush itself:
        candidates then cost microseconds, whatever the context.
        """

    def code_values(self, continuations: Sequence[bytes]) -> list[int] | None:
        """Return the code of context + continuation, for each, as an integer of the same number of binary places.

        For an arithmetic coder whose output is the low end of the interval it has narrowed down to: between the codes
        of neighbours lies the interval of the lower one. None where the compressor is no such coder.
        """
        return None

    @abstractmethod
    def fork(self) -> Meter:
        """Return an independent copy."""


class ReplayMeter(Meter):
    """Keeps the bytes and asks the compressor to do everything again: slow, and right for all."""

    def __init__(self, compressor: Compressor, context: bytes) -> None:
        self._compressor = compressor
        self._context = context

    def code_lengths(self, continuations: Sequence[bytes]) -> CodeLengths:
        """Recompress context and continuation, for each continuation."""
        return self._compressor.code_lengths(self._context, continuations)

    def extend(self, data: bytes) -> None:
        """Append ``data`` to the bytes kept."""
        self._context += data

    def flushed(self) -> None:
        """Return None: without encoder state there is no block to close."""
        return

    def fork(self) -> ReplayMeter:
        """Return a meter over the same bytes."""
        return ReplayMeter(self._compressor, self._context)


def threads() -> int:
    """Return how many threads measure code lengths: ``COMPGEN_THREADS``, or one for each core.

    Raises:
        UsageError: the variable is set to something that is not a positive whole number.
    """
    setting = os.environ.get("COMPGEN_THREADS", "")
    if not setting:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not setting.isdecimal() or int(setting) < 1:
        raise UsageError(f"COMPGEN_THREADS must be a positive whole number, not '{setting}'")
    return int(setting)


@functools.cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="compgen-measure")


def measure(code_length: Callable[[bytes], float], continuations: Sequence[bytes], parallel: bool) -> CodeLengths:
    """Return (n,) ``code_length`` of each continuation, bits, on ``threads()`` threads if ``parallel``."""
    workers = threads() if parallel and len(continuations) > 1 else 1
    if workers == 1:
        return np.array([code_length(y) for y in continuations], dtype=np.float64)
    # Slices small enough that the threads end together and an interrupt is soon noticed.
    size = -(-len(continuations) // (32 * workers))
    slices = [continuations[i : i + size] for i in range(0, len(continuations), size)]
    parts = _pool(workers).map(lambda part: [code_length(y) for y in part], slices)
    return np.array([length for part in parts for length in part], dtype=np.float64)
