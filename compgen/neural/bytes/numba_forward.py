"""What ``torch_forward.py`` does between matrix products, as loops that numba compiles: the same numbers in less time.

torch takes a pass over memory for each operation; a loop here does all that lies between two products while a row is at
hand, and threads share rows, not operations. It is imported where numba is installed and there is enough to do.

What rounds is neither reordered nor fused: leave to reorder is given to ``_sums`` alone, where all that is summed are
integers that their type holds. Constants are given to each: numba keeps compiled code for as long as this file is
the same, and would not notice that another one changed.
"""

from __future__ import annotations

import functools
import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compgen.neural.bytes import torch_forward as llama

if TYPE_CHECKING:
    from compgen.neural.bytes.torch_forward import Cache, ExactLlama, Matrix

_F = np.float32
_LEAST = _F(1e-20)

_loop = numba.njit(cache=True, nogil=True, error_model="numpy")
_sums = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})


class Numbers(NamedTuple):
    """What values are rounded to and limited by, float32, which ``torch_forward.py`` explains."""

    half: Any
    most: Any
    residual: Any
    key: Any
    value: Any
    score: Any
    deepest: Any
    shares: Any
    sigmoid: Any
    sigmoid_end: Any


@_loop
def _product(sums: Any, row: Any, column: Any, half: Any) -> Any:
    """Return what the products of both halves of a number come to."""
    rows = len(sums) // 2
    return _F(np.float64(sums[row, column]) * half + np.float64(sums[rows + row, column]))


@_loop
def _split(whole: Any, row: Any, half: Any, halves: Any) -> None:
    """Write the halves of a row's integers."""
    rows = len(halves) // 2
    for j in range(len(whole)):
        upper = np.rint(whole[j] * (_F(1) / half))
        halves[row, j] = np.int8(upper)
        halves[rows + row, j] = np.int8(whole[j] - upper * half)


@_loop
def _round(x: Any, row: Any, numbers: Any, halves: Any) -> Any:
    """Write the halves of a row in proportion to ``x``; return what one stands for. ``x`` is lost."""
    largest = _LEAST
    for j in range(len(x)):
        largest = max(largest, abs(x[j]))
    factor = (_F(1) / largest) * numbers.most
    for j in range(len(x)):
        x[j] = np.rint(x[j] * factor)
    _split(x, row, numbers.half, halves)
    return largest * _F(1 / np.float64(numbers.most))


@_sums
def _squares(whole: Any) -> Any:
    total = 0.0
    for j in range(len(whole)):
        total += np.float64(whole[j]) * np.float64(whole[j])
    return total


@_loop
def _norm(x: Any, numbers: Any, unit: Any, halves: Any) -> None:
    """Write the halves of rows with a root mean square of one; ``unit`` is a one's times the root of their width."""
    whole = np.empty(x.shape[1], dtype=np.float32)
    for row in range(len(x)):
        for j in range(len(whole)):
            whole[j] = np.rint(x[row, j] * numbers.residual)
        squares = _squares(whole)
        root = np.floor(np.sqrt(squares))
        if root * root > squares:
            root -= 1.0
        if (root + 1.0) * (root + 1.0) <= squares:
            root += 1.0
        factor = _F((1.0 / max(root, 1.0)) * unit)
        for j in range(len(whole)):
            whole[j] = min(max(np.rint(whole[j] * factor), -numbers.most), numbers.most)
        _split(whole, row, numbers.half, halves)


@_loop
def _add(sums: Any, scale: Any, units: Any, half: Any, x: Any) -> None:
    """Add to ``x`` what the products of rows of ``units`` stand for."""
    for row in range(len(x)):
        for j in range(x.shape[1]):
            x[row, j] += _product(sums, row, j, half) * (scale[j] * units[row])


@_loop
def _scale(sums: Any, scale: Any, unit: Any, half: Any, out: Any) -> None:
    """Fill ``out`` with what the products of rows of one ``unit`` stand for."""
    for row in range(len(out)):
        for j in range(out.shape[1]):
            out[row, j] = _product(sums, row, j, half) * (scale[j] * unit)


@_loop
def _gate(sums: Any, scale: Any, unit: Any, numbers: Any, sigmoid: Any, halves: Any, units: Any) -> None:
    """Write the halves of gated rows, and their units."""
    width = halves.shape[1]
    mixed = np.empty(2 * width, dtype=np.float32)
    index = np.empty(width, dtype=np.int32)
    for row in range(len(units)):
        for j in range(2 * width):
            mixed[j] = _product(sums, row, j, numbers.half) * (scale[j] * unit)
        for j in range(width):
            place = min(max(np.rint(mixed[j] * numbers.sigmoid), -numbers.sigmoid_end), numbers.sigmoid_end)
            index[j] = np.int32(place + numbers.sigmoid_end)
        for j in range(width):
            mixed[j] = mixed[j] * sigmoid[np.uint32(index[j])] * mixed[width + j]
        units[row] = _round(mixed[:width], row, numbers, halves)


