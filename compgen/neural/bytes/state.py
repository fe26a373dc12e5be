"""States of a byte-level language model: a start symbol, then the bytes of a row's window.

A window grows to 2N bytes and then starts again with its last N, as those of other models do; only then is anything
computed twice. The network gives a symbol the same logits whatever else is computed with it, so known bytes are read
many at once: coding reads them so, and is faster than decoding can be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compgen.models.base import ALPHABET, State
from compgen.models.quantise import frequencies_from_lengths
from compgen.models.window import Window
from compgen.neural.bytes.torch_forward import Cache, ExactLlama
from compgen.neural.memory import room_for
from compgen.types import Frequencies, Rows, Symbols

START = 256
"""The symbol before the first byte."""

# Symbols that are computed together: over all rows on a CPU, whose caches the scores of attention should fit; of any
# one row; and over all rows on another device, where nothing has been measured (docs/gpu.md).
_AT_ONCE, _OF_A_ROW, _ON_A_DEVICE = 512, 256, 1 << 15
NAT = 1 / math.log(2)  # bits


class ByteLanguageState(State):
    """Rows of windows, the keys and values of their symbols, and the logits after the last of each."""

    def __init__(
        self,
        network: ExactLlama,
        reach: int,
        cache: Cache,
        windows: NDArray[np.uint8],
        lengths: NDArray[np.int64],
        logits: Tensor,
    ) -> None:
        """See ``start``.

        Args:
            network: the model.
            reach: N, bytes.
            cache: of the rows, with 2N slots: the last byte of a full window is never looked back at.
            windows: (B, 2N) the bytes of each row's window.
            lengths: (B,) how many they are, under 2N.
            logits: (B, 256) of the byte that follows, nats; where the network is.
        """
        self._network = network
        self._reach = reach
        self._cache = cache
        self._windows = windows
        self._lengths = lengths
        self._logits = logits
        self._frequencies: Frequencies | None = None

    @classmethod
    def start(cls, network: ExactLlama, reach: int, prompts: Sequence[bytes]) -> ByteLanguageState:
        """Return a state after ``prompts``; equal ones are read once."""
        different = {prompt: row for row, prompt in enumerate(dict.fromkeys(prompts))}
        size = len(different)
        state = cls(
            network,
            reach,
            network.cache(size, 2 * reach),
            np.zeros((size, 2 * reach), dtype=np.uint8),
            np.zeros(size, dtype=np.int64),
            torch.zeros((size, ALPHABET), device=network.device),
        )
        windows = [Window(reach).visible(prompt) for prompt in different]
        for length in {len(window) for window in windows}:
            rows = np.flatnonzero([len(window) == length for window in windows])
            together = b"".join(windows[row] for row in rows)
            state._open(rows, np.frombuffer(together, dtype=np.uint8).reshape(len(rows), length))
        if len(different) == len(prompts):
            return state
        return state.fork([different[prompt] for prompt in prompts])

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._lengths)

    @property
    def _at_once(self) -> int:
        return _AT_ONCE if self._network.device == "cpu" else _ON_A_DEVICE

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies: those of the start symbol and of the end are not among them."""
        if self._frequencies is None:
            self._frequencies = frequencies_of(self._logits)
        return self._frequencies

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row.

        Raises:
            OutOfMemoryError: the device has no room for it.
        """
        with room_for(self.rows):
            self._append(symbols[None])

    def consume(self, symbols: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (T, B) low and frequency of the bytes that follow in each row, and extend the rows by them."""
        shape = symbols.shape
        low, width = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64)
        done = 0
        while done < len(symbols):
            room = 2 * self._reach - int(self._lengths.max(initial=0))
            count = max(1, min(len(symbols) - done, room, _OF_A_ROW, self._at_once // max(1, self.rows)))
            part = symbols[done : done + count]
            with room_for(self.rows):
                logits = self._append(part).reshape(-1, ALPHABET)
                found = self._places(logits, part.reshape(-1))
            low[done : done + count], width[done : done + count] = (x.reshape(part.shape) for x in found)
            done += count
        return low, width

    def fork(self, rows: Rows) -> Self:
        """Return a state of the given rows."""
        chosen = np.asarray(rows, dtype=np.intp)
        there = torch.from_numpy(chosen).to(self._network.device)
        arrays = self._windows[chosen], self._lengths[chosen], self._logits[there]
        return type(self)(self._network, self._reach, self._cache.take(there), *arrays)

    def _places(self, logits: Tensor, symbols: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return low and frequency, (N,) each, of N symbols by (N, 256) logits."""
        frequencies = frequencies_of(logits)
        places = np.arange(len(symbols)), symbols
        width = frequencies[places]
        return np.cumsum(frequencies, axis=1)[places] - width, width

    def _append(self, symbols: NDArray[np.uint8]) -> Tensor:
        """Append (T, B) bytes, no more than a window has room for; return the (T, B, 256) logits of each of them."""
        count = len(symbols)
        places = self._lengths[:, None] + np.arange(count)
        self._windows[np.arange(self.rows)[:, None], places] = symbols.T
        # A window that is full is read anew, and its last byte is not looked back at.
        begin = self._lengths + 1
        self._lengths = self._lengths + count
        full = self._lengths == 2 * self._reach
        inside = count - 1 if full.any() else count
        logits = [self._logits[None]]
        if inside:
            found = self._forward(self._cache, symbols[:inside].T, begin).transpose(0, 1)
            logits.append(found[: count - 1])
            self._logits = found[-1]
        if inside < count:
            self._finish(symbols[-1], full)
        self._frequencies = None
        return torch.cat(logits)

    def _forward(self, cache: Cache, symbols: NDArray[np.integer], begin: NDArray[np.int64]) -> Tensor:
        """Return the (B, T, 256) logits that follow (B, T) symbols from the (B,) positions ``begin`` on."""
        there = torch.from_numpy(symbols.astype(np.int64)).to(self._network.device)
        return self._network.forward(cache, there, begin)[:, :, :ALPHABET]

    def _finish(self, last: Symbols, full: NDArray[np.bool_]) -> None:
        """Take in the last byte where some windows are full: those start again with their last half."""
        self._logits = self._logits.clone()
        others = np.flatnonzero(~full)
        if len(others):
            rest = torch.from_numpy(others).to(self._network.device)
            cache = self._cache.take(rest)
            self._logits[rest] = self._forward(cache, last[others, None], self._lengths[others])[:, 0]
            self._cache.put(rest, cache)
        rows = np.flatnonzero(full)
        self._open(rows, self._windows[rows, self._reach :])

    def _open(self, rows: NDArray[np.intp], windows: NDArray[np.uint8]) -> None:
        """Start the given rows with (R, n) bytes, n under 2N."""
        length = windows.shape[1]
        self._windows[rows, :length] = windows
        self._lengths[rows] = length
        size = max(1, self._at_once // (length + 1))
        for begin in range(0, len(rows), size):
            some = slice(begin, begin + size)
            symbols = np.concatenate([np.full((len(rows[some]), 1), START), windows[some]], axis=1)
            cache = self._network.cache(len(symbols), length + 1)
            there = torch.from_numpy(rows[some]).to(self._network.device)
            self._logits[there] = self._forward(cache, symbols, np.zeros(len(symbols), dtype=np.int64))[:, -1]
            self._cache.put(there, cache)


def frequencies_of(logits: Tensor) -> Frequencies:
    """Return (N, 256) frequencies of (N, 256) logits, nats, on a CPU."""
    return frequencies_from_lengths(logits.numpy().astype(np.float64) * -NAT)
