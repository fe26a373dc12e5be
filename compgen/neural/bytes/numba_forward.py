"""The forward pass on a CPU with numba: compiled loops between the int8 products, with torch's numbers in less time.

torch passes over memory once for each operation. A loop here does all that lies between two products while a row is in
the processor's cache, and threads share rows instead of operations.

Operations that round are neither reordered nor fused. Only functions marked ``_sums`` may reorder, because all that
they sum are integers that their type holds. Constants are arguments: numba keeps compiled code for as long as this file
is unchanged, and would not notice that a constant of another file changed.

Arrays of *halves* are (2R, n) int8: the upper halves of R rows, then their lower halves.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compgen.neural.bytes import weights as arithmetic
from compgen.neural.bytes.cache import KVCache
from compgen.neural.bytes.weights import Matrix, QuantisedWeights
from compgen.processes import kept

_F = np.float32
_SMALLEST = _F(1e-20)  # as in weights.py; numba notices a change of it, since it is in this file

_loop = numba.njit(cache=True, nogil=True, error_model="numpy")
_sums = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})


class Limits(NamedTuple):
    """The constants of ``weights.py`` and of a network's weights, as float32."""

    base: Any
    activation: Any
    residual_steps: Any
    key: Any
    value: Any
    score_scale: Any
    exp2_end: Any
    attention_one: Any
    sigmoid_steps: Any
    sigmoid_end: Any


class Products(NamedTuple):
    """Products of R quantised rows with a matrix, as int8 products give them.

    Attributes:
        sums: (2R, outputs or more) int32: of the upper halves of the rows, then of the lower ones.
        matrix_scales: (outputs,) float32.
        scale: float32, of all rows.
    """

    sums: Any
    matrix_scales: Any
    scale: Any


class Tables(NamedTuple):
    """Tables of ``QuantisedWeights``, float32: (positions, head_width / 2) cos and sin, (EXP2_END + 1,) exp2."""

    cos: Any
    sin: Any
    exp2: Any


class LayerCache(NamedTuple):
    """The KV cache of B rows in one layer.

    Attributes:
        keys: (B, kv_heads, head_width, slots) int16.
        values: (B, kv_heads, slots, head_width) int16.
        key_scales: (B, kv_heads, slots) float32.
    """

    keys: Any
    values: Any
    key_scales: Any


@_loop
def _joined(sums: Any, row: Any, column: Any, base: Any) -> Any:
    """Return the product of a whole activation, from those of its two halves."""
    rows = len(sums) // 2
    return _F(np.float64(sums[row, column]) * base + np.float64(sums[rows + row, column]))


@_loop
def _dequantise(products: Any, row: Any, base: Any, out: Any) -> None:
    """Fill ``out``, (n,) float32, with a row of products."""
    for j in range(len(out)):
        out[j] = _joined(products.sums, row, j, base) * (products.matrix_scales[j] * products.scale)


@_loop
def _split(whole: Any, row: Any, base: Any, halves: Any) -> None:
    """Write the halves of the integers ``whole``, (n,) float32, as a row."""
    rows = len(halves) // 2
    for j in range(len(whole)):
        upper = np.rint(whole[j] * (_F(1) / base))
        halves[row, j] = np.int8(upper)
        halves[rows + row, j] = np.int8(whole[j] - upper * base)


@_loop
def _quantise(x: Any, row: Any, limits: Any, halves: Any) -> Any:
    """Quantise ``x``, (n,) float32, write the halves as a row, and return the scale. ``x`` is overwritten."""
    largest = _SMALLEST
    for j in range(len(x)):
        largest = max(largest, abs(x[j]))
    factor = (_F(1) / largest) * limits.activation
    for j in range(len(x)):
        x[j] = np.rint(x[j] * factor)
    _split(x, row, limits.base, halves)
    return largest * _F(1 / np.float64(limits.activation))


@_sums
def _sum_of_squares(whole: Any) -> Any:
    total = 0.0
    for j in range(len(whole)):
        total += np.float64(whole[j]) * np.float64(whole[j])
    return total


