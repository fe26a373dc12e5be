"""The model contract: sequences in lockstep, and the distribution of the next byte of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.errors import CorruptDataError
from compgen.jit import WIDE, compiled
from compgen.media.layout import Layout
from compgen.registry import Configured
from compgen.types import Frequencies, Log2Probs, Rows, Symbols

ALPHABET = 256
PRECISION = 24
"""log2 of what the frequencies of a row sum to."""


WORTH_A_LANE = 4096
"""Bytes that a lane is worth: it begins with nothing known, which costs about 9."""

_FEW = 16  # rows whose search costs more in calls than in sums


def last_window(data: bytes, size: int) -> bytes:
    """Return the end of ``data`` that a window holds which grows to 2 * ``size`` bytes and then keeps its last half."""
    return data[size * max(0, len(data) // size - 1) :]


def find(frequencies: Frequencies, points: NDArray[np.int64]) -> tuple[Symbols, NDArray[np.int64], NDArray[np.int64]]:
    """Return (symbols, low, frequency) of the intervals that hold ``points``; see ``State.locate``."""
    kernel = compiled("find") if len(points) >= WIDE else None
    if kernel:
        symbols, low, width = np.empty(len(points), np.uint8), np.empty_like(points), np.empty_like(points)
        kernel(frequencies, points, symbols, low, width)
        return symbols, low, width
    rows = np.arange(len(points))
    if len(points) < _FEW:
        place, low, width = _find(frequencies, points, rows)
        return place.astype(np.uint8), low, width
    # First among 16 blocks of 16 bytes, then in the block: an eighth of the sums that all 256 would take.
    blocks = frequencies.reshape(len(points), 16, 16)
    block, before, _ = _find(np.einsum("ijk->ij", blocks), points, rows)
    place, low, width = _find(blocks[rows, block], points - before, rows)
    return (16 * block + place).astype(np.uint8), before + low, width


def _find(
    widths: NDArray[np.int64], points: NDArray[np.int64], rows: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64]]:
    ends = np.cumsum(widths, axis=1)
    found = (ends <= points[:, None]).sum(axis=1)
    width = widths[rows, found]
    return found, ends[rows, found] - width, width


class ByteModel(Configured, ABC):
    """A next-byte distribution for every context. Subclasses are frozen dataclasses, as compressors are."""

    @property
    def warm_up(self) -> int | None:
        """Bytes at the end of a prompt that a model which learns is extended by; None for one that does not learn.

        A start on a prompt is a fresh start without those bytes, extended by them.
        """
        return None

    @property
    def exact(self) -> bool:
        """Whether frequencies are the same on every machine and in every batch; not so where floats decide."""
        return True

    @property
    def versions(self) -> str:
        """What its distribution depends on beside its code: libraries and their versions, weights, or nothing."""
        return ""

    @property
    def parameters(self) -> int:
        """Trained weights that its decoder needs; none for a model that comes with the software."""
        return 0

    @property
    def shipped(self) -> int:
        """Bytes of these weights on disk."""
        return 0

    def behaviour(self, probe: bytes) -> bytes:
        """Return what the libraries behind the model make of ``probe``, for fingerprints; nothing by default."""
        return b""

    def lanes(self, size: int) -> int:
        """Return how many sequences side by side suit a file of ``size`` bytes: 1 where more are no quicker."""
        return 1

    def laid_out(self, layout: Layout) -> ByteModel:
        """Return it for bytes that lie so; itself by default, since most models see bytes in a line."""
        return self

    def encoding(self, data: bytes) -> list[int] | None:
        """Return the tokens that spell ``data``, for a model that can code those; None where there are none such."""
        return None

    def token_coder(self, rows: int) -> Any:
        """Return the state of ``rows`` empty prompts that codes tokens (``neural/tokens/token_state.py``).

        Raises:
            CorruptDataError: it codes bytes alone, so that a file which asks for this is damaged.
        """
        raise CorruptDataError(f"the file is damaged: it holds tokens, and '{self}' codes bytes alone")

    @abstractmethod
    def start(self, prompts: Sequence[bytes]) -> State:
        """Return a state of ``len(prompts)`` rows, each standing after its prompt."""


class State(ABC):
    """B sequences in lockstep: every array has the row as its first axis.

    The sampler, the scorer and the coder drive the same calls in the same order, and read the same
    integers; that is why what one of them does the others can follow.
    """

    @property
    @abstractmethod
    def rows(self) -> int:
        """B, the number of sequences."""

    @abstractmethod
    def frequencies(self) -> Frequencies:
        """Return (B, 256) integers >= 1, each row summing to 2**PRECISION. Pure: asking twice gives the same."""

    @abstractmethod
    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row, in place; ``symbols`` is (B,)."""

    def read(self, symbols: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return low and frequency, (T, B) each, of the T bytes that follow in each row, and extend the rows by them.

        What ``intervals`` and ``extend`` give byte by byte; a model that can look at many bytes at once is quicker.
        """
        low, width = np.empty(symbols.shape, dtype=np.int64), np.empty(symbols.shape, dtype=np.int64)
        for step, column in enumerate(symbols):
            low[step], width[step] = self.intervals(column)
            self.extend(column)
        return low, width

    @abstractmethod
    def fork(self, rows: Rows) -> State:
        """Return an independent state of the given rows: duplicated, reordered or dropped."""

    def settle(self) -> None:
        """Learn no more, in place: what follows is a sample, and a model that learns from its own samples drifts.

        Nothing by default. What is left is still a function of the bytes, but no longer that of a fresh start on them.
        """
        return

    def log2_probs(self) -> Log2Probs:
        """Return (B, 256) log2 of the frequencies' shares, bits."""
        return np.log2(self.frequencies()) - PRECISION

    def intervals(self, symbols: Symbols) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (low, frequency), (B,) each: where each row's symbol lies in [0, 2**PRECISION)."""
        frequencies = self.frequencies()
        rows = np.arange(self.rows)
        ends = np.cumsum(frequencies, axis=1)
        width = frequencies[rows, symbols]
        return ends[rows, symbols] - width, width

    def locate(self, points: NDArray[np.int64]) -> tuple[Symbols, NDArray[np.int64], NDArray[np.int64]]:
        """Return (symbols, low, frequency), (B,) each: whose interval holds each row's point in [0, 2**PRECISION)."""
        return find(self.frequencies(), points)

    def added_lengths(self, symbols: Symbols) -> NDArray[np.float64]:
        """Return (B,) bits that each row's symbol adds to the code length of its row.

        By default -log2 of its probability; a model derived from a compressor gives the compressor's
        own difference L(context + symbol) - L(context).
        """
        _, width = self.intervals(symbols)
        return PRECISION - np.log2(width)

    def code_waste(self) -> NDArray[np.float64]:
        """Return (B,) log2 of the sum of 2**-(added length) over all bytes, bits: what normalising adds.

        Zero for a model whose probabilities sum to one; for a compressor it is what its code lengths,
        read one byte ahead, miss (above zero) or leave unused (below).
        """
        return np.zeros(self.rows)
