"""A KV cache for trees of tokens: every row writes every token to a slot of its choice; see ``engine.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import Cache, CacheLayerMixin

from compgen.neural.memory import room_for

BLOCK = 64
"""Slots: a cache has a multiple of this number. Chosen: few copies while it grows, few empty slots to attend over."""


class LayerCache(CacheLayerMixin):
    """Keys and values of one layer: two buffers, (rows, key heads, slots, width) each."""

    def __init__(self, rows: int, slots: int, buffers: tuple[torch.Tensor, ...] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows = rows
        self.slots = slots
        self.buffers = buffers  # none before the first tokens: their keys and values show heads, width and type
        self.write_slots: torch.Tensor  # (rows, T): where ``update`` writes

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Make empty buffers for states like these, (rows, key heads, any number, width)."""
        self.buffers = tuple(
            states.new_zeros(self.rows, states.shape[1], self.slots, states.shape[3])
            for states in (key_states, value_states)
        )

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write (rows, key heads, T, width) keys and values to ``write_slots``; return the buffers."""
        if not self.buffers:
            self.lazy_initialization(key_states, value_states)
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer.scatter_(2, self.write_slots[:, None, :, None].expand_as(states), states)
        return self.buffers[0], self.buffers[1]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the number of slots that a mask covers, and the first of them."""
        return self.slots, 0

    def get_seq_length(self) -> int:
        """Return 0: callers give positions, so transformers need not count tokens."""
        return 0

    def get_max_length(self) -> int:
        """Return -1: no limit."""
        return -1

    get_max_cache_shape = get_max_length  # the name in transformers before 5.13

    def grow(self, slots: int) -> None:
        """Append empty slots, up to ``slots`` of them."""
        self.buffers = tuple(torch.nn.functional.pad(b, (0, 0, 0, slots - self.slots)) for b in self.buffers)
        self.slots = slots

    def overwrite(self, rows: torch.Tensor, other: LayerCache) -> None:
        """Write the rows of ``other`` over ``rows``, (k,); ``other`` has k rows and no more slots than this layer."""
        if other.buffers and not self.buffers:
            self.lazy_initialization(other.buffers[0], other.buffers[1])
        for buffer, source in zip(self.buffers, other.buffers, strict=False):
            buffer[rows, :, : other.slots] = source

    def fork(self, rows: torch.Tensor) -> LayerCache:
        """Return an independent layer of ``rows``, (k,)."""
        buffers = tuple(buffer.index_select(0, rows.to(buffer.device)) for buffer in self.buffers)
        return LayerCache(len(rows), self.slots, buffers)


class TreeCache(Cache):
    """The KV cache of B rows: in each row a tree of tokens, every token in a slot of its own."""

    def __init__(self, layers: list[LayerCache], positions: torch.Tensor) -> None:
        """Cache the keys and values of ``layers``, which have equal numbers of rows and slots.

        ``positions`` is (rows, slots) int64: the position in its text of the token in each slot.
        """
        super().__init__(layers=[*layers])
        self._layers = layers
        self.positions = positions

    @property
    def slots(self) -> int:
        """Slots of each row."""
        return self._layers[0].slots

    def reserve(self, slots: int) -> None:
        """Grow to at least ``slots`` slots a row; the contents stay."""
        if slots > self.slots:
            with room_for(self._layers[0].rows):
                slots = -(-slots // BLOCK) * BLOCK
                self.positions = torch.nn.functional.pad(self.positions, (0, slots - self.slots))
                for layer in self._layers:
                    layer.grow(slots)

    def write_to(self, slots: torch.Tensor, positions: torch.Tensor) -> None:
        """Set the (B, T) slots that the next forward writes its tokens to, and the (B, T) positions of these."""
        self.positions.scatter_(1, slots, positions)
        for layer in self._layers:
            layer.write_slots = slots

    def overwrite(self, rows: NDArray[np.int64], other: TreeCache) -> None:
        """Write the k rows of ``other`` over ``rows``, (k,)."""
        self.reserve(other.slots)
        self.positions[torch.from_numpy(rows).to(self.positions.device), : other.slots] = other.positions
        for layer, source in zip(self._layers, other._layers, strict=True):
            layer.overwrite(torch.from_numpy(rows), source)

    def fork(self, rows: NDArray[np.int64]) -> TreeCache:
        """Return an independent cache of ``rows``, (k,)."""
        with room_for(len(rows)):
            chosen = torch.from_numpy(rows)
            positions = self.positions.index_select(0, chosen.to(self.positions.device))
            return TreeCache([layer.fork(chosen) for layer in self._layers], positions)