@_loop
def _rms_norm(x: Any, limits: Any, norm_factor: Any, halves: Any) -> None:
    """Write the halves of the RMS norm of ``x``, (R, width) float32; ``norm_factor`` is that of the weights."""
    whole = np.empty(x.shape[1], dtype=np.float32)
    for row in range(len(x)):
        for j in range(len(whole)):
            whole[j] = np.rint(x[row, j] * limits.residual_steps)
        squares = _sum_of_squares(whole)
        root = np.floor(np.sqrt(squares))
        if root * root > squares:
            root -= 1.0
        if (root + 1.0) * (root + 1.0) <= squares:
            root += 1.0
        factor = _F((1.0 / max(root, 1.0)) * norm_factor)
        for j in range(len(whole)):
            whole[j] = min(max(np.rint(whole[j] * factor), -limits.activation), limits.activation)
        _split(whole, row, limits.base, halves)


@_loop
def _add(sums: Any, matrix_scales: Any, scales: Any, base: Any, x: Any) -> None:
    """Add products to the residual stream ``x``, (R, width) float32; the rows have (R,) ``scales`` of their own."""
    for row in range(len(x)):
        for j in range(x.shape[1]):
            x[row, j] += _joined(sums, row, j, base) * (matrix_scales[j] * scales[row])


@_loop
def _dequantise_rows(products: Any, base: Any, out: Any) -> None:
    """Fill ``out``, (R, outputs) float32, with products."""
    for row in range(len(out)):
        _dequantise(products, row, base, out[row])


@_loop
def _gate(products: Any, limits: Any, sigmoid: Any, halves: Any, scales: Any) -> None:
    """Write the halves of R gated rows, (2R, inner_width), and their (R,) scales; ``sigmoid`` is the table."""
    width = halves.shape[1]
    mixed = np.empty(2 * width, dtype=np.float32)
    index = np.empty(width, dtype=np.int32)
    for row in range(len(scales)):
        _dequantise(products, row, limits.base, mixed)
        for j in range(width):
            place = min(max(np.rint(mixed[j] * limits.sigmoid_steps), -limits.sigmoid_end), limits.sigmoid_end)
            index[j] = np.int32(place + limits.sigmoid_end)
        for j in range(width):
            mixed[j] = mixed[j] * sigmoid[np.uint32(index[j])] * mixed[width + j]
        scales[row] = _quantise(mixed[:width], row, limits, halves)


@_sums
def _query_key_products(query: Any, keys: Any, scores: Any) -> None:
    """Fill ``scores``, (seen,) float32, with the products of a query, (head_width,) float32, and the keys of a head.

    ``keys`` is (head_width, slots) int16; head_width is a multiple of eight.
    """
    scores[:] = _F(0)
    for d in range(0, len(query), 8):
        for s in range(len(scores)):
            score = scores[s]
            for e in range(8):
                score += query[d + e] * _F(keys[d + e, s])
            scores[s] = score


@_sums
def _weighted_sum(weights: Any, values: Any, total: Any) -> None:
    """Fill ``total``, (head_width,) float32, with the sum of (slots, head_width) int16 values, (seen,) weighted."""
    total[:] = _F(0)
    eights = len(weights) // 8 * 8
    for s in range(0, eights, 8):
        for d in range(len(total)):
            found = total[d]
            for e in range(8):
                found += weights[s + e] * _F(values[s + e, d])
            total[d] = found
    for s in range(eights, len(weights)):
        for d in range(len(total)):
            total[d] += weights[s] * _F(values[s, d])


@_loop
def _softmax(scores: Any, query_scale: Any, key_scales: Any, limits: Any, exp2: Any, index: Any) -> None:
    """Turn ``scores``, (seen,) float32 products of a query and keys, into attention weights of 1 / attention_one.

    ``query_scale`` is that of the query times score_scale, ``key_scales`` is (slots,) float32, ``exp2`` the table, and
    ``index``, (slots,) int32, is overwritten.
    """
    most = _F(-np.inf)
    for s in range(len(scores)):
        scores[s] = scores[s] * query_scale * key_scales[s]
    for s in range(len(scores)):
        most = max(most, scores[s])
    for s in range(len(scores)):
        index[s] = np.int32(min(np.rint(most - scores[s]), limits.exp2_end))
    total = np.int64(0)
    for s in range(len(scores)):
        scores[s] = exp2[np.uint32(index[s])]
        total += np.int64(scores[s])
    factor = _F((1.0 / np.float64(total)) * np.float64(limits.attention_one))
    for s in range(len(scores)):
        scores[s] = min(np.floor(scores[s] * factor), limits.attention_one)


