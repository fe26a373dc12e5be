"""The forward pass on a GPU with Triton: kernels between the int8 products, with torch's numbers in less time.

On a GPU, a step of torch's own operations is about a thousand launches, and each reads and writes all rows. Here some
ten launches a layer do the same. Operations that round are neither reordered nor fused (``enable_fp_fusion``): sums are
of integers that their type holds, and divisions and roots are those of IEEE 754.

R is the number of symbols of a forward pass, B rows times T steps. Arguments that several kernels share:

    sums           (2R, stride) int32 or int64: products of the upper halves of R rows with a matrix, then of the lower
    matrix_scales  (outputs,) float32: scales of that matrix
    halves         (2R, width) int8: upper halves of R rows, then their lower halves; written
    scales         (R,) float32: scale of each row
    x              (R, width) float32: the residual stream
    norm_factor    (1,) float64: that of the weights
    count          R
    positions      (R,) int64: of the symbols, which are also their slots
    keys           (B, kv_heads, head_width, slots) int16: of a layer of the cache
    values         (B, kv_heads, slots, head_width) int16: likewise
    key_scales     (B, kv_heads, slots) float32: likewise
    queries        (R, heads, head_width) float32: rotated and quantised
    query_scales   (R, heads) float32: times score_scale
    steps          T

A kernel works on one row of R; ``_attend`` on one row and one head of keys and values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from compgen.neural.bytes import weights as arithmetic
from compgen.neural.bytes.cache import SLOTS, KVCache
from compgen.neural.bytes.weights import Matrix, QuantisedWeights

_ATTENTION_PRODUCTS = 4096
"""Products that a block of attention holds at a time. A guess: no GPU has measured it (docs/gpu.md)."""

_TILE_OF_A_WARP = 256
"""Numbers of a row for each warp that works on it. A guess as well."""

HEAD_WIDTHS = (16, 32, 64, 128)
"""Widths of a head that the kernels take: powers of two, since Triton's ranges are."""

# Kernels read constants of a module only as Triton's own type.
_SMALLEST = tl.constexpr(arithmetic.SMALLEST)
BASE = tl.constexpr(arithmetic.BASE)
ACTIVATION_LIMIT = tl.constexpr(float(arithmetic.ACTIVATION_LIMIT))
RESIDUAL_STEPS = tl.constexpr(float(arithmetic.RESIDUAL_STEPS))
EXP2_END = tl.constexpr(float(arithmetic.EXP2_END))
SIGMOID_STEPS = tl.constexpr(float(arithmetic.SIGMOID_STEPS))
SIGMOID_END = tl.constexpr(float(arithmetic.SIGMOID_END))
ATTENTION_ONE = tl.constexpr(float(arithmetic.ATTENTION_ONE))
VALUE_LIMIT = tl.constexpr(float(arithmetic.VALUE_LIMIT))


@triton.jit
def _rint(x):
    """Round to the nearest whole number; halfway between two, to the even one."""
    large = tl.where(x < 0, -8388608.0, 8388608.0)  # 2**23: float32 has no halves from there on
    return tl.where(tl.abs(x) < 8388608.0, (x + large) - large, x)


@triton.jit
def _dequantise(sums, matrix_scales, scale, row, count, columns, stride, mask):
    """Return the float32 products of a row at ``columns``; ``scale`` is that of the row."""
    upper = tl.load(sums + row * stride + columns, mask=mask, other=0).to(tl.int64)
    lower = tl.load(sums + (count + row) * stride + columns, mask=mask, other=0).to(tl.int64)
    return (upper * BASE + lower).to(tl.float32) * (tl.load(matrix_scales + columns, mask=mask, other=0.0) * scale)


@triton.jit
def _split(whole, row, count, columns, stride, mask, halves):
    """Write the halves of a row's integers."""
    upper = _rint(whole * (1 / BASE))
    tl.store(halves + row * stride + columns, upper.to(tl.int8), mask=mask)
    tl.store(halves + (count + row) * stride + columns, (whole - upper * BASE).to(tl.int8), mask=mask)


@triton.jit
def _quantise_row(x, row, count, columns, stride, mask, halves, scales):
    """Quantise the numbers ``x`` of a row; write their halves and their scale."""
    largest = tl.maximum(tl.max(tl.abs(x), axis=0), _SMALLEST)
    tl.store(scales + row, largest * (1 / ACTIVATION_LIMIT))
    _split(_rint(x * (tl.div_rn(1.0, largest) * ACTIVATION_LIMIT)), row, count, columns, stride, mask, halves)


