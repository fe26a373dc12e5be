"""The compressor contract, and the slow, correct defaults that fast compressors override."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from compgen.arguments import as_bytes, before, of_type
from compgen.errors import CorruptDataError, UsageError
from compgen.growing import Growing
from compgen.laws.base import Law
from compgen.laws.fitted import FittedLaw
from compgen.media.layout import Layout
from compgen.processes import kept
from compgen.registry import Configured
from compgen.types import CodeLengths

_ENCODER = 16 << 20
"""Bytes of memory that an encoder takes for little data. Chosen: bzip2 takes 8 MB, the others less."""

_SLICES = 32
"""Slices of continuations for each thread. Chosen: more cost more calls, fewer let threads end apart."""


class Compressor(Configured, ABC):
    """A lossless compressor, and the code length L(x) of any byte string x, in bits.

    Subclasses are frozen dataclasses; their fields are the options of their spec. A new compressor needs ``compress``,
    ``decompress`` and ``version``. It overrides what it can do faster than the defaults here.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        before(cls, "compress", lambda compressor, data: (as_bytes(data, "data"),))
        before(cls, "decompress", lambda compressor, blob: (_as_blob(blob),))
        before(cls, "code_length", lambda compressor, data: (as_bytes(data, "data"),))
        before(cls, "code_lengths", _as_continuations)
        before(cls, "open", lambda compressor, context: (as_bytes(context, "context"),))

    resolution: ClassVar[float] = 8.0
    """The unit of code lengths, bits: 1 where exact bit lengths are visible, 8 for whole bytes, 0 for a model."""

    overhead: ClassVar[float] = 0.0
    """The most bits that ``compress`` writes beyond ``code_length`` rounded up to whole bytes."""

    conditional: ClassVar[bool] = False
    """Whether the context is a dictionary that costs nothing, so that a code length counts the continuation alone."""

    window: ClassVar[int] = 8192
    """The default context window of derived models, bytes. Chosen: as far as the compressor looks back, or less where
    each code length compresses the whole window again."""

    law_kind: ClassVar[str] = "fitted"
    """What ``law`` returns: ``exact``, read from the format; ``fitted``, from code lengths; or ``none``."""

    parallel: ClassVar[bool] = True
    """Whether threads speed up measurements: its encoder releases the interpreter's lock."""

    @abstractmethod
    def compress(self, data: bytes) -> bytes:
        """Return ``data``, compressed. Text counts as UTF-8, as in all methods here; an implementation gets bytes."""

    @abstractmethod
    def decompress(self, blob: bytes) -> bytes:
        """Return the data that was compressed into ``blob``.

        Raises:
            CorruptDataError: ``blob`` is not the whole and unchanged output of ``compress``.
        """

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """Return the name and version of the library behind the compressor."""

    def code_length(self, data: bytes) -> float:
        """Return L(data), bits; by default the bits of ``compress(data)``. It is a whole number except for models."""
        return 8 * len(self.compress(data))

    def code_lengths(self, context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) L(context + continuation), bits, for each of n continuations."""
        context, continuations = _as_continuations(self, context, continuations)
        return measure(lambda y: self.code_length(context + y), continuations, self.parallel)

    def static_dictionary(self) -> bytes:
        """Return text that the encoder can copy from before any context, the likeliest text last; none by default."""
        return b""

    def law(self) -> Law:
        """Return the law of its decoder; see ``compgen/laws``. By default it is fitted from code lengths.

        Raises:
            NoLaw: it has none, or none that is known; the message says why.
        """
        return FittedLaw(_LengthsOf(self), self.static_dictionary()).checked()

    @property
    def law_window(self) -> int:
        """Default context window of its law, bytes."""
        return self.window

    @property
    def unit(self) -> int:
        """Bytes of a row or frame, with a whole one of which a context window begins; 1 for bytes in a line."""
        return 1

    @property
    def call_time(self) -> float:
        """The most microseconds that the code length of a kilobyte or two takes on an ordinary core: an estimate."""
        return 150

    def encoder_memory(self, size: int) -> int:
        """Return the bytes of memory that coding ``size`` bytes takes while it lasts, at most."""
        return _ENCODER + 32 * size

    def meter_memory(self, size: int) -> int:
        """Return the bytes of memory that a meter keeps after ``size`` bytes, at most."""
        return size

    def laid_out(self, layout: Layout) -> Compressor:
        """Return the compressor for bytes with ``layout``; by default itself, since most see bytes in a line."""
        return self

    def open(self, context: bytes) -> Meter:
        """Return a meter that stands after ``context``."""
        return ReplayMeter(self, as_bytes(context, "context"))


def _as_blob(blob: object) -> bytes:
    """Return what was compressed as bytes.

    Raises:
        UsageError: it is something else, such as text.
    """
    return as_bytes(of_type(blob, bytes, "blob"), "blob")


def _as_continuations(compressor: Compressor, context: Any, continuations: Any) -> tuple[bytes, Sequence[bytes]]:
    """Return a context and its continuations as bytes.

    Raises:
        UsageError: one of them is neither bytes nor text, or there is no sequence of continuations.
    """
    if isinstance(continuations, str | bytes) or not isinstance(continuations, Iterable):
        raise UsageError("continuations must be a list of bytes or text")
    known = as_bytes(context, "context")
    return known, [y if type(y) is bytes else as_bytes(y, "a continuation") for y in continuations]


@dataclass(frozen=True)
class _LengthsOf:
    """The code lengths of ``compressor``, as a function. Those of equal compressors are equal, and share their fits."""

    compressor: Compressor

    def __call__(self, context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) L(context + continuation), bits."""
        return self.compressor.code_lengths(context, continuations)