@_loop
def _rotate(head: Any, cos: Any, sin: Any, key_limit: Any, rotated: Any) -> Any:
    """Apply the rotary embedding to ``head``, a query or key, quantise it into ``rotated``, and return its scale.

    Both are (head_width,) float32. ``cos`` and ``sin``, (head_width / 2,) float32, are those of the position, and
    ``key_limit`` is the largest integer.
    """
    half = len(head) // 2
    for d in range(half):
        rotated[d] = head[d] * cos[d] - head[half + d] * sin[d]
        rotated[half + d] = head[half + d] * cos[d] + head[d] * sin[d]
    largest = _SMALLEST
    for d in range(len(rotated)):
        largest = max(largest, abs(rotated[d]))
    factor = (_F(1) / largest) * key_limit
    for d in range(len(rotated)):
        rotated[d] = np.rint(rotated[d] * factor)
    return largest * _F(1 / np.float64(key_limit))


@_loop
def _write(mixed: Any, row: Any, position: Any, limits: Any, tables: Any, cache: Any, rotated: Any) -> None:
    """Write a symbol's keys and values into the cache.

    Args:
        mixed: (2 * kv_heads * head_width,) float32: keys of all heads, then values.
        row: of the cache.
        position: of the symbol, which is its slot.
        limits: the constants.
        tables: for the rotary embedding.
        cache: of the layer.
        rotated: (head_width,) float32, overwritten.
    """
    kv_heads, width = cache.keys.shape[1], cache.keys.shape[2]
    cos, sin = tables.cos[position], tables.sin[position]
    for g in range(kv_heads):
        head = mixed[g * width : (g + 1) * width]
        cache.key_scales[row, g, position] = _rotate(head, cos, sin, limits.key, rotated)
        for d in range(width):
            cache.keys[row, g, d, position] = np.int16(rotated[d])
            value = np.rint(mixed[(kv_heads + g) * width + d])
            cache.values[row, g, position, d] = np.int16(min(max(value, -limits.value), limits.value))


@_loop
def _attend(products: Any, limits: Any, tables: Any, begin: Any, cache: Any, halves: Any, scales: Any) -> None:
    """Attend from B rows of T symbols to themselves and to all before them, head by head.

    Args:
        products: of the B * T rows with the matrix of queries, keys and values.
        limits: the constants.
        tables: of the weights.
        begin: (B,) int64, the position of each row's first symbol.
        cache: of the layer; keys and values of the symbols are written into it.
        halves: (2 * B * T, heads * head_width) int8, filled with what the symbols attend to.
        scales: (B * T,) float32, filled with the scales of that.
    """
    rows, kv_heads, width, slots = cache.keys.shape
    steps = len(scales) // rows
    heads = halves.shape[1] // width
    mixed = np.empty((heads + 2 * kv_heads) * width, dtype=np.float32)
    queries = np.empty((steps, heads, width), dtype=np.float32)
    query_scales = np.empty((steps, heads), dtype=np.float32)
    rotated = np.empty(width, dtype=np.float32)
    scores, index = np.empty(slots, dtype=np.float32), np.empty(slots, dtype=np.int32)
    attended = np.empty((steps, heads * width), dtype=np.float32)
    for row in range(rows):
        for t in range(steps):
            position = begin[row] + t
            cos, sin = tables.cos[position], tables.sin[position]
            _dequantise(products, row * steps + t, limits.base, mixed)
            for h in range(heads):
                query = mixed[h * width : (h + 1) * width]
                query_scales[t, h] = _rotate(query, cos, sin, limits.key, queries[t, h]) * limits.score_scale
            _write(mixed[heads * width :], row, position, limits, tables, cache, rotated)
        for h in range(heads):
            g = h // (heads // kv_heads)
            for t in range(steps):
                seen = begin[row] + t + 1
                _query_key_products(queries[t, h], cache.keys[row, g], scores[:seen])
                _softmax(scores[:seen], query_scales[t, h], cache.key_scales[row, g], limits, tables.exp2, index)
                _weighted_sum(scores[:seen], cache.values[row, g], attended[t, h * width : (h + 1) * width])
        for t in range(steps):
            for j in range(heads * width):
                attended[t, j] /= limits.attention_one
            scales[row * steps + t] = _quantise(attended[t], row * steps + t, limits, halves)