@triton.jit
def _rms_norm(values, x, row, count, columns, width, mask, norm_factor, halves):
    """Write ``values`` as a row of ``x``, and the halves of their RMS norm."""
    tl.store(x + row * width + columns, values, mask=mask)
    whole = _rint(values * RESIDUAL_STEPS)
    wide = whole.to(tl.float64)
    squares = tl.sum(wide * wide, axis=0)
    root = tl.floor(tl.sqrt(squares))
    root = tl.where(root * root > squares, root - 1.0, root)
    root = tl.where((root + 1.0) * (root + 1.0) <= squares, root + 1.0, root)
    factor = ((1.0 / tl.maximum(root, 1.0)) * tl.load(norm_factor)).to(tl.float32)
    whole = tl.minimum(tl.maximum(_rint(whole * factor), -ACTIVATION_LIMIT), ACTIVATION_LIMIT)
    _split(whole, row, count, columns, width, mask, halves)


@triton.jit(do_not_specialize=["count"])
def _embed(symbols, embedding, x, norm_factor, halves, count, width: tl.constexpr, TILE: tl.constexpr):
    """Write a symbol's embedding as a row of ``x``, and the halves of its RMS norm.

    ``symbols`` is (R,) int64 and ``embedding`` (symbols, width) float32; TILE is a power of two that holds ``width``.
    """
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, TILE)
    mask = columns < width
    values = tl.load(embedding + tl.load(symbols + row) * width + columns, mask=mask, other=0.0)
    _rms_norm(values, x, row, count, columns, width, mask, norm_factor, halves)


