"""What ``torch_forward.py`` does between matrix products, as kernels that Triton compiles for a GPU: the same numbers.

On a GPU a step of torch's operations is a thousand launches, and each reads and writes all rows; here about ten a layer
do all that lies between two products. What rounds is neither reordered nor fused (``enable_fp_fusion``): sums are of
integers that their type holds, and divisions and roots are those of IEEE 754. Where Triton cannot compile, or a GPU
gives other numbers than torch gives there, torch computes.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from compgen.neural.bytes import torch_forward as llama
from compgen.neural.bytes.torch_forward import Cache

if TYPE_CHECKING:
    from compgen.neural.bytes.torch_forward import ExactLlama, Matrix

_TILE = 4096  # products that a block of attention has at hand; blocks divide the slots of a cache
_LEAST = tl.constexpr(1e-20)
HALF = tl.constexpr(llama.HALF)
MOST = tl.constexpr(float(llama.MOST))
RESIDUAL = tl.constexpr(float(llama.RESIDUAL))
DEEPEST = tl.constexpr(float(llama.DEEPEST))
SIGMOID = tl.constexpr(float(llama.SIGMOID))
SIGMOID_END = tl.constexpr(float(llama.SIGMOID_END))
SHARES = tl.constexpr(float(llama.SHARES))
VALUE = tl.constexpr(float(llama.VALUE))


@triton.jit
def _rint(x):
    """Round to the nearest whole number, to an even one between two."""
    large = tl.where(x < 0, -8388608.0, 8388608.0)  # 2**23: float32 has no halves from there on
    return tl.where(tl.abs(x) < 8388608.0, (x + large) - large, x)


@triton.jit
def _product(sums, scale, unit, row, count, columns, stride, mask):
    """Return what the products of both halves of a row's numbers stand for, float32, at ``columns``."""
    upper = tl.load(sums + row * stride + columns, mask=mask, other=0).to(tl.int64)
    lower = tl.load(sums + (count + row) * stride + columns, mask=mask, other=0).to(tl.int64)
    return (upper * HALF + lower).to(tl.float32) * (tl.load(scale + columns, mask=mask, other=0.0) * unit)


@triton.jit
def _split(whole, row, count, columns, stride, mask, halves):
    """Write the halves of a row's integers."""
    upper = _rint(whole * (1 / HALF))
    tl.store(halves + row * stride + columns, upper.to(tl.int8), mask=mask)
    tl.store(halves + (count + row) * stride + columns, (whole - upper * HALF).to(tl.int8), mask=mask)


@triton.jit
def _round(x, row, count, columns, stride, mask, halves, units):
    """Write the halves of a row in proportion to ``x``, and what one of them stands for."""
    largest = tl.maximum(tl.max(tl.abs(x), axis=0), _LEAST)
    tl.store(units + row, largest * (1 / MOST))
    _split(_rint(x * (tl.div_rn(1.0, largest) * MOST)), row, count, columns, stride, mask, halves)


@triton.jit
def _norm(values, x, row, count, columns, width, mask, unit, halves):
    """Write a row of ``x``, and its halves with a root mean square of one; ``unit`` is for that (``norm_unit``)."""
    tl.store(x + row * width + columns, values, mask=mask)
    whole = _rint(values * RESIDUAL)
    wide = whole.to(tl.float64)
    squares = tl.sum(wide * wide, axis=0)
    root = tl.floor(tl.sqrt(squares))
    root = tl.where(root * root > squares, root - 1.0, root)
    root = tl.where((root + 1.0) * (root + 1.0) <= squares, root + 1.0, root)
    factor = ((1.0 / tl.maximum(root, 1.0)) * tl.load(unit)).to(tl.float32)
    whole = tl.minimum(tl.maximum(_rint(whole * factor), -MOST), MOST)
    _split(whole, row, count, columns, width, mask, halves)