@_sums
def _scores(query: Any, keys: Any, scores: Any) -> None:
    """Fill ``scores`` with the products of a query and (width, slots) ``keys``; the width is one of eights."""
    scores[:] = _F(0)
    for d in range(0, len(query), 8):
        for s in range(len(scores)):
            score = scores[s]
            for e in range(8):
                score += query[d + e] * _F(keys[d + e, s])
            scores[s] = score


@_sums
def _mean(shares: Any, values: Any, mean: Any) -> None:
    """Fill ``mean`` with the sum of (slots, width) ``values`` by their shares."""
    mean[:] = _F(0)
    eights = len(shares) // 8 * 8
    for s in range(0, eights, 8):
        for d in range(len(mean)):
            total = mean[d]
            for e in range(8):
                total += shares[s + e] * _F(values[s + e, d])
            mean[d] = total
    for s in range(eights, len(shares)):
        for d in range(len(mean)):
            mean[d] += shares[s] * _F(values[s, d])


@_loop
def _share(scores: Any, weight: Any, scales: Any, numbers: Any, exp2: Any, index: Any) -> None:
    """Turn scores into shares."""
    most = _F(-np.inf)
    for s in range(len(scores)):
        scores[s] = scores[s] * weight * scales[s]
    for s in range(len(scores)):
        most = max(most, scores[s])
    for s in range(len(scores)):
        index[s] = np.int32(min(np.rint(most - scores[s]), numbers.deepest))
    total = np.int64(0)
    for s in range(len(scores)):
        scores[s] = exp2[np.uint32(index[s])]
        total += np.int64(scores[s])
    factor = _F((1.0 / np.float64(total)) * np.float64(numbers.shares))
    for s in range(len(scores)):
        scores[s] = min(np.floor(scores[s] * factor), numbers.shares)


@_loop
def _turn(head: Any, cos: Any, sin: Any, key: Any, turned: Any) -> Any:
    """Fill ``turned`` with a head's integers at a position; return what one stands for."""
    half = len(head) // 2
    for d in range(half):
        turned[d] = head[d] * cos[d] - head[half + d] * sin[d]
        turned[half + d] = head[half + d] * cos[d] + head[d] * sin[d]
    largest = _LEAST
    for d in range(len(turned)):
        largest = max(largest, abs(turned[d]))
    factor = (_F(1) / largest) * key
    for d in range(len(turned)):
        turned[d] = np.rint(turned[d] * factor)
    return largest * _F(1 / np.float64(key))


@_loop
def _attend(
    sums: Any,
    scale: Any,
    unit: Any,
    numbers: Any,
    cos: Any,
    sin: Any,
    exp2: Any,
    begin: Any,
    keys: Any,
    values: Any,
    scales: Any,
    halves: Any,
    units: Any,
) -> None:
    """Write keys and values of the symbols, the halves of what they attend to, and their units.

    Args:
        sums: (2 * B * T, outputs) products for queries, keys and values, of B rows of T symbols.
        scale: (outputs,) of the matrix.
        unit: of the rows.
        numbers: see there.
        cos: (positions, width / 2) table.
        sin: (positions, width / 2) table.
        exp2: table of powers.
        begin: (B,) position of each row's first symbol.
        keys: (B, key heads, width, slots) int16.
        values: (B, key heads, slots, width) int16.
        scales: (B, key heads, slots) of the keys.
        halves: (2 * B * T, heads * width) int8, written.
        units: (B * T,) written.
    """
    rows, kv, width, slots = keys.shape
    steps = len(units) // rows
    heads = halves.shape[1] // width
    mixed = np.empty((heads + 2 * kv) * width, dtype=np.float32)
    queries = np.empty((steps, heads, width), dtype=np.float32)
    weights = np.empty((steps, heads), dtype=np.float32)
    turned = np.empty(width, dtype=np.float32)
    scores, index = np.empty(slots, dtype=np.float32), np.empty(slots, dtype=np.int32)
    found = np.empty((steps, heads * width), dtype=np.float32)
    for row in range(rows):
        for t in range(steps):
            place = begin[row] + t
            for j in range(len(mixed)):
                mixed[j] = _product(sums, row * steps + t, j, numbers.half) * (scale[j] * unit)
            for h in range(heads):
                head = mixed[h * width : (h + 1) * width]
                weights[t, h] = _turn(head, cos[place], sin[place], numbers.key, queries[t, h]) * numbers.score
            for g in range(kv):
                head = mixed[(heads + g) * width : (heads + g + 1) * width]
                scales[row, g, place] = _turn(head, cos[place], sin[place], numbers.key, turned)
                for d in range(width):
                    keys[row, g, d, place] = np.int16(turned[d])
                    value = np.rint(mixed[(heads + kv + g) * width + d])
                    values[row, g, place, d] = np.int16(min(max(value, -numbers.value), numbers.value))
        for h in range(heads):
            g = h // (heads // kv)
            for t in range(steps):
                seen = begin[row] + t + 1
                _scores(queries[t, h], keys[row, g], scores[:seen])
                _share(scores[:seen], weights[t, h], scales[row, g], numbers, exp2, index)
                _mean(scores[:seen], values[row, g], found[t, h * width : (h + 1) * width])
        for t in range(steps):
            for j in range(heads * width):
                found[t, j] /= numbers.shares
            units[row * steps + t] = _round(found[t], row * steps + t, numbers, halves)


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="compgen-network")