@triton.jit(do_not_specialize=["count"])
def _add(
    sums,
    matrix_scales,
    scales,
    x,
    norm_factor,
    halves,
    count,
    stride: tl.constexpr,
    width: tl.constexpr,
    TILE: tl.constexpr,
):
    """Add the products of a row to ``x``, and write the halves of the RMS norm of the sum."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, TILE)
    mask = columns < width
    values = tl.load(x + row * width + columns, mask=mask, other=0.0)
    values += _dequantise(sums, matrix_scales, tl.load(scales + row), row, count, columns, stride, mask)
    _rms_norm(values, x, row, count, columns, width, mask, norm_factor, halves)


@triton.jit(do_not_specialize=["count", "steps"])
def _rotate(
    sums,
    matrix_scales,
    positions,
    cos,
    sin,
    queries,
    query_scales,
    keys,
    values,
    key_scales,
    count,
    steps,
    slots,
    stride: tl.constexpr,
    NORM_SCALE: tl.constexpr,
    heads: tl.constexpr,
    kv_heads: tl.constexpr,
    head_width: tl.constexpr,
    KEY_LIMIT: tl.constexpr,
    SCORE_SCALE: tl.constexpr,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
):
    """Apply the rotary embedding to a row's queries and keys and quantise them; write keys and values into the cache.

    ``sums`` has ``heads`` queries, ``kv_heads`` keys and as many values; ``cos`` and ``sin`` are (positions,
    head_width / 2) float32. HEADS is the power of two that holds the queries and keys, KV_HEADS one for the values.
    """
    row = tl.program_id(0).to(tl.int64)
    place = tl.load(positions + row)
    memory = row // steps * kv_heads  # the first head of the row in the cache
    head = tl.arange(0, HEADS)[:, None]
    half = tl.arange(0, head_width // 2)[None, :]
    mask = head < heads + kv_heads
    first = head * head_width + half
    second = first + head_width // 2
    one = _dequantise(sums, matrix_scales, NORM_SCALE, row, count, first, stride, mask)
    two = _dequantise(sums, matrix_scales, NORM_SCALE, row, count, second, stride, mask)
    c = tl.load(cos + place * (head_width // 2) + half)
    s = tl.load(sin + place * (head_width // 2) + half)
    upper = one * c - two * s
    lower = two * c + one * s
    largest = tl.maximum(tl.max(tl.maximum(tl.abs(upper), tl.abs(lower)), axis=1), _SMALLEST)
    factor = (tl.div_rn(1.0, largest) * KEY_LIMIT)[:, None]
    upper = _rint(upper * factor)
    lower = _rint(lower * factor)
    scale = largest * (1 / KEY_LIMIT)

    is_query = mask & (head < heads)
    tl.store(queries + row * (heads * head_width) + first, upper, mask=is_query)
    tl.store(queries + row * (heads * head_width) + second, lower, mask=is_query)
    flat = tl.arange(0, HEADS)
    tl.store(query_scales + row * heads + flat, scale * SCORE_SCALE, mask=flat < heads)
    is_key = mask & (head >= heads)
    key = keys + ((memory + head - heads) * head_width + half) * slots + place
    tl.store(key, upper.to(tl.int16), mask=is_key)
    tl.store(key + (head_width // 2) * slots, lower.to(tl.int16), mask=is_key)
    is_key = (flat >= heads) & (flat < heads + kv_heads)
    tl.store(key_scales + (memory + flat - heads) * slots + place, scale, mask=is_key)

    group = tl.arange(0, KV_HEADS)[:, None]
    column = tl.arange(0, head_width)[None, :]
    mask = group < kv_heads
    source = (heads + kv_heads + group) * head_width + column
    value = _rint(_dequantise(sums, matrix_scales, NORM_SCALE, row, count, source, stride, mask))
    value = tl.minimum(tl.maximum(value, -VALUE_LIMIT), VALUE_LIMIT)
    tl.store(values + ((memory + group) * slots + place) * head_width + column, value.to(tl.int16), mask=mask)


@triton.jit
def _powers(scores, most, exp2):
    """Return entries of the exp2 table for scores, in steps of the table, beside the largest of each query."""
    return tl.load(exp2 + tl.minimum(_rint(most[:, None] - scores), EXP2_END).to(tl.int32))


@triton.jit(do_not_specialize=["steps"])
def _attend(
    queries,
    query_scales,
    positions,
    exp2,
    keys,
    values,
    key_scales,
    scores,
    attended,
    steps,
    slots,
    kv_heads: tl.constexpr,
    group: tl.constexpr,
    head_width: tl.constexpr,
    GROUP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write what the queries of a row attend to, those of the group that shares one head of keys and values.

    ``scores``, (R, heads, slots) float32, keeps the scores from one pass over the slots to the next, and ``attended``,
    (R, heads, head_width) float32, is the result. ``group`` queries are held in a power of two, GROUP. Slots are read
    in whole blocks of BLOCK; those beyond the symbol's own get no attention.
    """
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    place = tl.load(positions + row).to(tl.int32)
    memory = row // steps * kv_heads + head
    member, column, slot = tl.arange(0, GROUP), tl.arange(0, head_width), tl.arange(0, BLOCK)
    asked = row * (kv_heads * group) + head * group + member
    is_query = (member < group)[:, None]
    places = asked[:, None] * head_width + column[None, :]
    query = tl.load(queries + places, mask=is_query, other=0.0)
    query_scale = tl.load(query_scales + asked, mask=member < group, other=0.0)
    keys += memory * head_width * slots + column[:, None] * slots + slot[None, :]
    values += memory * slots * head_width + slot[:, None] * head_width + column[None, :]
    key_scales += memory * slots + slot
    scores += asked[:, None] * slots + slot[None, :]

    most = tl.full((GROUP,), float("-inf"), tl.float32)
    for begin in range(0, place + 1, BLOCK):
        product = tl.sum(query[:, :, None] * tl.load(keys + begin).to(tl.float32)[None, :, :], axis=1)
        score = product * query_scale[:, None] * tl.load(key_scales + begin)[None, :]
        score = tl.where((begin + slot <= place)[None, :], score, float("-inf"))
        tl.store(scores + begin, score, mask=is_query)
        most = tl.maximum(most, tl.max(score, axis=1))
    tl.debug_barrier()  # threads may read what others have written
    total = tl.zeros((GROUP,), tl.int64)
    for begin in range(0, place + 1, BLOCK):
        score = tl.load(scores + begin, mask=is_query, other=0.0)
        total += tl.sum(_powers(score, most, exp2).to(tl.int64), axis=1)
    factor = ((1.0 / total.to(tl.float64)) * ATTENTION_ONE).to(tl.float32)
    found = tl.zeros((GROUP, head_width), tl.float32)
    for begin in range(0, place + 1, BLOCK):
        score = tl.load(scores + begin, mask=is_query, other=0.0)
        weight = tl.minimum(tl.floor(_powers(score, most, exp2) * factor[:, None]), ATTENTION_ONE)
        value = tl.load(values + begin * head_width).to(tl.float32)
        found += tl.sum(weight[:, :, None] * value[None, :, :], axis=1)
    tl.store(attended + places, found * (1 / ATTENTION_ONE), mask=is_query)


@triton.jit(do_not_specialize=["count"])
def _quantise(x, halves, scales, count, width: tl.constexpr, TILE: tl.constexpr):
    """Quantise a row of ``x``; write its halves and its scale."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, TILE)
    mask = columns < width
    values = tl.load(x + row * width + columns, mask=mask, other=0.0)
    _quantise_row(values, row, count, columns, width, mask, halves, scales)


@triton.jit(do_not_specialize=["count"])
def _gate(
    sums,
    matrix_scales,
    sigmoid,
    halves,
    scales,
    count,
    stride: tl.constexpr,
    width: tl.constexpr,
    NORM_SCALE: tl.constexpr,
    TILE: tl.constexpr,
):
    """Gate a row, whose ``sums`` are (2R, 2 * width), and quantise it; write its halves and its scale."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, TILE)
    mask = columns < width
    gate = _dequantise(sums, matrix_scales, NORM_SCALE, row, count, columns, stride, mask)
    up = _dequantise(sums, matrix_scales, NORM_SCALE, row, count, width + columns, stride, mask)
    index = tl.minimum(tl.maximum(_rint(gate * SIGMOID_STEPS), -SIGMOID_END), SIGMOID_END) + SIGMOID_END
    inner = gate * tl.load(sigmoid + index.to(tl.int32)) * up
    _quantise_row(inner, row, count, columns, width, mask, halves, scales)


