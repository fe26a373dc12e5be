"""Grouped-query attention (GQA, arXiv 2305.13245) under an attention mask, without copies of keys and values.

In grouped-query attention several query heads share one head of keys and values. transformers' ``sdpa`` attention
copies keys and values once for each query head, unless a row has a single query. A step over a tree of tokens has one
to three queries a row, so it would copy the whole KV cache in every layer. Here the queries of all heads in a group are
placed one after another, as queries of a single head.

PyTorch can do this itself: ``scaled_dot_product_attention(..., enable_gqa=True)``. It is slower on a CPU. Milliseconds
for one layer with 64 rows, 9 query heads over 3 key heads of width 64, and 256 slots, under a mask, on one thread of an
AMD EPYC (torch 2.13, transformers 5.24, the least of 30 runs, two other processes on the machine, 2026-11-29):

======== ============== ==== ========== ====
queries  type           here enable_gqa sdpa
======== ============== ==== ========== ====
1        float32         3.0        2.9  2.9
1        bfloat16        3.2       27.6  3.2
2        float32         4.5        8.7 78.7
2        bfloat16        3.4        6.1 17.1
3        float32         9.0       10.4 78.5
3        bfloat16        4.0       12.6 23.0
64       float32        42.1       55.3  141
======== ============== ==== ========== ====

Its sums also run in another order: results differ in the last bits, so files would no longer decode.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

GROUPED = "sdpa_grouped"
"""The name under which transformers knows this attention, as a model's ``attn_implementation``. Chosen here."""


def grouped_query_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as transformers' ``sdpa_attention_forward`` does; the signature is transformers' attention interface.

    Args:
        module: the attention layer.
        query: (B, heads, T, width).
        key: (B, key heads, slots, width); ``heads`` is a multiple of ``key heads``.
        value: shaped like ``key``.
        attention_mask: (B, 1, T, slots): True where a query attends to a slot, or a number to add to its score.
            Other masks that ``sdpa_attention_forward`` takes are passed on to it.
        rest: further arguments that transformers passes.

    Returns:
        The attended values, (B, T, heads, width), and None in place of the attention weights.
    """
    batch, heads, count, width = query.shape
    group = heads // key.shape[1]
    biased = rest.get("position_bias") is not None
    # transformers handles a single query as we do. A mask for each head, and a bias, cannot be shared by a group.
    if group == 1 or count == 1 or attention_mask is None or attention_mask.shape[1] > 1 or biased:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **rest)
    packed = query.reshape(batch, -1, group * count, width)
    mask = attention_mask.repeat(1, 1, group, 1)
    attended, _ = sdpa_attention_forward(_UNGROUPED, packed, key, value, mask, **rest)
    return attended.transpose(1, 2).reshape(batch, heads, count, -1).transpose(1, 2).contiguous(), None


_UNGROUPED = torch.nn.Module()  # a layer without ``num_key_value_groups``: sdpa_attention_forward copies nothing

transformers.AttentionInterface.register(GROUPED, grouped_query_attention)
transformers.AttentionMaskInterface.register(GROUPED, sdpa_mask)
