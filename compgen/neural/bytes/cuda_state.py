"""States of a byte-level language model on a GPU: logits stay there, and a step of decoding is one captured graph.

The arithmetic from logits to frequencies is that of ``compgen.models.quantise``, in torch's int64, so a GPU gives the
integers that a CPU gives. A graph finds the symbols at given points, reads them, and computes the intervals of what may
follow. Points go to the device, and symbols and intervals come back; logits never cross.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compgen.models.base import ALPHABET, PRECISION
from compgen.neural.bytes.cache import KVCache
from compgen.neural.bytes.network import ByteNetwork
from compgen.neural.bytes.state import BITS_PER_NAT, ByteLanguageState
from compgen.neural.cuda_graphs import Graphs, intervals, located
from compgen.neural.memory import room_for
from compgen.powers import FRACTION, exp2_table
from compgen.types import Frequencies, Symbols

_BUCKET = 64
"""Without kernels, a graph attends to a multiple of so many slots. Chosen: fewer graphs, or fewer slots in vain."""


@functools.cache
def _exp2_table(device: torch.device) -> Tensor:
    return torch.from_numpy(exp2_table()).to(device)


def interval_ends(logits: Tensor) -> Tensor:
    """Return (N, 256) int64: where the interval of each byte ends, by (N, 256) logits, nats.

    These are the cumulative sums of ``state.frequencies_of``, computed on the logits' device.
    """
    units = torch.round(logits.double() * -BITS_PER_NAT * (1 << FRACTION)).long()
    excess = units - units.amin(dim=1, keepdim=True)
    weights = _exp2_table(logits.device)[excess & ((1 << FRACTION) - 1)] >> (excess >> FRACTION).clamp(max=63)
    spread = (1 << PRECISION) - ALPHABET
    total = weights.sum(dim=1, keepdim=True)
    product = weights * spread
    share = torch.div(product, total, rounding_mode="floor")
    left = spread - share.sum(dim=1, keepdim=True)
    order = torch.sort(product - share * total, dim=1, descending=True, stable=True).indices
    extra = (torch.arange(ALPHABET, device=logits.device) < left).long()
    return (share.scatter_add(1, order, extra) + 1).cumsum(dim=1)


class Step:
    """A step of decoding, of all B rows of a cache. Its tensors stay where they are, since graphs refer to them.

    Attributes:
        ends: (B, 256) int64, interval ends of the next byte; set before ``run``.
        given: (2, B) int64, points and positions.
        found: (3, B) int64, symbols at the points, their lows and their frequencies.
        logits: (B, 256) float32, nats, after these symbols.
        next_ends: (B, 256) int64, interval ends of the byte after these symbols.
    """

    def __init__(self, network: ByteNetwork, cache: KVCache, ends: Tensor, slots: int) -> None:
        """Make a step of the rows of ``cache``, which has ``slots`` slots; ``ends`` is as in the attribute."""
        self._network = network
        self._cache = cache
        self._slots = slots
        self._graphs = Graphs(ends.device)
        self.ends = ends.clone()
        self.given = torch.zeros((2, len(ends)), dtype=torch.int64, device=ends.device)
        self.found = torch.zeros((3, len(ends)), dtype=torch.int64, device=ends.device)
        self.logits = torch.zeros((len(ends), ALPHABET), device=ends.device)
        self.next_ends = ends.clone()

    def run(self, points: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find the symbols at (B,) points and read them at (B,) positions; return ``found``."""
        self.given.copy_(torch.from_numpy(np.stack((points, positions))))
        # Kernels read no more slots than each row has; torch's operations read as many for all rows.
        bucket = self._slots if self._network.kernels else _BUCKET
        seen = min(self._slots, (int(positions.max()) // bucket + 1) * bucket)
        self._graphs.run(seen, self._compute)
        return self.found.cpu().numpy()

    @torch.inference_mode()
    def _compute(self, seen: int) -> None:
        self.found.copy_(located(self.ends, self.given[0]))
        self.logits.copy_(self._network.step(self._cache, self.found[0], self.given[1], seen)[:, :ALPHABET])
        self.next_ends.copy_(interval_ends(self.logits))


class DeviceLanguageState(ByteLanguageState):
    """Rows whose distributions stay on the device until someone asks for all frequencies."""

    _ends: Tensor | None = None  # interval ends of the next byte; None if not computed yet
    _step: Step | None = None  # made at the first ``locate``
    _read_ahead: Symbols | None = None  # (B,) symbols that the step has read, before ``extend`` appends them

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies; errors as in ``extend``."""
        if self._frequencies is None:
            self._frequencies = np.diff(self._current_ends().cpu().numpy(), axis=1, prepend=0)
        return self._frequencies

    def intervals(self, symbols: Symbols) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (low, frequency), (B,) each, of each row's symbol."""
        low, width = intervals(self._current_ends(), self._on_device(symbols)[:, None])
        return low.cpu().numpy(), width.cpu().numpy()

    def locate(self, points: NDArray[np.int64]) -> tuple[Symbols, NDArray[np.int64], NDArray[np.int64]]:
        """Return (symbols, low, frequency), (B,) each. The symbols are read ahead: most callers append them next.

        Raises:
            OutOfMemoryError: the device has no room for it.
        """
        with room_for(self.rows):
            if (self._lengths + 1 < self._window.limit).all():
                if self._step is None:
                    self._step = Step(self._network, self._cache, self._current_ends(), self._window.limit)
                self._step.ends.copy_(self._current_ends())
                found = self._step.run(points, self._lengths + 1)
                self._read_ahead = found[0].astype(np.uint8)
            else:
                there = torch.from_numpy(points).to(self._network.device)
                found = located(self._current_ends(), there).cpu().numpy()
        return found[0].astype(np.uint8), found[1], found[2]

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row; what ``locate`` found has been read already.

        Raises:
            OutOfMemoryError: the device has no room for it.
        """
        if self._step is None or self._read_ahead is None or not np.array_equal(symbols, self._read_ahead):
            super().extend(symbols)
            return
        self._texts[np.arange(self.rows), self._lengths] = symbols
        self._lengths = self._lengths + 1
        with room_for(self.rows):
            self._logits = self._step.logits.clone()
            self._ends = self._step.next_ends.clone()
        self._read_ahead = self._frequencies = None

    def _append(self, symbols: NDArray[np.uint8]) -> Tensor:
        self._ends = self._read_ahead = None
        return super()._append(symbols)

    def _current_ends(self) -> Tensor:
        if self._ends is None:
            with room_for(self.rows):
                self._ends = interval_ends(self._logits)
        return self._ends

    def _on_device(self, symbols: Symbols) -> Tensor:
        return torch.from_numpy(symbols.astype(np.int64)).to(self._network.device)

    def _intervals_of(self, logits: Tensor, symbols: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        low, width = intervals(interval_ends(logits), self._on_device(symbols)[:, None])
        return low.cpu().numpy(), width.cpu().numpy()