def _tile(width: int) -> dict[str, int]:
    """Return launch options for kernels over rows of ``width``: the power of two that holds it, and warps."""
    tile = triton.next_power_of_2(width)
    return {"width": width, "TILE": tile, "num_warps": max(1, min(16, tile // _TILE_OF_A_WARP))}


class TritonForward:
    """The forward pass over given weights, in int8, with heads of a width in HEAD_WIDTHS."""

    def __init__(self, weights: QuantisedWeights) -> None:
        shape = weights.shape
        self._weights = weights
        group = shape.heads // shape.kv_heads
        wide_group = triton.next_power_of_2(group)
        self._constants = {
            "NORM_SCALE": float(np.float32(weights.norm_scale)),
            "KEY_LIMIT": weights.key_limit,
            "SCORE_SCALE": float(np.float32(weights.score_scale)),
            "heads": shape.heads,
            "kv_heads": shape.kv_heads,
            "group": group,
            "head_width": shape.head_width,
            "HEADS": triton.next_power_of_2(shape.heads + shape.kv_heads),
            "KV_HEADS": triton.next_power_of_2(shape.kv_heads),
            "GROUP": wide_group,
            "BLOCK": max(16, min(SLOTS, _ATTENTION_PRODUCTS // (wide_group * shape.head_width))),
        }
        # A tensor, because a plain number reaches a kernel as float32.
        self._norm_factor = torch.tensor([weights.norm_factor], dtype=torch.float64, device=weights.device)

    @torch.inference_mode()
    def forward(self, cache: KVCache, symbols: Tensor, positions: Tensor) -> Tensor:
        """Return (B, T, outputs) logits, nats, of (B, T) symbols at (B, T) positions; extend the packed ``cache``."""
        weights, shape = self._weights, self._weights.shape
        rows, steps = symbols.shape
        count, attending, gating = rows * steps, shape.heads * shape.head_width, shape.inner_width
        symbols, positions = (given.reshape(-1).contiguous() for given in (symbols, positions))

        def empty(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.empty(size, dtype=dtype, device=symbols.device)

        x, scales, scores = empty(count, shape.width), empty(count), empty(count, shape.heads, cache.slots)
        queries, query_scales = empty(count, attending), empty(count, shape.heads)
        attended = empty(count, attending)
        normed, mixed, gated = (empty(2 * count, n, dtype=torch.int8) for n in (shape.width, attending, gating))

        def add(matrix: Matrix, halves: Tensor) -> None:
            sums = matrix.sums(halves)
            self._run(_add, count, sums, matrix.scales, scales, x, self._norm_factor, normed, count, sums.shape[1])

        self._run(_embed, count, symbols, weights.embedding, x, self._norm_factor, normed, count)
        for number, layer in enumerate(weights.layers):
            memory = [part[number] for part in (cache.key_columns, cache.values, cache.key_scales)]
            sums, matrix_scales = layer.query_key_value.sums(normed), layer.query_key_value.scales
            asked, rotation = (queries, query_scales), (positions, weights.cos, weights.sin)
            sizes = count, steps, cache.slots, sums.shape[1]
            self._run(_rotate, count, sums, matrix_scales, *rotation, *asked, *memory, *sizes)
            known = positions, weights.exp2, *memory, scores
            self._run(_attend, (count, shape.kv_heads), *asked, *known, attended, steps, cache.slots)
            self._run(_quantise, count, attended, mixed, scales, count, **_tile(attending))
            add(layer.out, mixed)
            sums, matrix_scales = layer.gate_up.sums(normed), layer.gate_up.scales
            given = sums, matrix_scales, weights.sigmoid, gated, scales, count, sums.shape[1]
            self._run(_gate, count, *given, **_tile(gating))
            add(layer.down, gated)
        return weights.head.dequantised(weights.head.sums(normed), weights.norm_scale).view(rows, steps, -1)

    def _run(self, kernel: Any, grid: int | tuple[int, int], *arguments: Any, **tile: int) -> None:
        """Launch a kernel with the constants that its parameters name; ``tile`` defaults to that of a row of ``x``."""
        constants = {name: self._constants[name] for name in kernel.arg_names if name in self._constants}
        if "TILE" in kernel.arg_names and not tile:
            tile = _tile(self._weights.shape.width)
        kernel[grid if isinstance(grid, tuple) else (grid,)](*arguments, enable_fp_fusion=False, **constants, **tile)
