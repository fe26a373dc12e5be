"""The reference forward pass: the arithmetic of ``weights.py`` in PyTorch's own operations, on any device.

The other backends are tested against it to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from compgen.neural.bytes.cache import KVCache
from compgen.neural.bytes.weights import (
    ACTIVATION_LIMIT,
    ATTENTION_ONE,
    EXP2_END,
    RESIDUAL_STEPS,
    SIGMOID_END,
    SIGMOID_STEPS,
    SMALLEST,
    VALUE_LIMIT,
    Layer,
    QuantisedWeights,
)


@contextmanager
def _float32_products() -> Iterator[None]:
    """Multiply float32 as float32, whatever torch is set to: TF32 and bfloat16 drop bits of large integers."""
    settings = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = [setting.fp32_precision for setting in settings]
    for setting in settings:
        setting.fp32_precision = "ieee"
    try:
        yield
    finally:
        for setting, precision in zip(settings, before, strict=True):
            setting.fp32_precision = precision


@dataclass(frozen=True)
class _Batch:
    """What all layers of a forward pass over (B, T) symbols share.

    Attributes:
        cache: of the rows.
        positions: (B, T) int64.
        seen: slots of the cache that attention reads.
        aligned: whether all rows stand at the same positions, the last of them in slot ``seen`` - 1.
        cos: (B, T, 1, head_width / 2) float32, for the rotary embedding.
        sin: likewise.
        masked: (B, kv_heads, group * T, seen) bool, True where a query must not see a slot; None if it may see all.
    """

    cache: KVCache
    positions: Tensor
    seen: int
    aligned: bool
    cos: Tensor
    sin: Tensor
    masked: Tensor | None


class TorchForward:
    """The forward pass over given weights."""

    def __init__(self, weights: QuantisedWeights) -> None:
        self._weights = weights
        self._group = weights.shape.heads // weights.shape.kv_heads  # query heads that share a head of keys

    @_float32_products()
    @torch.inference_mode()
    def forward(self, cache: KVCache, symbols: Tensor, positions: Tensor, seen: int, aligned: bool) -> Tensor:
        """Return (B, T, outputs) float32 logits, nats; keys and values of the symbols are written into ``cache``.

        Args:
            cache: of the symbols before.
            symbols: (B, T) int64.
            positions: (B, T) int64: where the symbols stand, and the slots of their keys and values.
            seen: slots that attention reads; all positions are below.
            aligned: whether all rows stand at the same positions, the last of them in slot ``seen`` - 1.
        """
        weights, (rows, steps) = self._weights, symbols.shape
        cos, sin = (table[positions][:, :, None] for table in (weights.cos, weights.sin))
        masked = self._masked(positions, seen) if steps > 1 or not aligned else None
        batch = _Batch(cache, positions, seen, aligned, cos, sin, masked)
        x = weights.embedding[symbols].reshape(rows * steps, -1)
        for number, layer in enumerate(weights.layers):
            x = x + self._attention(batch, number, layer, x)
            # The gated unit. Not a function: its tensors live until the next layer replaces them. Freed earlier, the C
            # library gives their memory back to the system at each layer; reading 64 rows took 1.4 times as long.
            gate, up = layer.gate_up.product(self._rms_norm(x), weights.norm_scale).chunk(2, dim=1)
            index = torch.round(gate * SIGMOID_STEPS).clamp_(-SIGMOID_END, SIGMOID_END)
            inner = gate * _looked_up(weights.sigmoid, index + SIGMOID_END) * up
            x = x + layer.down.product(*_quantised(inner))
        return weights.head.product(self._rms_norm(x), weights.norm_scale).reshape(rows, steps, -1)

    def _masked(self, positions: Tensor, seen: int) -> Tensor:
        """Return ``_Batch.masked``: a query sees the slots up to its own."""
        masked = torch.arange(seen, device=positions.device) > positions[:, :, None]
        masked = masked[:, None, None].expand(-1, self._weights.shape.kv_heads, self._group, -1, -1)
        return masked.reshape(len(positions), self._weights.shape.kv_heads, -1, seen)

    def _rms_norm(self, x: Tensor) -> Tensor:
        """Return (R, width) integers: ``x`` with a root mean square of one, in units of ``norm_scale``."""
        whole = torch.round(x * RESIDUAL_STEPS)
        squares = whole.double().square().sum(dim=1, keepdim=True)
        root = torch.floor(torch.sqrt(squares))
        # A computed square root may be off in its last bit; its square tells.
        root -= (root * root > squares).double()
        root += ((root + 1) * (root + 1) <= squares).double()
        factor = self._weights.norm_factor / root.clamp_(min=1.0)
        return torch.round(whole * factor.float()).clamp_(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)

    def _attention(self, batch: _Batch, number: int, layer: Layer, x: Tensor) -> Tensor:
        """Return (B * T, width), what the attention of layer ``number`` adds to ``x``."""
        weights, shape, (rows, steps) = self._weights, self._weights.shape, batch.positions.shape
        heads, kv_heads, width = shape.heads, shape.kv_heads, shape.head_width
        mixed = layer.query_key_value.product(self._rms_norm(x), weights.norm_scale)
        mixed = mixed.view(rows, steps, heads + 2 * kv_heads, width)
        rotated, scales = self._rotated(batch, mixed[:, :, : heads + kv_heads])
        values = torch.round(mixed[:, :, heads + kv_heads :]).clamp_(-VALUE_LIMIT, VALUE_LIMIT)
        _write(batch, number, rotated[:, :, heads:], values, scales[:, :, heads:])

        cache = batch.cache
        keys, values, key_scales = (
            part[number, :, :, : batch.seen].float() for part in (cache.keys, cache.values, cache.key_scales)
        )
        # Queries of a group, and those of all steps, attend to the same keys: (B, kv_heads, group * T, head_width).
        queries = rotated[:, :, :heads].view(rows, steps, kv_heads, -1, width).permute(0, 2, 3, 1, 4)
        queries = queries.reshape(rows, kv_heads, -1, width)
        query_scales = scales[:, :, :heads].view(rows, steps, kv_heads, -1).permute(0, 2, 3, 1)
        query_scales = query_scales.reshape(rows, kv_heads, -1, 1) * weights.score_scale
        scores = (queries @ keys.transpose(2, 3)) * query_scales * key_scales[:, :, None]
        if batch.masked is not None:
            scores.masked_fill_(batch.masked, -torch.inf)
        attended = (self._softmax(scores) @ values).view(rows, kv_heads, -1, steps, width).permute(0, 3, 1, 2, 4)
        return layer.out.product(*_quantised(attended.reshape(rows * steps, -1) / ATTENTION_ONE))

    def _rotated(self, batch: _Batch, heads: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the rotary embedding to (B, T, heads, head_width) queries and keys, and quantise each head.

        Returns:
            (B, T, heads, head_width) float32 integers up to ``key_limit``, and their (B, T, heads) scales.
        """
        one, two = heads.chunk(2, dim=3)
        rotated = torch.cat((one * batch.cos - two * batch.sin, two * batch.cos + one * batch.sin), dim=3)
        largest = rotated.abs().amax(dim=3, keepdim=True).clamp_(min=SMALLEST)
        whole = torch.round(rotated * (self._weights.key_limit / largest))
        return whole, largest[:, :, :, 0] * (1 / self._weights.key_limit)

    def _softmax(self, scores: Tensor) -> Tensor:
        """Return attention weights, in units of 1 / ATTENTION_ONE, from scores in steps of the exp2 table."""
        behind = scores.amax(dim=3, keepdim=True) - scores
        powers = _looked_up(self._weights.exp2, torch.round(behind).clamp_(max=EXP2_END))
        total = powers.sum(dim=3, keepdim=True, dtype=torch.float64)
        return torch.floor(powers * (ATTENTION_ONE / total).float()).clamp_(max=ATTENTION_ONE)


def _write(batch: _Batch, number: int, keys: Tensor, values: Tensor, key_scales: Tensor) -> None:
    """Write (B, T, kv_heads, ...) keys, values and scales of keys into layer ``number`` of the cache."""
    cache, (rows, steps) = batch.cache, batch.positions.shape
    for part, new in ((cache.keys, keys), (cache.values, values), (cache.key_scales, key_scales)):
        if batch.aligned:
            part[number, :, :, batch.seen - steps : batch.seen] = new.transpose(1, 2)
        else:
            row = torch.arange(rows, device=part.device)[:, None]
            part[number, row, :, batch.positions] = new.to(part.dtype)


def _looked_up(table: Tensor, index: Tensor) -> Tensor:
    """Return ``table[index]`` for whole numbers of any type: on a CPU, quicker than torch's own indexing."""
    return table.index_select(0, index.int().view(-1)).view(index.shape)


def _quantised(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``x``, (R, n), as float32 integers up to ACTIVATION_LIMIT, and the (R, 1) scale of each row."""
    largest = x.abs().amax(dim=1, keepdim=True).clamp_(min=SMALLEST)
    return torch.round(x * (ACTIVATION_LIMIT / largest)), largest * (1 / ACTIVATION_LIMIT)
