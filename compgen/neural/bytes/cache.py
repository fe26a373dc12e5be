"""The KV cache: keys and values of the symbols that rows have read."""

from __future__ import annotations

import torch
from torch import Tensor

from compgen.neural.bytes.weights import NetworkShape
from compgen.neural.memory import room_for

SLOTS = 64
"""The slots of a packed cache are a multiple of this. Chosen: compiled code reads slots in blocks that divide it."""


class KVCache:
    """Keys and values of B rows, in ``slots`` slots: the symbol at a position lies in the slot of that number.

    Rows may stand at different positions. What lies beyond a row's position is never read.

    Attributes:
        keys: (layers, B, kv_heads, slots, head_width) integers, in float32, or in int16 if packed.
        values: of the same size and type.
        key_scales: (layers, B, kv_heads, slots) float32.
    """

    keys: Tensor
    values: Tensor
    key_scales: Tensor

    def __init__(self, shape: NetworkShape, rows: int, slots: int, device: str, *, packed: bool = False) -> None:
        """Make an empty cache.

        Args:
            shape: of the network.
            rows: B.
            slots: at least so many.
            device: where it lies.
            packed: for compiled code: in int16, and with the slots of a key's number side by side in memory.
        """
        size = (shape.layers, rows, shape.kv_heads)
        dtype = torch.int16 if packed else torch.float32
        slots = -(-slots // SLOTS) * SLOTS if packed else slots
        inner = (shape.head_width, slots) if packed else (slots, shape.head_width)
        keys = torch.zeros((*size, *inner), dtype=dtype, device=device)
        self.keys = keys.transpose(3, 4) if packed else keys
        self.values = torch.zeros((*size, slots, shape.head_width), dtype=dtype, device=device)
        self.key_scales = torch.zeros((*size, slots), device=device)

    @property
    def slots(self) -> int:
        """Symbols that a row has room for."""
        return self.key_scales.shape[3]

    @property
    def key_columns(self) -> Tensor:
        """The keys as (layers, B, kv_heads, head_width, slots); contiguous if packed."""
        return self.keys.transpose(3, 4)

    def subset(self, rows: Tensor) -> KVCache:
        """Return a cache of copies of the given rows.

        Raises:
            OutOfMemoryError: the device has no room for them.
        """
        taken = KVCache.__new__(KVCache)
        with room_for(len(rows)):
            taken.keys, taken.values, taken.key_scales = (t[:, rows] for t in (self.keys, self.values, self.key_scales))
        return taken

    def overwrite(self, rows: Tensor, other: KVCache) -> None:
        """Replace the first slots of the given rows by all slots of ``other``."""
        for mine, theirs in (
            (self.keys, other.keys),
            (self.values, other.values),
            (self.key_scales, other.key_scales),
        ):
            mine[:, rows, :, : other.slots] = theirs