def whole_stream(what: str, eof: bool, unused: bytes) -> None:
    """Check that a decoder came to the end of a blob, and that nothing follows.

    Args:
        what: names the blob in the error.
        eof: whether the decoder came to the end.
        unused: the bytes after the end.

    Raises:
        CorruptDataError: the blob is cut short, or followed by other bytes.
    """
    if not eof:
        raise CorruptDataError(f"the {what} is cut short")
    if unused:
        raise CorruptDataError(f"the {what} is followed by other bytes")


class Meter(Growing):
    """A context that grows, and the code lengths of what may follow it."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        before(cls, "extend", lambda meter, data: (as_bytes(data, "data"),))

    @abstractmethod
    def code_lengths(self, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) L(context + continuation), bits; equal to ``Compressor.code_lengths``."""

    @abstractmethod
    def extend(self, data: bytes) -> None:
        """Append ``data`` to the context."""

    @abstractmethod
    def flushed(self) -> Meter | None:
        """Copy the meter and close its open block. Returns None if the compressor has no way to close a block.

        The copy's lengths are those of an encoder that was flushed here, without the bits of the flush. Measuring a
        candidate then takes microseconds, however long the context is.
        """

    def code_values(self, continuations: Sequence[bytes]) -> list[int] | None:
        """Return the codes of context + continuation as integers with equal numbers of binary places.

        That is for an arithmetic coder which writes the low end of its final interval: the gap between the codes of two
        neighbouring continuations is the interval of the lower one. Returns None for other compressors.
        """
        return None

    @abstractmethod
    def fork(self) -> Meter:
        """Return an independent copy."""

    def _copied(self) -> Growing:
        return self.fork()


class ReplayMeter(Meter):
    """A meter that compresses the whole context again for each candidate: slow, and right for every compressor."""

    def __init__(self, compressor: Compressor, context: bytes) -> None:
        self._compressor = compressor
        self._context = context

    def code_lengths(self, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) L(context + continuation), bits, by compressing context and continuation again."""
        return self._compressor.code_lengths(self._context, continuations)

    def extend(self, data: bytes) -> None:
        """Append ``data`` to the context."""
        self._context += data

    def flushed(self) -> None:
        """Return None: the meter has no encoder state, so no block to close."""
        return

    def fork(self) -> ReplayMeter:
        """Return an independent copy."""
        return ReplayMeter(self._compressor, self._context)


def threads() -> int:
    """Return the number of threads that measure code lengths: ``COMPGEN_THREADS``, or one for each core.

    Raises:
        UsageError: ``COMPGEN_THREADS`` is set, but not to a positive whole number.
    """
    setting = os.environ.get("COMPGEN_THREADS", "")
    if not setting:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not setting.isdecimal() or int(setting) < 1:
        raise UsageError(f"COMPGEN_THREADS must be a positive whole number, not '{setting}'")
    return int(setting)


@kept
def _pool(workers: int) -> ThreadPoolExecutor:
    """Return the process's pool of so many threads."""
    return ThreadPoolExecutor(workers, thread_name_prefix="compgen-measure")


def measure(code_length: Callable[[bytes], float], continuations: Sequence[bytes], parallel: bool) -> CodeLengths:
    """Return (n,) ``code_length`` of each continuation, bits, on ``threads()`` threads if ``parallel``."""
    workers = threads() if parallel and len(continuations) > 1 else 1
    if workers == 1:
        return np.array([code_length(y) for y in continuations], dtype=np.float64)
    # Small slices, so that the threads end together and an interrupt is noticed soon.
    size = -(-len(continuations) // (_SLICES * workers))
    slices = [continuations[i : i + size] for i in range(0, len(continuations), size)]
    parts = _pool(workers).map(lambda part: [code_length(y) for y in part], slices)
    return np.array([length for part in parts for length in part], dtype=np.float64)
