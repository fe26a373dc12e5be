"""States of a byte-level language model: each row is a start symbol and the bytes of its context window.

A window that is full reopens on its last N bytes (``compgen.models.window``); only these are ever read twice. The
network gives a symbol the same logits whatever else is computed with it, so known bytes are read many at once. That is
why coding is faster than decoding.
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
from compgen.neural.bytes.cache import KVCache
from compgen.neural.bytes.network import ByteNetwork
from compgen.neural.memory import room_for
from compgen.types import Frequencies, Rows, Symbols

START = 256
"""The symbol before the first byte."""

BITS_PER_NAT = 1 / math.log(2)

_SYMBOLS_ON_CPU = 512
"""Symbols of all rows that a CPU computes together. Chosen: their attention scores should fit its caches."""

_SYMBOLS_ON_GPU = 1 << 15
"""The same on a GPU: a guess, since no GPU has measured it (docs/gpu.md)."""

_SYMBOLS_OF_A_ROW = 256
"""Symbols of one row that are computed together, for the same reason as on a CPU."""


class ByteLanguageState(State):
    """B rows: the bytes in their windows, a KV cache, and the logits after the last byte of each."""

    def __init__(
        self,
        network: ByteNetwork,
        window: Window,
        cache: KVCache,
        texts: NDArray[np.uint8],
        lengths: NDArray[np.int64],
        logits: Tensor,
    ) -> None:
        """Take the parts of a state; ``start`` makes one from prompts.

        Args:
            network: the model.
            window: the rule of the window, with N in bytes.
            cache: of the rows, with 2N slots: the start symbol takes one, and the byte that fills a window none.
            texts: (B, 2N) the bytes in each row's window.
            lengths: (B,) bytes in each row's window, under 2N.
            logits: (B, 256) of the next byte, nats, on the network's device.
        """
        self._network = network
        self._window = window
        self._cache = cache
        self._texts = texts
        self._lengths = lengths
        self._logits = logits
        self._frequencies: Frequencies | None = None

    @classmethod
    def start(cls, network: ByteNetwork, size: int, prompts: Sequence[bytes]) -> ByteLanguageState:
        """Return a state after ``prompts``, with a window of N = ``size`` bytes. Equal prompts are read once."""
        different = {prompt: row for row, prompt in enumerate(dict.fromkeys(prompts))}
        rows, window = len(different), Window(size)
        state = cls(
            network,
            window,
            network.cache(rows, window.limit),
            np.zeros((rows, window.limit), dtype=np.uint8),
            np.zeros(rows, dtype=np.int64),
            torch.zeros((rows, ALPHABET), device=network.device),
        )
        visible = [window.visible(prompt) for prompt in different]
        for length in {len(text) for text in visible}:
            alike = np.flatnonzero([len(text) == length for text in visible])
            state._open(alike, [visible[row] for row in alike])
        if rows == len(prompts):
            return state
        return state.fork([different[prompt] for prompt in prompts])

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._lengths)

    @property
    def _symbols_together(self) -> int:
        return _SYMBOLS_ON_CPU if self._network.device == "cpu" else _SYMBOLS_ON_GPU

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies. The start symbol has no share in them."""
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
        """Append (T, B) bytes to the rows; return the (T, B) low and frequency of each."""
        shape = symbols.shape
        low, width = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64)
        done = 0
        while done < len(symbols):
            room = self._window.room(int(self._lengths.max(initial=0)))
            together = min(_SYMBOLS_OF_A_ROW, self._symbols_together // max(1, self.rows))
            count = max(1, min(len(symbols) - done, room, together))
            part = symbols[done : done + count]
            with room_for(self.rows):
                logits = self._append(part).reshape(-1, ALPHABET)
                found = self._intervals_of(logits, part.reshape(-1))
            low[done : done + count], width[done : done + count] = (x.reshape(part.shape) for x in found)
            done += count
        return low, width

    def fork(self, rows: Rows) -> Self:
        """Return a state of the given rows."""
        chosen = np.asarray(rows, dtype=np.intp)
        there = torch.from_numpy(chosen).to(self._network.device)
        arrays = self._texts[chosen], self._lengths[chosen], self._logits[there]
        return type(self)(self._network, self._window, self._cache.subset(there), *arrays)

    def _intervals_of(self, logits: Tensor, symbols: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the low and frequency, (N,) each, of N symbols under (N, 256) logits."""
        frequencies = frequencies_of(logits)
        places = np.arange(len(symbols)), symbols
        width = frequencies[places]
        return np.cumsum(frequencies, axis=1)[places] - width, width

    def _append(self, symbols: NDArray[np.uint8]) -> Tensor:
        """Append (T, B) bytes, at most as many as every window has room for.

        Returns:
            The (T, B, 256) logits under which each of these bytes was next.
        """
        count = len(symbols)
        places = self._lengths[:, None] + np.arange(count)
        self._texts[np.arange(self.rows)[:, None], places] = symbols.T
        begin = self._lengths + 1  # after the start symbol
        self._lengths = self._lengths + count
        full = self._lengths >= self._window.limit
        # A full window reopens, which reads its last byte anew: the network need not read it here as well.
        inside = count - 1 if full.any() else count
        logits = [self._logits[None]]
        if inside:
            found = self._forward(self._cache, symbols[:inside].T, begin).transpose(0, 1)
            logits.append(found[: count - 1])
            self._logits = found[-1]
        if inside < count:
            self._append_and_reopen(symbols[-1], full)
        self._frequencies = None
        return torch.cat(logits)

    def _forward(self, cache: KVCache, symbols: NDArray[np.integer], begin: NDArray[np.int64]) -> Tensor:
        """Return the (B, T, 256) logits after each of (B, T) symbols, the first of each row at (B,) ``begin``."""
        there = torch.from_numpy(symbols.astype(np.int64)).to(self._network.device)
        return self._network.forward(cache, there, begin)[:, :, :ALPHABET]

    def _append_and_reopen(self, last: Symbols, full: NDArray[np.bool_]) -> None:
        """Feed ``last``, (B,), to the network in rows that are not ``full``, (B,); reopen the windows of the others."""
        self._logits = self._logits.clone()
        others = np.flatnonzero(~full)
        if len(others):
            rest = torch.from_numpy(others).to(self._network.device)
            cache = self._cache.subset(rest)
            self._logits[rest] = self._forward(cache, last[others, None], self._lengths[others])[:, 0]
            self._cache.overwrite(rest, cache)
        rows = np.flatnonzero(full)
        self._open(rows, [self._window.reopened(self._texts[row].tobytes()) for row in rows])

    def _open(self, rows: NDArray[np.intp], texts: Sequence[bytes]) -> None:
        """Start the given rows anew on texts of one length, under 2N bytes."""
        windows = np.frombuffer(b"".join(texts), dtype=np.uint8).reshape(len(rows), len(texts[0]))
        length = windows.shape[1]
        self._texts[rows, :length] = windows
        self._lengths[rows] = length
        size = max(1, self._symbols_together // (length + 1))
        for begin in range(0, len(rows), size):
            some = slice(begin, begin + size)
            symbols = np.concatenate([np.full((len(rows[some]), 1), START), windows[some]], axis=1)
            cache = self._network.cache(len(symbols), length + 1)
            there = torch.from_numpy(rows[some]).to(self._network.device)
            self._logits[there] = self._forward(cache, symbols, np.zeros(len(symbols), dtype=np.int64))[:, -1]
            self._cache.overwrite(there, cache)


def frequencies_of(logits: Tensor) -> Frequencies:
    """Return (N, 256) frequencies of (N, 256) logits, nats, on a CPU."""
    return frequencies_from_lengths(logits.numpy().astype(np.float64) * -BITS_PER_NAT)