class Loops:
    """A network's forward by these loops."""

    def __init__(self, network: ExactLlama) -> None:
        self._shape = network.shape
        self._embedding, self._layers, self._head = network.embedding, network.layers, network.head
        numbers = (
            *(llama.HALF, llama.MOST, llama.RESIDUAL, network.key, llama.VALUE, network.score),
            *(llama.DEEPEST, llama.SHARES, llama.SIGMOID, llama.SIGMOID_END),
        )
        self._numbers = Numbers(*map(_F, numbers))
        self._unit = _F(1 / network.unit)
        self._norm_unit = network.norm_unit
        self._tables = network.cos.numpy(), network.sin.numpy(), network.exp2.numpy()
        self._sigmoid = network.sigmoid.numpy()

    def forward(self, cache: Cache, symbols: Tensor, begin: NDArray[np.int64]) -> Tensor:
        """Return what ``ExactLlama.forward`` does; each of torch's threads computes rows of its own."""
        rows, count = symbols.shape
        logits = torch.empty((rows, count, self._head.outputs))
        threads = torch.get_num_threads()
        if threads == 1 or rows == 1:
            self._rows(slice(0, rows), cache, symbols, begin, logits)
            return logits
        edges = np.linspace(0, rows, min(threads, rows) + 1).astype(int)
        parts = [slice(first, end) for first, end in itertools.pairwise(edges)]
        try:
            list(_pool(threads).map(lambda part: self._alone(part, cache, symbols, begin, logits), parts))
        finally:
            torch.set_num_threads(threads)
        return logits

    def _alone(self, *part: Any) -> None:
        torch.set_num_threads(1)  # for this thread, and for new ones, which get them back
        self._rows(*part)

    @torch.inference_mode()
    def _rows(self, part: slice, cache: Cache, symbols: Tensor, begin: NDArray[np.int64], logits: Tensor) -> None:
        """Fill the given rows of ``logits``."""
        numbers, width = self._numbers, self._shape.width
        x = self._embedding[symbols[part]].reshape(-1, width).numpy()
        units = np.empty(len(x), dtype=np.float32)
        normed, attended, gated = (
            torch.empty((2 * len(x), inputs), dtype=torch.int8)
            for inputs in (width, self._layers[0].out.inputs, self._layers[0].down.inputs)
        )

        def norm(matrix: Matrix) -> tuple[Any, Any, Any]:
            _norm(x, numbers, self._norm_unit, normed.numpy())
            return matrix.sums(normed).numpy(), matrix.scale.numpy(), self._unit

        def add(matrix: Matrix, halves: Tensor) -> None:
            _add(matrix.sums(halves).numpy(), matrix.scale.numpy(), units, numbers.half, x)

        for number, layer in enumerate(self._layers):
            keys, values, scales = (m[number, part].numpy() for m in (cache.columns, cache.values, cache.scales))
            known = begin[part], keys, values, scales
            _attend(*norm(layer.query_key_value), numbers, *self._tables, *known, attended.numpy(), units)
            add(layer.out, attended)
            _gate(*norm(layer.gate_up), numbers, self._sigmoid, gated.numpy(), units)
            add(layer.down, gated)
        _scale(*norm(self._head), numbers.half, logits[part].reshape(len(x), -1).numpy())
