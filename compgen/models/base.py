"""The model contract: sequences in lockstep, and the distribution of the next byte of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.arguments import as_bytes, as_prompts, before
from compgen.errors import UsageError
from compgen.growing import Growing
from compgen.jit import SMALL
from compgen.media.layout import Layout
from compgen.registry import Configured
from compgen.types import Frequencies, Log2Probs, Rows, Symbols

ALPHABET = 256

ROW = 16 << 10
"""Bytes of memory that a row takes for its distributions, whatever the model: 10 KB were measured for ``uniform``
(``benchmarks/costs.py``)."""

PRECISION = 24
"""log2 of what the frequencies of a row sum to."""

_FEW = 16
"""Rows below which one search over 256 sums is faster than two over 16: NumPy's calls then cost more than sums. Chosen;
``benchmarks/coder.py`` times the search."""


def find(frequencies: Frequencies, points: NDArray[np.int64]) -> tuple[Symbols, NDArray[np.int64], NDArray[np.int64]]:
    """Return (symbols, low, frequency), (B,) each, of the intervals that hold ``points``; see ``State.locate``.

    Args:
        frequencies: (B, 256).
        points: (B,) integers in [0, 2**PRECISION).
    """
    symbols, low, width = np.empty(len(points), np.uint8), np.empty_like(points), np.empty_like(points)
    _find(frequencies, points, symbols, low, width)
    return symbols, low, width


def _find_by_numpy(
    frequencies: Frequencies,
    points: NDArray[np.int64],
    symbols: Symbols,
    low: NDArray[np.int64],
    width: NDArray[np.int64],
) -> None:
    rows = np.arange(len(points))
    if len(points) < _FEW:
        symbols[:], low[:], width[:] = _find_in(frequencies, points, rows)
        return
    # Search among 16 blocks of 16 bytes, then inside the block: that takes an eighth of the sums of a search among 256.
    blocks = frequencies.reshape(len(points), 16, 16)
    block, before, _ = _find_in(np.einsum("ijk->ij", blocks), points, rows)
    place, inside, width[:] = _find_in(blocks[rows, block], points - before, rows)
    symbols[:], low[:] = 16 * block + place, before + inside


def _find_in(
    widths: NDArray[np.int64], points: NDArray[np.int64], rows: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64]]:
    """Return (number, low, width), (B,) each, of the intervals that hold ``points``, (B,), given (B, n) ``widths``."""
    ends = np.cumsum(widths, axis=1)
    found = (ends <= points[:, None]).sum(axis=1)
    width = widths[rows, found]
    return found, ends[rows, found] - width, width


@SMALL.loop(fallback=_find_by_numpy)
def _find(frequencies: Any, points: Any, symbols: Any, low: Any, width: Any) -> None:
    """Fill ``symbols``, ``low`` and ``width``, (B,) each, with the interval that holds each point."""
    for i in range(len(points)):
        end, symbol = frequencies[i, 0], 0
        while end <= points[i]:
            symbol += 1
            end += frequencies[i, symbol]
        symbols[i] = symbol
        width[i] = frequencies[i, symbol]
        low[i] = end - width[i]


def of_symbols(frequencies: Frequencies, symbols: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the frequencies, (T, B), of ``symbols``, (T, B), among all, (T, B, 256)."""
    found: NDArray[np.int64] = np.take_along_axis(frequencies, symbols[..., None].astype(np.intp), axis=2)[..., 0]
    return found


def _as_symbols(symbols: Any, rows: int) -> Any:
    """Return one byte for each of ``rows`` as an array of integers.

    Raises:
        UsageError: ``symbols`` is something else.
    """
    if isinstance(symbols, str | bytes | bytearray):
        symbols = np.frombuffer(as_bytes(symbols, "symbols"), dtype=np.uint8)
    elif not isinstance(symbols, np.ndarray):
        symbols = np.asarray(symbols)
        if symbols.dtype.kind in "iu" and ((symbols < 0) | (symbols >= ALPHABET)).any():
            raise UsageError("symbols must be bytes, from 0 to 255")
    if symbols.shape != (rows,) or symbols.dtype.kind not in "iu":
        raise UsageError(f"symbols must be one byte for each row, {rows} in all, not {symbols.dtype}{symbols.shape}")
    return symbols


