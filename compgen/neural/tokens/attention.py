"""Attention in which heads that share keys and values read them once, under any mask.

transformers' own copies keys and values for each head of a group, but where a row has a single query: in a step over a
tree of tokens, copies of a whole cache. Here the queries of a group stand side by side as those of one head.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

GROUPED = "sdpa_grouped"
"""What transformers calls it, as ``attn_implementation``."""


def grouped(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as ``sdpa`` does; transformers' interface.

    Args:
        module: the layer.
        query: of shape (batch, heads, queries, width).
        key: of shape (batch, heads of keys and values, slots, width).
        value: shaped like ``key``.
        attention_mask: (batch, 1, queries, slots), or whatever else ``sdpa`` takes.
        rest: what else transformers passes.

    Returns:
        The attended values, (batch, queries, heads, width), and None for the weights.
    """
    batch, heads, count, width = query.shape
    shared = heads // key.shape[1]
    biased = rest.get("position_bias") is not None
    # A single query it packs itself; a mask of each head's own, or a bias, is left to it.
    if shared == 1 or count == 1 or attention_mask is None or attention_mask.shape[1] > 1 or biased:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **rest)
    packed = query.reshape(batch, -1, shared * count, width)
    mask = attention_mask.repeat(1, 1, shared, 1)
    attended, _ = sdpa_attention_forward(_UNGROUPED, packed, key, value, mask, **rest)
    return attended.transpose(1, 2).reshape(batch, heads, count, -1).transpose(1, 2).contiguous(), None


_UNGROUPED = torch.nn.Module()

transformers.AttentionInterface.register(GROUPED, grouped)
transformers.AttentionMaskInterface.register(GROUPED, sdpa_mask)