@kept
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="compgen-network")


class NumbaForward:
    """The forward pass over given weights, which must be on a CPU, in int8 (``QuantisedWeights.integers``)."""

    def __init__(self, weights: QuantisedWeights) -> None:
        self._weights = weights
        constants = (
            arithmetic.BASE,
            arithmetic.ACTIVATION_LIMIT,
            arithmetic.RESIDUAL_STEPS,
            weights.key_limit,
            arithmetic.VALUE_LIMIT,
            weights.score_scale,
            arithmetic.EXP2_END,
            arithmetic.ATTENTION_ONE,
            arithmetic.SIGMOID_STEPS,
            arithmetic.SIGMOID_END,
        )
        self._limits = Limits(*map(_F, constants))
        self._tables = Tables(weights.cos.numpy(), weights.sin.numpy(), weights.exp2.numpy())
        self._sigmoid = weights.sigmoid.numpy()
        self._norm_scale = _F(weights.norm_scale)

    def forward(self, cache: KVCache, symbols: Tensor, begin: NDArray[np.int64]) -> Tensor:
        """Return the logits of ``ByteNetwork.forward``; each of torch's threads computes rows of its own."""
        rows, steps = symbols.shape
        logits = torch.empty((rows, steps, self._weights.head.outputs))
        threads = torch.get_num_threads()
        if threads == 1 or rows == 1:
            self._compute(slice(0, rows), cache, symbols, begin, logits)
            return logits
        edges = np.linspace(0, rows, min(threads, rows) + 1).astype(int)
        parts = [slice(first, end) for first, end in itertools.pairwise(edges)]
        try:
            list(_pool(threads).map(lambda part: self._compute_in_thread(part, cache, symbols, begin, logits), parts))
        finally:
            torch.set_num_threads(threads)
        return logits

    def _compute_in_thread(self, *part: Any) -> None:
        torch.set_num_threads(1)  # for this thread, and for new ones: ``forward`` sets the number again
        self._compute(*part)

    @torch.inference_mode()
    def _compute(self, part: slice, cache: KVCache, symbols: Tensor, begin: NDArray[np.int64], logits: Tensor) -> None:
        """Fill ``logits`` for the rows of ``part``; the arguments are those of ``forward``."""
        weights, limits = self._weights, self._limits
        width, attending = weights.shape.width, weights.shape.heads * weights.shape.head_width
        x = weights.embedding[symbols[part]].reshape(-1, width).numpy()
        scales = np.empty(len(x), dtype=np.float32)
        normed, attended, gated = (
            torch.empty((2 * len(x), inputs), dtype=torch.int8)
            for inputs in (width, attending, weights.shape.inner_width)
        )

        def normed_products(matrix: Matrix) -> Products:
            _rms_norm(x, limits, weights.norm_factor, normed.numpy())
            return Products(matrix.sums(normed).numpy(), matrix.scales.numpy(), self._norm_scale)

        def add(matrix: Matrix, halves: Tensor) -> None:
            _add(matrix.sums(halves).numpy(), matrix.scales.numpy(), scales, limits.base, x)

        for number, layer in enumerate(weights.layers):
            memory = LayerCache(*(m[number, part].numpy() for m in (cache.key_columns, cache.values, cache.key_scales)))
            products = normed_products(layer.query_key_value)
            _attend(products, limits, self._tables, begin[part], memory, attended.numpy(), scales)
            add(layer.out, attended)
            _gate(normed_products(layer.gate_up), limits, self._sigmoid, gated.numpy(), scales)
            add(layer.down, gated)
        _dequantise_rows(normed_products(weights.head), limits.base, logits[part].reshape(len(x), -1).numpy())
