"""Causal attention in blocks of queries, for training on a CPU.

There PyTorch's own kernel is slower with narrow heads in bfloat16, by a third, or twice where torch compiles the
network (docs/log.md, "training on two cores").
"""

from __future__ import annotations

from typing import Any

import torch
import transformers

BLOCKS = "causal_blocks"
"""What transformers calls it, as ``attn_implementation``."""

_BLOCK = 128  # queries that look at their keys together


def causal_blocks(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """Attend from every position to itself and all before it; transformers' interface, without mask and cache.

    Args:
        module: the layer, not used.
        query: of shape (batch, heads, positions, width).
        key: of shape (batch, heads of keys and values, positions, width).
        value: shaped like ``key``.
        attention_mask: must be None.
        scaling: of the products of queries and keys.
        rest: what else transformers passes, not used.

    Returns:
        The attended values, (batch, positions, heads, width), and None for the weights.
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
        later = torch.ones(end - begin, end, dtype=torch.bool, device=query.device).triu(begin + 1)
        weights = scores.masked_fill(later, float("-inf")).softmax(dim=-1)
        attended.append(weights.to(query.dtype) @ value[:, :, :end])
    return torch.cat(attended, dim=2).transpose(1, 2), None


transformers.AttentionInterface.register(BLOCKS, causal_blocks)
