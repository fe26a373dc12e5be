"""A Llama-type network whose outputs are the same on every machine, in every batch, in one step or in many.

Floating point gives sums in another order other last bits, and one flipped frequency loses a file; so nobody else's
compressor by language model decodes on another machine. Here every sum is one of whole numbers, which have no order:

- matrices are 8-bit integers, a scale for each row; what they are multiplied with is rounded to 15 bits and split into
  two 8-bit halves, so that a product is two products of int8, summed in int32, which processors do fast;
- attention multiplies numbers so small that their sums stay under 2**24, where float32 holds every integer;
- sums of squares and of weights are sums of integers in float64;
- the functions that libraries compute each in their own way (exp, cos) are tables, rounded so coarsely that all
  libraries agree; everything else is one multiplication, addition or division after another, which IEEE 754 fixes.
  No tensor is divided by a number that is no power of two: CUDA multiplies by its reciprocal, and a CPU does not.

Rounding costs about a thousandth of a bit per byte (benchmarks/llm.py measures it against float32).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compgen.neural.memory import room_for

if TYPE_CHECKING:
    from compgen.neural.bytes.numba_forward import Loops
    from compgen.neural.bytes.triton_forward import Kernels

_ARITHMETIC = 2  # raised whenever other numbers come out of the same weights: files of another are refused
HALF = 128  # a number of 15 bits is HALF times its upper half, plus its lower one
MOST = 127 * HALF
RESIDUAL = 1024  # what the residual stream is rounded to for sums of squares, in parts of one
_POINTS = 1024  # entries of the exp2 table for a bit
DEEPEST = 16 * _POINTS  # the entry from which on a weight of attention is none beside the largest
SIGMOID = 512  # entries of the sigmoid's table for one
SIGMOID_END = 20 * SIGMOID  # the largest entry, and less it the smallest
SHARES = 1 << 14  # what the weights of attention sum to at most
VALUE = 1023  # the largest value that attention sums; VALUE * SHARES < 2**24
_VALUE_REACH = 12.0  # standard deviations of a value that VALUE stands for
_GRID = 1 << 20  # tables hold whole multiples of 1 / _GRID
SLOTS = 64  # a packed cache has a multiple of so many slots: compiled code takes them by blocks
_FEWEST = 32  # rows, inputs and outputs of an int8 product; CUDA wants about half as many
_WORTH_COMPILING = 4.0  # seconds of torch's work: about what compiling costs, so that neither choice is a bad one
_WORTH_THREADS = 32  # symbols in a forward from which on threads gain more than they cost
_WORTH_A_TEAM = 128  # the same where they meet at each of torch's operations


def _table(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy((np.rint(values * _GRID) / _GRID).astype(np.float32))


@contextmanager
def _whole_products() -> Iterator[None]:
    """Have float32 multiplied as float32, whatever torch is set to: TF32 and bfloat16 drop bits of large integers."""
    settings = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = [setting.fp32_precision for setting in settings]
    for setting in settings:
        setting.fp32_precision = "ieee"
    try:
        yield
    finally:
        for setting, precision in zip(settings, before, strict=True):
            setting.fp32_precision = precision


@contextmanager
def _threads(several: bool) -> Iterator[None]:
    """Have torch compute with as many threads as it is set to, or with one."""
    threads = torch.get_num_threads()
    if several or threads == 1:
        yield
        return
    torch.set_num_threads(1)  # for the whole process, which gets them back
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


@functools.cache
def int8_products(device: str) -> bool:
    """Return whether the device multiplies int8 matrices without saturating: without VNNI some processors do not."""
    extreme = torch.full((32, 64), -127, dtype=torch.int8, device=device)
    try:
        product = torch._int_mm(extreme, extreme.t())
    except RuntimeError:
        return False
    return bool((product == 64 * 127 * 127).all())


class Matrix:
    """A matrix of 8-bit integers, a scale for each row, and products with rows of 15-bit integers."""

    def __init__(self, weights: NDArray[np.float64], device: str) -> None:
        """Round ``weights``, (outputs, inputs)."""
        scale = np.maximum(np.abs(weights).max(axis=1, keepdims=True), 1e-30) / 127
        whole = np.rint(weights / scale).astype(np.int8)
        self.digest = hashlib.blake2b(whole.tobytes() + scale.tobytes()).digest()
        self.scale = torch.from_numpy(scale[:, 0].astype(np.float32)).to(device)
        self.outputs, self.inputs = weights.shape
        # CUDA multiplies int8 by eights of inputs and of outputs.
        self.integers = int8_products(device) and self.inputs % 8 == 0 and min(weights.shape) >= _FEWEST
        # An int32 holds the whole sum up to this many inputs.
        self._wide = self.inputs > 1024
        spare = -len(whole) % 8
        padded = torch.from_numpy(np.pad(whole, ((0, spare), (0, 0)))).to(device)
        self._columns = (padded if self.integers else padded.float()).t()

    def times(self, rows: Tensor, unit: Tensor | float) -> Tensor:
        """Return (R, outputs) float32.

        Args:
            rows: (R, inputs) float32 that holds integers up to 127 * 128.
            unit: what one stands for, of all rows or (R, 1).
        """
        upper = torch.round(rows / HALF)
        return self.scaled(self.sums(torch.cat((upper, rows - upper * HALF)).to(torch.int8)), unit)

    def scaled(self, sums: Tensor, unit: Tensor | float) -> Tensor:
        """Return what ``times`` does, by the ``sums`` of the upper halves of R rows and of the lower ones."""
        count = len(sums) // 2
        sums = sums[:, : self.outputs]
        if self.integers and self._wide:
            sums = sums.long()
        return torch.add(sums[count:], sums[:count], alpha=HALF) * (self.scale * unit)

    def sums(self, halves: Tensor) -> Tensor:
        """Return (R, outputs) integers, the products with (R, inputs) int8; there may be more columns than outputs."""
        if not self.integers:
            return self._in_float(halves.float())
        count = len(halves)
        if self._columns.is_cuda and count < _FEWEST:
            halves = torch.nn.functional.pad(halves, (0, 0, 0, _FEWEST - count))
        return torch._int_mm(halves, self._columns)[:count]

    def _in_float(self, halves: Tensor) -> Tensor:
        """Return the products in float32, a few inputs at a time so that each sum is exact, as int64."""
        parts = [halves[:, i : i + 1024] @ self._columns[i : i + 1024] for i in range(0, halves.shape[1], 1024)]
        return torch.stack([part.long() for part in parts]).sum(0)


@dataclass(frozen=True)
class NetworkShape:
    """What a Llama-type ``config.json`` says that matters here."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    theta: float
    positions: int

    def tensors(self, symbols: int, inner_width: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a Llama checkpoint's tensors, by name, with so many symbols and gated units."""
        width, queries, keys = self.width, self.heads * self.head_width, self.kv_heads * self.head_width
        layer = {
            "input_layernorm.weight": (width,),
            "self_attn.q_proj.weight": (queries, width),
            "self_attn.k_proj.weight": (keys, width),
            "self_attn.v_proj.weight": (keys, width),
            "self_attn.o_proj.weight": (width, queries),
            "post_attention_layernorm.weight": (width,),
            "mlp.gate_proj.weight": (inner_width, width),
            "mlp.up_proj.weight": (inner_width, width),
            "mlp.down_proj.weight": (width, inner_width),
        }
        return {
            "model.embed_tokens.weight": (symbols, width),
            **{f"model.layers.{i}.{name}": size for i in range(self.layers) for name, size in layer.items()},
            "model.norm.weight": (width,),
            "lm_head.weight": (symbols, width),
        }


class _Layer:
    """The matrices of one layer; gains of its norms and scales of its values are in them."""

    def __init__(self, get: Callable[[str], NDArray[np.float64]], shape: NetworkShape, device: str) -> None:
        gain = get("input_layernorm.weight")
        query, key, value = (get(f"self_attn.{name}_proj.weight") * gain for name in "qkv")
        # Inputs have a mean square of one, so a value's standard deviation is about the length of its row.
        unit = np.maximum(np.sqrt(np.square(value).sum(axis=1)), 1e-30) * (_VALUE_REACH / VALUE)
        self.query_key_value = Matrix(np.concatenate([query, key, value / unit[:, None]]), device)
        grouped = np.repeat(unit.reshape(shape.kv_heads, -1), shape.heads // shape.kv_heads, axis=0).reshape(-1)
        self.out = Matrix(get("self_attn.o_proj.weight") * grouped, device)
        gain = get("post_attention_layernorm.weight")
        self.gate_up = Matrix(
            np.concatenate([get("mlp.gate_proj.weight") * gain, get("mlp.up_proj.weight") * gain]), device
        )
        self.down = Matrix(get("mlp.down_proj.weight"), device)

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        return self.query_key_value, self.out, self.gate_up, self.down


class Cache:
    """Keys and values of B rows at up to ``slots`` positions each: integers, and the keys' scales.

    A row may stand anywhere; what lies beyond its position is never read. ``packed`` is for compiled code: numbers are
    of 16 bits, and each of a head's ``columns`` of keys lies together.
    """

    def __init__(self, shape: NetworkShape, rows: int, slots: int, device: str, *, packed: bool = False) -> None:
        size = (shape.layers, rows, shape.kv_heads)
        dtype = torch.int16 if packed else torch.float32
        slots = -(-slots // SLOTS) * SLOTS if packed else slots
        lying = (shape.head_width, slots) if packed else (slots, shape.head_width)
        keys = torch.zeros((*size, *lying), dtype=dtype, device=device)
        self.keys = keys.transpose(3, 4) if packed else keys
        self.values = torch.zeros((*size, slots, shape.head_width), dtype=dtype, device=device)
        self.scales = torch.zeros((*size, slots), device=device)

    @property
    def columns(self) -> Tensor:
        """(layers, rows, heads, width, slots) keys."""
        return self.keys.transpose(3, 4)

    def take(self, rows: Tensor) -> Cache:
        """Return a cache of the given rows; errors as in ``ExactLlama.forward``."""
        taken = Cache.__new__(Cache)
        with room_for(len(rows)):
            taken.keys, taken.values, taken.scales = (t[:, rows] for t in (self.keys, self.values, self.scales))
        return taken

    def put(self, rows: Tensor, other: Cache) -> None:
        """Replace the given rows by those of ``other``."""
        slots = other.keys.shape[3]
        for mine, theirs in (
            (self.keys, other.keys),
            (self.values, other.values),
            (self.scales, other.scales),
        ):
            mine[:, rows, :, :slots] = theirs


class ExactLlama:
    """The network: symbols in, logits out."""

    def __init__(self, shape: NetworkShape, tensors: Callable[[str], NDArray[np.float64]], device: str = "cpu") -> None:
        """Round the weights.

        Args:
            shape: of the network.
            tensors: gives a tensor by its name in a Llama checkpoint.
            device: where to compute.
        """
        self.shape = shape
        self.device = device
        embedding = tensors("model.embed_tokens.weight").astype(np.float32)
        self.embedding = torch.from_numpy(embedding).to(device)
        self.layers = [
            _Layer(lambda name, i=i: tensors(f"model.layers.{i}.{name}"), shape, device)  # type: ignore[misc]
            for i in range(shape.layers)
        ]
        self.head = Matrix(tensors("lm_head.weight") * tensors("model.norm.weight"), device)
        angles = np.arange(shape.positions)[:, None] * shape.theta ** (
            -np.arange(0, shape.head_width, 2) / shape.head_width
        )
        self.cos, self.sin = _table(np.cos(angles)).to(device), _table(np.sin(angles)).to(device)
        self.exp2 = torch.floor(_table(2.0 ** (-np.arange(DEEPEST + 1) / _POINTS)) * (1 << 15)).to(device)
        self.exp2[-1] = 0
        self.sigmoid = _table(1 / (1 + np.exp(-np.arange(-SIGMOID_END, SIGMOID_END + 1) / SIGMOID))).to(device)
        self.key = float(int(math.sqrt((1 << 24) / shape.head_width)) - 1)
        self.score = _POINTS / math.log(2) / math.sqrt(shape.head_width)
        self.unit = math.floor(MOST / math.sqrt(shape.width))
        self.norm_unit = self.unit * math.sqrt(shape.width)
        tables = (self.embedding, self.cos, self.sin, self.exp2, self.sigmoid)
        digest = hashlib.blake2b(f"{_ARITHMETIC} {shape!r}".encode(), digest_size=16)
        for part in [t.cpu().numpy().tobytes() for t in tables] + [
            m.digest for layer in self.layers for m in layer.matrices
        ]:
            digest.update(part)
        digest.update(self.head.digest)
        self.digest = digest.digest()
        matrices = [self.head, *(matrix for layer in self.layers for matrix in layer.matrices)]
        integers = all(matrix.integers for matrix in matrices)
        self._compilable = device == "cpu" and integers and shape.head_width % 8 == 0 and _installed("numba")
        self._spent = 0.0
        self.kernels: Kernels | None = None
        if device == "cuda" and integers and shape.head_width in (16, 32, 64, 128) and _installed("triton"):
            from compgen.neural.bytes.triton_forward import proven

            self.kernels = proven(self)

    def cache(self, rows: int, slots: int) -> Cache:
        """Return an empty cache; errors as in ``forward``."""
        with room_for(rows):
            return Cache(self.shape, rows, slots, self.device, packed=self._compilable or self.kernels is not None)

    def forward(self, cache: Cache, symbols: Tensor, begin: NDArray[np.int64]) -> Tensor:
        """Return (B, T, symbols) logits, nats, and leave keys and values in ``cache``.

        Args:
            cache: what came before.
            symbols: (B, T) the next ones.
            begin: (B,) the position of each row's first.

        Raises:
            IndexError: symbols stand where there is no slot; compiled code would write there.
            OutOfMemoryError: the device has no room for it.
        """
        rows, count = symbols.shape
        if begin.min() < 0 or begin.max() + count > min(cache.scales.shape[3], self.shape.positions):
            raise IndexError(f"no slots from {begin.min()} to {begin.max() + count}")
        compiled = self._compilable and self._spent >= _WORTH_COMPILING
        with room_for(rows), _threads(symbols.numel() >= (_WORTH_THREADS if compiled else _WORTH_A_TEAM)):
            if compiled:
                return self._loops.forward(cache, symbols, begin)
            started = time.perf_counter()
            together = bool((begin == begin[0]).all())
            seen = int(begin.max()) + count
            positions = torch.from_numpy(begin[:, None] + np.arange(count)).to(self.device)
            logits = self._forward(cache, symbols, positions, seen, together)
            self._spent += time.perf_counter() - started
            return logits

    @functools.cached_property
    def _loops(self) -> Loops:
        from compgen.neural.bytes.numba_forward import Loops

        return Loops(self)

    def step(self, cache: Cache, symbols: Tensor, positions: Tensor, seen: int) -> Tensor:
        """Return (B, symbols) logits after one more symbol in each row; a call that can be captured as a graph.

        Args:
            cache: what came before.
            symbols: (B,) the next ones.
            positions: (B,) where they stand.
            seen: slots that attention looks at; all positions lie under it.
        """
        return self._forward(cache, symbols[:, None], positions[:, None], seen, together=False)[:, 0]

    @_whole_products()
    @torch.inference_mode()
    def _forward(self, cache: Cache, symbols: Tensor, positions: Tensor, seen: int, together: bool) -> Tensor:
        """Compute; ``seen`` is how many slots are looked at, the last one that of the last symbol if ``together``."""
        if self.kernels:
            return self.kernels.forward(cache, symbols, positions)
        shape = self.shape
        rows, count = symbols.shape
        hidden = None
        if count > 1 or not together:
            hidden = torch.arange(seen, device=self.device) > positions[:, :, None]
            hidden = hidden[:, None, None].expand(-1, shape.kv_heads, shape.heads // shape.kv_heads, -1, -1)
            hidden = hidden.reshape(rows, shape.kv_heads, -1, seen)
        end = seen if together else 0
        cos, sin = (t[positions][:, :, None] for t in (self.cos, self.sin))
        x = self.embedding[symbols].reshape(rows * count, shape.width)
        for number, layer in enumerate(self.layers):
            x = x + self._attend(layer, cache, number, x, (rows, count), (cos, sin), positions, seen, end, hidden)
            gated = layer.gate_up.times(self._normed(x), 1 / self.unit)
            gate, up = gated.chunk(2, dim=1)
            index = torch.round(gate * SIGMOID).clamp_(-SIGMOID_END, SIGMOID_END)
            inner = gate * _looked_up(self.sigmoid, index + SIGMOID_END) * up
            x = x + layer.down.times(*_rounded(inner))
        logits = self.head.times(self._normed(x), 1 / self.unit)
        return logits.reshape(rows, count, -1)

    def _normed(self, x: Tensor) -> Tensor:
        """Return (R, width) integers: ``x`` with a root mean square of one, in units of 1 / self.unit."""
        whole = torch.round(x * RESIDUAL)
        squares = whole.double().square().sum(dim=1, keepdim=True)
        root = torch.floor(torch.sqrt(squares))
        # A square root may be off in its last bit; what its square is tells.
        root -= (root * root > squares).double()
        root += ((root + 1) * (root + 1) <= squares).double()
        factor = self.norm_unit / root.clamp_(min=1.0)
        return torch.round(whole * factor.float()).clamp_(-MOST, MOST)

    def _attend(
        self,
        layer: _Layer,
        cache: Cache,
        number: int,
        x: Tensor,
        size: tuple[int, int],
        turn: tuple[Tensor, Tensor],
        positions: Tensor,
        seen: int,
        end: int,
        hidden: Tensor | None,
    ) -> Tensor:
        """Return (R, width), what attention adds to ``x``; symbols of rows that stand together end at ``end``."""
        shape, (rows, count) = self.shape, size
        heads, kv, width = shape.heads, shape.kv_heads, shape.head_width
        mixed = layer.query_key_value.times(self._normed(x), 1 / self.unit).view(rows, count, heads + 2 * kv, width)
        one, two = mixed[:, :, : heads + kv].chunk(2, dim=3)
        cos, sin = turn
        turned = torch.cat((one * cos - two * sin, two * cos + one * sin), dim=3)
        largest = turned.abs().amax(dim=3, keepdim=True).clamp_(min=1e-20)
        whole = torch.round(turned * (self.key / largest))
        scale = largest[:, :, :, 0] * (1 / self.key)
        values = torch.round(mixed[:, :, heads + kv :]).clamp_(-VALUE, VALUE)
        written = (whole[:, :, heads:], values, scale[:, :, heads:])
        for memory, new in zip((cache.keys, cache.values, cache.scales), written, strict=True):
            if end:
                memory[number, :, :, end - count : end] = new.transpose(1, 2)
            else:
                row = torch.arange(rows, device=self.device)[:, None]
                memory[number, row, :, positions] = new.to(memory.dtype)
        keys, known, scales = (m[number, :, :, :seen].float() for m in (cache.keys, cache.values, cache.scales))
        # (rows, kv, heads of the group and steps, ...)
        queries = whole[:, :, :heads].view(rows, count, kv, -1, width).permute(0, 2, 3, 1, 4)
        queries = queries.reshape(rows, kv, -1, width)
        weight = scale[:, :, :heads].view(rows, count, kv, -1).permute(0, 2, 3, 1).reshape(rows, kv, -1, 1)
        weight = weight * self.score
        scores = (queries @ keys.transpose(2, 3)) * weight * scales[:, :, None]
        if hidden is not None:
            scores.masked_fill_(hidden, -torch.inf)
        index = scores.amax(dim=3, keepdim=True) - scores
        weights = _looked_up(self.exp2, torch.round(index).clamp_(max=DEEPEST))
        total = weights.sum(dim=3, keepdim=True, dtype=torch.float64)
        shares = torch.floor(weights * (SHARES / total).float()).clamp_(max=SHARES)
        found = (shares @ known).view(rows, kv, -1, count, width).permute(0, 3, 1, 2, 4)
        return layer.out.times(*_rounded(found.reshape(rows * count, -1) / SHARES))


def _looked_up(table: Tensor, index: Tensor) -> Tensor:
    """Return ``table[index]`` for whole numbers of any type: on a CPU, quicker than torch's own indexing."""
    return table.index_select(0, index.int().view(-1)).view(index.shape)


def _rounded(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return (R, n) integers of 15 bits in proportion to ``x``, and (R, 1) what one of them stands for."""
    largest = x.abs().amax(dim=1, keepdim=True).clamp_(min=1e-20)
    return torch.round(x * (MOST / largest)), largest * (1 / MOST)