@triton.jit(do_not_specialize=["count"])
def _embed(symbols, embedding, x, unit, halves, count, width: tl.constexpr, TILE: tl.constexpr):
    """Begin ``x`` with what symbols stand for, and write the halves of its norm."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, TILE)
    mask = columns < width
    values = tl.load(embedding + tl.load(symbols + row) * width + columns, mask=mask, other=0.0)
    _norm(values, x, row, count, columns, width, mask, unit, halves)


@triton.jit(do_not_specialize=["count"])
def _add(sums, scale, units, x, unit, halves, count, stride: tl.constexpr, width: tl.constexpr, TILE: tl.constexpr):
    """Add to ``x`` what the products of rows of ``units`` stand for, and write the halves of its norm."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, TILE)
    mask = columns < width
    values = tl.load(x + row * width + columns, mask=mask, other=0.0)
    values += _product(sums, scale, tl.load(units + row), row, count, columns, stride, mask)
    _norm(values, x, row, count, columns, width, mask, unit, halves)


@triton.jit(do_not_specialize=["count", "steps"])
def _turn(
    sums,
    scale,
    positions,
    cos,
    sin,
    queries,
    weights,
    keys,
    values,
    scales,
    count,
    steps,
    slots,
    stride: tl.constexpr,
    UNIT: tl.constexpr,
    heads: tl.constexpr,
    kv: tl.constexpr,
    head_width: tl.constexpr,
    KEY: tl.constexpr,
    SCORE: tl.constexpr,
    HEADS: tl.constexpr,
    KV: tl.constexpr,
):
    """Write queries and what one of them weighs in a score; keys and values go into the cache.

    The cache is (rows, kv, head_width, slots) keys, (rows, kv, slots, head_width) values and (rows, kv, slots) scales
    of keys; ``steps`` symbols in turn belong to a row of it.
    """
    row = tl.program_id(0).to(tl.int64)
    place = tl.load(positions + row)
    memory = row // steps * kv  # where the row's heads begin in the cache
    head = tl.arange(0, HEADS)[:, None]
    half = tl.arange(0, head_width // 2)[None, :]
    mask = head < heads + kv
    first = head * head_width + half
    second = first + head_width // 2
    one = _product(sums, scale, UNIT, row, count, first, stride, mask)
    two = _product(sums, scale, UNIT, row, count, second, stride, mask)
    c = tl.load(cos + place * (head_width // 2) + half)
    s = tl.load(sin + place * (head_width // 2) + half)
    upper = one * c - two * s
    lower = two * c + one * s
    largest = tl.maximum(tl.max(tl.maximum(tl.abs(upper), tl.abs(lower)), axis=1), _LEAST)
    factor = (tl.div_rn(1.0, largest) * KEY)[:, None]
    upper = _rint(upper * factor)
    lower = _rint(lower * factor)
    unit = largest * (1 / KEY)

    asking = mask & (head < heads)
    tl.store(queries + row * (heads * head_width) + first, upper, mask=asking)
    tl.store(queries + row * (heads * head_width) + second, lower, mask=asking)
    flat = tl.arange(0, HEADS)
    tl.store(weights + row * heads + flat, unit * SCORE, mask=flat < heads)
    known = mask & (head >= heads)
    key = keys + ((memory + head - heads) * head_width + half) * slots + place
    tl.store(key, upper.to(tl.int16), mask=known)
    tl.store(key + (head_width // 2) * slots, lower.to(tl.int16), mask=known)
    tl.store(scales + (memory + flat - heads) * slots + place, unit, mask=(flat >= heads) & (flat < heads + kv))

    group = tl.arange(0, KV)[:, None]
    column = tl.arange(0, head_width)[None, :]
    mask = group < kv
    source = (heads + kv + group) * head_width + column
    value = _rint(_product(sums, scale, UNIT, row, count, source, stride, mask))
    value = tl.minimum(tl.maximum(value, -VALUE), VALUE)
    tl.store(values + ((memory + group) * slots + place) * head_width + column, value.to(tl.int16), mask=mask)


@triton.jit
def _powers(scores, most, exp2):
    """Return the weights that scores have beside the largest."""
    return tl.load(exp2 + tl.minimum(_rint(most[:, None] - scores), DEEPEST).to(tl.int32))


@triton.jit(do_not_specialize=["steps"])
def _attend(
    queries,
    weights,
    positions,
    exp2,
    keys,
    values,
    scales,
    kept,
    attended,
    steps,
    slots,
    kv: tl.constexpr,
    group: tl.constexpr,
    head_width: tl.constexpr,
    GROUP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write what the queries of a head's group attend to.

    Scores are ``kept`` in (symbols, heads, slots) of memory from one pass over them to the next. Whole blocks of slots
    are read; what lies beyond a symbol's own gets no score and no share.
    """
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    place = tl.load(positions + row).to(tl.int32)
    memory = row // steps * kv + head
    member, column, slot = tl.arange(0, GROUP), tl.arange(0, head_width), tl.arange(0, BLOCK)
    asked = row * (kv * group) + head * group + member
    here = (member < group)[:, None]
    places = asked[:, None] * head_width + column[None, :]
    query = tl.load(queries + places, mask=here, other=0.0)
    weight = tl.load(weights + asked, mask=member < group, other=0.0)
    keys += memory * head_width * slots + column[:, None] * slots + slot[None, :]
    values += memory * slots * head_width + slot[:, None] * head_width + column[None, :]
    scales += memory * slots + slot
    kept += asked[:, None] * slots + slot[None, :]

    most = tl.full((GROUP,), float("-inf"), tl.float32)
    for begin in range(0, place + 1, BLOCK):
        product = tl.sum(query[:, :, None] * tl.load(keys + begin).to(tl.float32)[None, :, :], axis=1)
        score = product * weight[:, None] * tl.load(scales + begin)[None, :]
        score = tl.where((begin + slot <= place)[None, :], score, float("-inf"))
        tl.store(kept + begin, score, mask=here)
        most = tl.maximum(most, tl.max(score, axis=1))
    tl.debug_barrier()  # threads may read what others have written
    total = tl.zeros((GROUP,), tl.int64)
    for begin in range(0, place + 1, BLOCK):
        score = tl.load(kept + begin, mask=here, other=0.0)
        total += tl.sum(_powers(score, most, exp2).to(tl.int64), axis=1)
    factor = ((1.0 / total.to(tl.float64)) * SHARES).to(tl.float32)
    found = tl.zeros((GROUP, head_width), tl.float32)
    for begin in range(0, place + 1, BLOCK):
        score = tl.load(kept + begin, mask=here, other=0.0)
        share = tl.minimum(tl.floor(_powers(score, most, exp2) * factor[:, None]), SHARES)
        value = tl.load(values + begin * head_width).to(tl.float32)
        found += tl.sum(share[:, :, None] * value[None, :, :], axis=1)
    tl.store(attended + places, found * (1 / SHARES), mask=here)


@triton.jit(do_not_specialize=["count"])
def _halve(x, halves, units, count, width: tl.constexpr, TILE: tl.constexpr):
    """Write the halves of rows, and their units."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, TILE)
    mask = columns < width
    values = tl.load(x + row * width + columns, mask=mask, other=0.0)
    _round(values, row, count, columns, width, mask, halves, units)


@triton.jit(do_not_specialize=["count"])
def _gate(
    sums,
    scale,
    sigmoid,
    halves,
    units,
    count,
    stride: tl.constexpr,
    width: tl.constexpr,
    UNIT: tl.constexpr,
    TILE: tl.constexpr,
):
    """Write the halves of gated rows, and their units."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, TILE)
    mask = columns < width
    gate = _product(sums, scale, UNIT, row, count, columns, stride, mask)
    up = _product(sums, scale, UNIT, row, count, width + columns, stride, mask)
    index = tl.minimum(tl.maximum(_rint(gate * SIGMOID), -SIGMOID_END), SIGMOID_END) + SIGMOID_END
    inner = gate * tl.load(sigmoid + index.to(tl.int32)) * up
    _round(inner, row, count, columns, width, mask, halves, units)


def _tile(width: int) -> dict[str, int]:
    """Return a row's width, the tile that holds it, and how many warps share that."""
    tile = triton.next_power_of_2(width)
    return {"width": width, "TILE": tile, "num_warps": max(1, min(16, tile // 256))}


class Kernels:
    """A network's forward by these kernels."""

    def __init__(self, network: ExactLlama) -> None:
        shape = self._shape = network.shape
        self._network = network
        group = shape.heads // shape.kv_heads
        self._constants = {
            "UNIT": float(np.float32(1 / network.unit)),
            "KEY": network.key,
            "SCORE": float(np.float32(network.score)),
            "heads": shape.heads,
            "kv": shape.kv_heads,
            "group": group,
            "head_width": shape.head_width,
            "HEADS": triton.next_power_of_2(shape.heads + shape.kv_heads),
            "KV": triton.next_power_of_2(shape.kv_heads),
            "GROUP": triton.next_power_of_2(group),
            "BLOCK": max(16, min(llama.SLOTS, _TILE // (triton.next_power_of_2(group) * shape.head_width))),
        }
        # In float64, which numbers given to kernels are not.
        self._norm_unit = torch.tensor([network.norm_unit], dtype=torch.float64, device=network.device)

    @torch.inference_mode()
    def forward(self, cache: Cache, symbols: Tensor, positions: Tensor) -> Tensor:
        """Return (B, T, symbols) logits of (B, T) symbols at (B, T) positions, which are slots of the cache."""
        network, shape = self._network, self._shape
        (rows, steps), slots = symbols.shape, cache.scales.shape[3]
        count, attending, gating = rows * steps, shape.heads * shape.head_width, network.layers[0].down.inputs
        symbols, positions = (given.reshape(-1).contiguous() for given in (symbols, positions))

        def empty(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.empty(size, dtype=dtype, device=symbols.device)

        x, units, kept = empty(count, shape.width), empty(count), empty(count, shape.heads, slots)
        queries, weights, attended = empty(count, attending), empty(count, shape.heads), empty(count, attending)
        normed, mixed, gated = (empty(2 * count, n, dtype=torch.int8) for n in (shape.width, attending, gating))

        def add(matrix: Matrix, halves: Tensor) -> None:
            sums = matrix.sums(halves)
            self._run(_add, count, sums, matrix.scale, units, x, self._norm_unit, normed, count, sums.shape[1])

        self._run(_embed, count, symbols, network.embedding, x, self._norm_unit, normed, count)
        for number, layer in enumerate(network.layers):
            memory = [part[number] for part in (cache.columns, cache.values, cache.scales)]
            sums, scale = layer.query_key_value.sums(normed), layer.query_key_value.scale
            asked, turn = (queries, weights), (positions, network.cos, network.sin)
            self._run(_turn, count, sums, scale, *turn, *asked, *memory, count, steps, slots, sums.shape[1])
            known = positions, network.exp2, *memory, kept
            self._run(_attend, (count, shape.kv_heads), *asked, *known, attended, steps, slots)
            self._run(_halve, count, attended, mixed, units, count, **_tile(attending))
            add(layer.out, mixed)
            sums, scale = layer.gate_up.sums(normed), layer.gate_up.scale
            self._run(_gate, count, sums, scale, network.sigmoid, gated, units, count, sums.shape[1], **_tile(gating))
            add(layer.down, gated)
        return network.head.scaled(network.head.sums(normed), 1 / network.unit).view(rows, steps, -1)

    def _run(self, kernel: Any, grid: int | tuple[int, int], *arguments: Any, **tile: int) -> None:
        """Launch a kernel with the constants that it has names for, and, unless given, the tile of a row of ``x``."""
        constants = {name: self._constants[name] for name in kernel.arg_names if name in self._constants}
        if "TILE" in kernel.arg_names and not tile:
            tile = _tile(self._shape.width)
        kernel[grid if isinstance(grid, tuple) else (grid,)](*arguments, enable_fp_fusion=False, **constants, **tile)


def proven(network: ExactLlama) -> Kernels | None:
    """Return a network's kernels; none, with a warning, where they do not compile or give other numbers than torch."""
    rows, steps = 3, min(network.shape.positions - 1, 150)  # more than a block of attention
    symbols = torch.from_numpy(np.random.default_rng(1).integers(256, size=(rows, steps + 1)))
    given = symbols.to(network.device)
    begin = np.zeros(rows, dtype=np.int64)
    caches = [Cache(network.shape, rows, steps + 1, network.device, packed=True) for _ in range(2)]
    places = torch.arange(steps + 1, device=network.device).expand(rows, -1)
    try:
        kernels = Kernels(network)
        for part in (slice(0, steps), slice(steps, steps + 1)):
            found = kernels.forward(caches[0], given[:, part], places[:, part])
            if not torch.equal(found, network.forward(caches[1], given[:, part], begin + part.start)):
                raise ArithmeticError("they give other numbers")
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # for want of a compiler, say
        warnings.warn(
            f"Triton's kernels do not serve here ({type(error).__name__}: {error}); torch alone takes several times as "
            "long over networks of bytes",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return kernels
