"""Rows of a byte-level language model on a GPU: logits stay there, and a step of decoding is one captured graph.

The arithmetic is that of ``quantise.py`` in torch's int64, so a GPU gives the integers that a CPU gives. A graph finds
the symbols at given points, reads them, and sums what may follow; only points and intervals cross to the host.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compgen.models.base import ALPHABET, PRECISION
from compgen.neural.bytes.state import NAT, ByteLanguageState
from compgen.neural.bytes.torch_forward import Cache, ExactLlama
from compgen.neural.cuda_graphs import Graphs, intervals, located
from compgen.neural.memory import room_for
from compgen.powers import FRACTION, exp2_table
from compgen.types import Frequencies, Symbols

_BUCKET = 64  # a graph of torch's operations attends to a multiple of so many slots


@functools.cache
def _table(device: torch.device) -> Tensor:
    return torch.from_numpy(exp2_table()).to(device)


def ends_of(logits: Tensor) -> Tensor:
    """Return (N, 256) where the intervals of the bytes end, by (N, 256) logits: sums of ``state.frequencies_of``."""
    units = torch.round(logits.double() * -NAT * (1 << FRACTION)).long()
    excess = units - units.amin(dim=1, keepdim=True)
    weights = _table(logits.device)[excess & ((1 << FRACTION) - 1)] >> (excess >> FRACTION).clamp(max=63)
    spread = (1 << PRECISION) - ALPHABET
    total = weights.sum(dim=1, keepdim=True)
    product = weights * spread
    share = torch.div(product, total, rounding_mode="floor")
    left = spread - share.sum(dim=1, keepdim=True)
    order = torch.sort(product - share * total, dim=1, descending=True, stable=True).indices
    extra = (torch.arange(ALPHABET, device=logits.device) < left).long()
    return (share.scatter_add(1, order, extra) + 1).cumsum(dim=1)


class Step:
    """A step of all rows of a cache, in buffers that stay where they are, which is what a graph needs.

    ``given`` holds (2, B) points and positions, ``ends`` what the points lie in; ``found`` holds what ``located`` gives
    and ``logits`` and ``next_ends`` what follows the symbols found.
    """

    def __init__(self, network: ExactLlama, cache: Cache, ends: Tensor, slots: int) -> None:
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
        """Return (3, B) symbols, lows and widths at ``points``; symbols are read at ``positions``."""
        self.given.copy_(torch.from_numpy(np.stack((points, positions))))
        # Kernels look at no more slots than each row has; torch's operations at as many for all.
        bucket = self._slots if self._network.kernels else _BUCKET
        seen = min(self._slots, (int(positions.max()) // bucket + 1) * bucket)
        self._graphs.run(seen, self._compute)
        return self.found.cpu().numpy()

    @torch.inference_mode()
    def _compute(self, seen: int) -> None:
        self.found.copy_(located(self.ends, self.given[0]))
        self.logits.copy_(self._network.step(self._cache, self.found[0], self.given[1], seen)[:, :ALPHABET])
        self.next_ends.copy_(ends_of(self.logits))


class DeviceLanguageState(ByteLanguageState):
    """Rows whose distributions stay on the device until someone asks for all of them."""

    _ends: Tensor | None = None  # of the distributions of now
    _step: Step | None = None
    _ahead: Symbols | None = None  # what the step has read already

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies; errors as in ``extend``."""
        if self._frequencies is None:
            self._frequencies = np.diff(self._ends_now().cpu().numpy(), axis=1, prepend=0)
        return self._frequencies

    def intervals(self, symbols: Symbols) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (low, frequency), (B,) each: where each row's symbol lies."""
        low, width = intervals(self._ends_now(), self._there(symbols)[:, None])
        return low.cpu().numpy(), width.cpu().numpy()

    def locate(self, points: NDArray[np.int64]) -> tuple[Symbols, NDArray[np.int64], NDArray[np.int64]]:
        """Return (symbols, low, frequency), (B,) each; the symbols are read at once, since they mostly follow.

        Raises:
            OutOfMemoryError: the device has no room for it.
        """
        with room_for(self.rows):
            if (self._lengths + 1 < 2 * self._reach).all():
                if self._step is None:
                    self._step = Step(self._network, self._cache, self._ends_now(), 2 * self._reach)
                self._step.ends.copy_(self._ends_now())
                found = self._step.run(points, self._lengths + 1)
                self._ahead = found[0].astype(np.uint8)
            else:
                found = located(self._ends_now(), torch.from_numpy(points).to(self._network.device)).cpu().numpy()
        return found[0].astype(np.uint8), found[1], found[2]

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row: what ``locate`` found has been read already.

        Raises:
            OutOfMemoryError: the device has no room for it.
        """
        if self._step is None or self._ahead is None or not np.array_equal(symbols, self._ahead):
            super().extend(symbols)
            return
        self._windows[np.arange(self.rows), self._lengths] = symbols
        self._lengths = self._lengths + 1
        with room_for(self.rows):
            self._logits = self._step.logits.clone()
            self._ends = self._step.next_ends.clone()
        self._ahead = self._frequencies = None

    def _append(self, symbols: NDArray[np.uint8]) -> Tensor:
        self._ends = self._ahead = None
        return super()._append(symbols)

    def _ends_now(self) -> Tensor:
        if self._ends is None:
            with room_for(self.rows):
                self._ends = ends_of(self._logits)
        return self._ends

    def _there(self, symbols: Symbols) -> Tensor:
        return torch.from_numpy(symbols.astype(np.int64)).to(self._network.device)

    def _places(self, logits: Tensor, symbols: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        low, width = intervals(ends_of(logits), self._there(symbols)[:, None])
        return low.cpu().numpy(), width.cpu().numpy()