class ByteModel(Configured, ABC):
    """A next-byte distribution for every context. Subclasses are frozen dataclasses; their fields are spec options."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        before(cls, "start", lambda model, prompts: (as_prompts(prompts),))

    @property
    def warm_up(self) -> int | None:
        """Bytes at the end of a prompt that a model learns from; None for a model that does not learn.

        ``start`` on a prompt equals ``start`` on the prompt without those bytes, extended by them.
        """
        return None

    @property
    def reproducible(self) -> bool:
        """Whether frequencies are the same on every machine and in every batch; False if floats decide them."""
        return True

    @property
    def versions(self) -> str:
        """What the distribution depends on besides compgen's own code: libraries with versions, weights; or nothing."""
        return ""

    @property
    def parameters(self) -> int:
        """The number of trained weights that a decoder needs; 0 for a model without any."""
        return 0

    @property
    def shipped(self) -> int:
        """Bytes of the trained weights on disk."""
        return 0

    @property
    def start_time(self) -> float:
        """The most seconds that a fingerprint of the model takes on an ordinary core: an estimate."""
        return 0.1

    @property
    def byte_time(self) -> float | None:
        """Seconds that a byte takes in one row without compiled loops, within a factor of two; None if not known."""
        return None

    @property
    def compiled_gain(self) -> float:
        """How many times as fast compiled loops (``jit.py``) make the model, within a factor of two; 1 if they do not.

        Measured: 4.6 to 8, of history and the calibrated rule.
        """
        return 5.0

    def memory(self, rows: int, length: int) -> int:
        """Return the bytes of memory that a state of ``rows`` rows takes at most, after ``length`` bytes in each.

        This is an estimate, rather too high than too low. By it a decoder refuses costly files (docs/format.md, "What a
        file may cost"). Libraries, and weights that rows share, are left out.
        """
        return rows * ROW

    def behaviour(self, probe: bytes) -> bytes:
        """Return what the libraries behind the model make of ``probe``, for fingerprints; nothing by default."""
        return b""

    def resolved(self, rule: str = "") -> ByteModel:
        """Return the model with every rule named that it follows; itself if it is derived from no compressor.

        Args:
            rule: for models whose spec names no rule; without it, each compressor's default.
        """
        return self

    def earlier(self) -> Sequence[ByteModel]:
        """Return the other models that the same spec may mean in older files; by default none."""
        return ()

    def laid_out(self, layout: Layout) -> ByteModel:
        """Return the model for bytes with ``layout``; by default itself, since most models see bytes in a line."""
        return self

    @abstractmethod
    def start(self, prompts: Sequence[bytes]) -> State:
        """Return a state of ``len(prompts)`` rows, each after its prompt: bytes, or text as UTF-8.

        Every implementation is given bytes.

        Raises:
            UsageError: ``prompts`` is no sequence of them.
        """


class State(Growing):
    """B sequences in lockstep: every array has the row as its first axis.

    The sampler, the scorer and the coder make the same calls in the same order and read the same integers. That is
    why a decoder follows an encoder, and why decoding random bits is sampling.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        before(cls, "extend", lambda state, symbols: (_as_symbols(symbols, state.rows),))

    @property
    @abstractmethod
    def rows(self) -> int:
        """B, the number of sequences."""

    @abstractmethod
    def frequencies(self) -> Frequencies:
        """Return (B, 256) integers >= 1, each row summing to 2**PRECISION. Two calls in a row give the same."""

    @abstractmethod
    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row, in place; ``symbols`` is (B,).

        Bytes, ASCII text and lists will do; every implementation is given an array.

        Raises:
            UsageError: they are not B bytes.
        """

    def consume(self, symbols: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Extend each row by T bytes, and return their intervals: low and frequency, (T, B) each.

        ``symbols`` is (T, B). The default calls ``intervals`` and ``extend`` byte by byte; models that can read many
        bytes at once override it.
        """
        low, width = np.empty(symbols.shape, dtype=np.int64), np.empty(symbols.shape, dtype=np.int64)
        for step, column in enumerate(symbols):
            low[step], width[step] = self.intervals(column)
            self.extend(column)
        return low, width

    def measure(self, symbols: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Extend each row by T bytes, and return their frequencies, (T, B); ``symbols`` is (T, B).

        This is for scores. A model whose floats depend on the batch may compute them in a faster batch than ``extend``
        does, so that the last bits differ. So what is coded takes the intervals of ``consume``.
        """
        return self.consume(symbols)[1]

    def read(self, symbols: NDArray[np.uint8]) -> Frequencies:
        """Extend each row by T bytes, and return all frequencies before each of them, (T, B, 256).

        ``symbols`` is (T, B). It is for scores, as ``measure``.
        """
        found = np.empty((*symbols.shape, ALPHABET), dtype=np.int64)
        for step, column in enumerate(symbols):
            found[step] = self.frequencies()
            self.extend(column)
        return found

    @abstractmethod
    def fork(self, rows: Rows) -> State:
        """Return an independent state of the given rows: duplicated, reordered or dropped."""

    def _copied(self) -> Growing:
        return self.fork(range(self.rows))

    def freeze(self) -> None:
        """Stop learning, in place; by default there is nothing to stop.

        A model that learns from its own sample drifts, so samplers freeze it first. A frozen state's distribution is
        still a function of the bytes, but not the one that a fresh start on them computes.
        """
        return

    def log2_probs(self) -> Log2Probs:
        """Return (B, 256) log2 of the probabilities, bits."""
        return np.log2(self.frequencies()) - PRECISION

    def intervals(self, symbols: Symbols) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (low, frequency), (B,) each: the interval of each row's symbol in [0, 2**PRECISION)."""
        frequencies = self.frequencies()
        rows = np.arange(self.rows)
        ends = np.cumsum(frequencies, axis=1)
        width = frequencies[rows, symbols]
        return ends[rows, symbols] - width, width

    def locate(self, points: NDArray[np.int64]) -> tuple[Symbols, NDArray[np.int64], NDArray[np.int64]]:
        """Return (symbols, low, frequency), (B,) each: the intervals that hold ``points``, (B,) below 2**PRECISION."""
        return find(self.frequencies(), points)

    def added_lengths(self, symbols: Symbols) -> NDArray[np.float64]:
        """Return (B,) bits that each row's symbol adds to the code length of its row.

        By default -log2 of the symbol's probability. A model derived from a compressor returns the compressor's own
        L(context + symbol) - L(context).
        """
        _, width = self.intervals(symbols)
        return PRECISION - np.log2(width)

    def code_waste(self) -> NDArray[np.float64]:
        """Return (B,) log2 of the sum of 2**-(added length) over all bytes, bits: what normalising adds.

        It is 0 for a model whose probabilities sum to one. For a compressor read one byte ahead it is positive where
        code lengths are too short to be a code, and negative where they waste code space.
        """
        return np.zeros(self.rows)
