"""Causal attention in blocks of queries, for training on a CPU.

With narrow heads in bfloat16, PyTorch's own kernel takes a third more time there, or twice as much if torch compiles
the network (docs/log.md, "training on two cores").
"""

from __future__ import annotations

from typing import Any

import torch
import transformers

BLOCKS = "causal_blocks"
"""The name of this attention in transformers, for ``set_attn_implementation``."""

_BLOCK = 128
"""Queries that attend to their keys together. Measured in scratch: docs/log.md, "training on two cores"."""


def causal_blocks(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """Attend from every position to itself and all before it, by transformers' interface, without mask and cache.

    Args:
        module: the layer; not used.
        query: (batch, heads, positions, head_width), of any float type, as are the others.
        key: (batch, kv_heads, positions, head_width).
        value: (batch, kv_heads, positions, head_width).
        attention_mask: must be None.
        scaling: factor of the products of queries and keys.
        rest: other arguments of transformers'; not used.

    Returns:
        What the positions attend to, (batch, positions, heads, head_width), and None in place of attention weights.
    """
    assert attention_mask is None  # noqa: S101 - windows are never padded
    shared = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(shared, dim=1) for x in (key, value))
    query = query * scaling
    positions = query.shape[2]
    attended = []
    for begin in range(0, positions, _BLOCK):
        end = min(begin + _BLOCK, positions)
        scores = query[:, :, begin:end] @ key[:, :, :end].transpose(-1, -2)
        masked = torch.ones(end - begin, end, dtype=torch.bool, device=query.device).triu(begin + 1)
        weights = scores.masked_fill(masked, float("-inf")).softmax(dim=-1)
        attended.append(weights.to(query.dtype) @ value[:, :, :end])
    return torch.cat(attended, dim=2).transpose(1, 2), None


transformers.AttentionInterface.register(BLOCKS, causal_blocks)
