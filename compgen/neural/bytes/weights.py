"""The weights of a Llama-type network, rounded to integers: one object that every backend computes with.

Sums of floats depend on their order, and the order depends on the batch, the library and the processor. One frequency
that differs in its last bit loses the rest of a compressed file. Here every sum is one of integers, which has no order,
so the logits are the same on every machine, in every batch, in one step or in many:

- A matrix is *quantised* to int8, with one float32 *scale* for each output: weight = integer * scale. A row that is
  multiplied with it, an *activation*, is quantised to 15-bit integers with one scale, and split into two int8 *halves*,
  so that a product is two products of int8, summed in int32. Processors are fast at those.
- Attention multiplies integers so small that their sums stay under 2**24, where float32 holds every integer.
- Sums of squares and of attention weights are sums of integers in float64.
- Functions that libraries compute each in their own way (exp, cos, sigmoid) are tables, rounded so coarsely that all
  libraries agree. Everything else is a single multiplication, addition or division, whose result IEEE 754 fixes.
  No tensor is divided by a number other than a power of two: CUDA would multiply by the reciprocal.

Quantising costs about a thousandth of a bit per byte (``benchmarks/llm.py`` measures it against float32).
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compgen.errors import UsageError

_ARITHMETIC = 2
"""Version of the arithmetic: part of the digest. Raise it whenever the same weights give other logits."""

BASE = 128
"""An activation q is split into int8 halves: q = BASE * upper + lower."""

ACTIVATION_LIMIT = 127 * BASE
"""The largest activation, as an integer: that of int8's 127 as upper half."""

RESIDUAL_STEPS = 1024
"""Before squares are summed, the residual stream is rounded to multiples of 1 / RESIDUAL_STEPS. Chosen: fine enough to
cost no rate, coarse enough that float64 holds the sum."""

_EXP2_STEPS = 1024
"""Entries of the exp2 table per bit. Chosen, like SIGMOID_STEPS, between the size of the table and its rounding."""

EXP2_END = 16 * _EXP2_STEPS
"""The last entry of the exp2 table, which is 0: a score 16 bits behind the best gets no attention."""

SIGMOID_STEPS = 512
"""Entries of the sigmoid table per unit of its argument."""

SIGMOID_END = 20 * SIGMOID_STEPS
"""The table spans arguments from -20 to 20; beyond, the sigmoid is 0 or 1 to within 1 / _GRID."""

ATTENTION_ONE = 1 << 14
"""The integer that stands for an attention weight of 1; a query's weights sum to this at most."""

VALUE_LIMIT = 1023
"""The largest value, as an integer: ATTENTION_ONE * VALUE_LIMIT < 2**24, so float32 holds attention's sums."""

_VALUE_RANGE = 12.0
"""Standard deviations that VALUE_LIMIT stands for. Chosen: larger values are clipped, and are all but absent."""

_GRID = 1 << 20
"""Tables hold multiples of 1 / _GRID: float32 holds them, and libraries differ far beyond that digit."""

SMALLEST = 1e-20
"""The least largest magnitude of a row that is quantised: a row of zeros has a scale, too."""

_INT8_MINIMUM = 32
"""Fewest rows, inputs and outputs of an int8 product. CUDA demands more than 16 rows; chosen with room to spare."""

_INT32_INPUTS = 1024
"""Most inputs for which int32 holds the joined sums of both halves, and float32 (exact to 2**24) those of one half."""


def _table(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy((np.rint(values * _GRID) / _GRID).astype(np.float32))


@functools.cache
def int8_products(device: str) -> bool:
    """Return whether the device multiplies int8 matrices without saturating: some processors without VNNI saturate."""
    extreme = torch.full((32, 64), -127, dtype=torch.int8, device=device)
    try:
        product = torch._int_mm(extreme, extreme.t())
    except RuntimeError:
        return False
    return bool((product == 64 * 127 * 127).all())


class Matrix:
    """A matrix of int8 with a scale for each output, and its products with activations.

    Attributes:
        outputs: rows of the matrix.
        inputs: columns of the matrix.
        scales: (outputs,) float32.
        integers: whether products are computed in int8. Otherwise they are computed in float32, with equal results.
        digest: of the integers and scales.
    """

    def __init__(self, weights: NDArray[np.float64], device: str) -> None:
        """Quantise ``weights``, (outputs, inputs)."""
        scales = np.maximum(np.abs(weights).max(axis=1, keepdims=True), 1e-30) / 127
        whole = np.rint(weights / scales).astype(np.int8)
        self.digest = hashlib.blake2b(whole.tobytes() + scales.tobytes()).digest()
        self.scales = torch.from_numpy(scales[:, 0].astype(np.float32)).to(device)
        self.outputs, self.inputs = weights.shape
        # CUDA multiplies int8 only where inputs and outputs are multiples of eight: outputs are padded.
        self.integers = int8_products(device) and self.inputs % 8 == 0 and min(weights.shape) >= _INT8_MINIMUM
        spare = -len(whole) % 8
        padded = torch.from_numpy(np.pad(whole, ((0, spare), (0, 0)))).to(device)
        self._columns = (padded if self.integers else padded.float()).t()

    def product(self, rows: Tensor, scale: Tensor | float) -> Tensor:
        """Return the (R, outputs) float32 products of quantised activations with the matrix.

        Args:
            rows: (R, inputs) float32 that holds integers up to ACTIVATION_LIMIT.
            scale: of the activations: one for all rows, or (R, 1).
        """
        upper = torch.round(rows / BASE)
        return self.dequantised(self.sums(torch.cat((upper, rows - upper * BASE)).to(torch.int8)), scale)

    def sums(self, halves: Tensor) -> Tensor:
        """Return the integer products of ``halves``, (2R, inputs) int8: R rows of upper halves, then R of lower ones.

        They are (2R, outputs) int32, or int64 if computed in float32; some columns of padding may follow the outputs.
        """
        if not self.integers:
            return self._sums_by_floats(halves.float())
        count = len(halves)
        if self._columns.is_cuda and count < _INT8_MINIMUM:
            halves = torch.nn.functional.pad(halves, (0, 0, 0, _INT8_MINIMUM - count))
        return torch._int_mm(halves, self._columns)[:count]

    def dequantised(self, sums: Tensor, scale: Tensor | float) -> Tensor:
        """Return the (R, outputs) float32 products that ``sums`` stand for; ``scale`` is as in ``product``."""
        count = len(sums) // 2
        sums = sums[:, : self.outputs]
        if self.integers and self.inputs > _INT32_INPUTS:
            sums = sums.long()
        return torch.add(sums[count:], sums[:count], alpha=BASE) * (self.scales * scale)

    def _sums_by_floats(self, halves: Tensor) -> Tensor:
        """Multiply in float32, so few inputs at a time that each sum is exact; add these up as int64."""
        inputs = range(0, halves.shape[1], _INT32_INPUTS)
        parts = [halves[:, i : i + _INT32_INPUTS] @ self._columns[i : i + _INT32_INPUTS] for i in inputs]
        return torch.stack([part.long() for part in parts]).sum(0)


@dataclass(frozen=True)
class NetworkShape:
    """The sizes of a Llama-type network.

    Attributes:
        layers: blocks of attention and a gated unit.
        width: numbers of the residual stream.
        heads: of queries.
        kv_heads: heads of keys and values, which groups of query heads share.
        head_width: numbers of a head.
        theta: base of the rotary embedding's angles.
        positions: most symbols of a context, the start symbol included.
        inner_width: numbers of a gated unit.
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    theta: float
    positions: int
    inner_width: int

    @classmethod
    def from_config(cls, config: dict[str, Any], path: str) -> NetworkShape:
        """Return the shape that a ``config.json`` of Hugging Face's describes; ``path`` is for messages.

        Raises:
            UsageError: a size is missing or impossible, or the network has parts that are not supported here.
        """
        rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10000.0)}
        plain = (
            config.get("hidden_act", "silu") == "silu"
            and isinstance(rope, dict)
            and not config.get("rope_scaling")
            and not config.get("tie_word_embeddings")
            and not config.get("attention_bias")
            and not config.get("mlp_bias")
            and rope.get("rope_type", "default") == "default"
        )
        if not plain:
            raise UsageError(
                f"'{path}/config.json' has biases, scaled rotary embeddings, tied embeddings or an activation other "
                "than silu, which are not supported; use weights that 'cgn train' made, or another model"
            )
        try:
            heads = int(config["num_attention_heads"])
            shape = cls(
                layers=int(config["num_hidden_layers"]),
                width=int(config["hidden_size"]),
                heads=heads,
                kv_heads=int(config.get("num_key_value_heads") or heads),
                head_width=int(config.get("head_dim") or config["hidden_size"] // heads),
                theta=float(rope["rope_theta"]),
                positions=int(config["max_position_embeddings"]),
                inner_width=int(config["intermediate_size"]),
            )
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise UsageError(f"'{path}/config.json' does not describe a Llama-type network: {error!r}") from None
        if not shape._possible:
            raise UsageError(
                f"'{path}/config.json' describes no network: sizes must be 1 or more, max_position_embeddings 3 or "
                "more, head_dim even, rope_theta above 0, and num_attention_heads a multiple of num_key_value_heads"
            )
        return shape

    @property
    def _possible(self) -> bool:
        # A context holds at least the start symbol and a window of N = 1 byte, which grows to 2.
        sizes = (self.layers, self.width, self.heads, self.kv_heads, self.head_width, self.inner_width)
        return (
            min(*sizes, self.positions - 2) >= 1
            and self.heads % self.kv_heads == 0
            and self.head_width % 2 == 0
            and self.theta > 0
        )

    def tensor_sizes(self, symbols: int) -> dict[str, tuple[int, ...]]:
        """Return the sizes of the tensors in a Llama checkpoint over ``symbols`` symbols, by name."""
        width, queries, keys = self.width, self.heads * self.head_width, self.kv_heads * self.head_width
        layer = {
            "input_layernorm.weight": (width,),
            "self_attn.q_proj.weight": (queries, width),
            "self_attn.k_proj.weight": (keys, width),
            "self_attn.v_proj.weight": (keys, width),
            "self_attn.o_proj.weight": (width, queries),
            "post_attention_layernorm.weight": (width,),
            "mlp.gate_proj.weight": (self.inner_width, width),
            "mlp.up_proj.weight": (self.inner_width, width),
            "mlp.down_proj.weight": (width, self.inner_width),
        }
        return {
            "model.embed_tokens.weight": (symbols, width),
            **{f"model.layers.{i}.{name}": size for i in range(self.layers) for name, size in layer.items()},
            "model.norm.weight": (width,),
            "lm_head.weight": (symbols, width),
        }


class Layer:
    """The four matrices of a layer. They include the gains of the RMS norms before them, and the scales of values."""

    def __init__(self, get: Callable[[str], NDArray[np.float64]], shape: NetworkShape, device: str) -> None:
        """Quantise a layer; ``get`` gives a tensor by its name within the layer."""
        gain = get("input_layernorm.weight")
        query, key, value = (get(f"self_attn.{name}_proj.weight") * gain for name in "qkv")
        # Inputs have a mean square of one, so a value's standard deviation is about the length of its row.
        scales = np.maximum(np.sqrt(np.square(value).sum(axis=1)), 1e-30) * (_VALUE_RANGE / VALUE_LIMIT)
        self.query_key_value = Matrix(np.concatenate([query, key, value / scales[:, None]]), device)
        grouped = np.repeat(scales.reshape(shape.kv_heads, -1), shape.heads // shape.kv_heads, axis=0).reshape(-1)
        self.out = Matrix(get("self_attn.o_proj.weight") * grouped, device)
        gain = get("post_attention_layernorm.weight")
        self.gate_up = Matrix(
            np.concatenate([get("mlp.gate_proj.weight") * gain, get("mlp.up_proj.weight") * gain]), device
        )
        self.down = Matrix(get("mlp.down_proj.weight"), device)

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """All four, in the order of the computation."""
        return self.query_key_value, self.out, self.gate_up, self.down


class QuantisedWeights:
    """All that a forward pass needs besides its inputs.

    Attributes:
        shape: sizes of the network.
        device: where the tensors are, ``cpu`` or ``cuda``.
        embedding: (symbols, width) float32, as in the checkpoint.
        layers: the matrices of each layer.
        head: the matrix of the logits.
        cos: (positions, head_width / 2) float32, for the rotary embedding; likewise ``sin``.
        exp2: (EXP2_END + 1,) float32 integers: 2**15 * 2**(-i / _EXP2_STEPS).
        sigmoid: (2 * SIGMOID_END + 1,) float32: the sigmoid of (i - SIGMOID_END) / SIGMOID_STEPS.
        key_limit: the largest integer in a rotated query or key: head_width products of two sum to under 2**24.
        score_scale: entries of the exp2 table that a product of a query and a key of 1 stands for.
        norm_one: the integer that stands for 1 after an RMS norm, so that sqrt(width), the most, is in the limit.
        norm_factor: norm_one * sqrt(width); divided by the root of the sum of squares, it makes the RMS norm.
        norm_scale: 1 / norm_one, the scale of normed rows.
        digest: 16 bytes that identify the arithmetic, the tables and the weights.
    """

    def __init__(self, shape: NetworkShape, tensors: Callable[[str], NDArray[np.float64]], device: str = "cpu") -> None:
        """Quantise a checkpoint; ``tensors`` gives a tensor by its name in it."""
        self.shape = shape
        self.device = device
        embedding = tensors("model.embed_tokens.weight").astype(np.float32)
        self.embedding = torch.from_numpy(embedding).to(device)
        self.layers = [
            Layer(lambda name, i=i: tensors(f"model.layers.{i}.{name}"), shape, device)  # type: ignore[misc]
            for i in range(shape.layers)
        ]
        self.head = Matrix(tensors("lm_head.weight") * tensors("model.norm.weight"), device)
        angles = np.arange(shape.positions)[:, None] * shape.theta ** (
            -np.arange(0, shape.head_width, 2) / shape.head_width
        )
        self.cos, self.sin = _table(np.cos(angles)).to(device), _table(np.sin(angles)).to(device)
        self.exp2 = torch.floor(_table(2.0 ** (-np.arange(EXP2_END + 1) / _EXP2_STEPS)) * (1 << 15)).to(device)
        self.exp2[-1] = 0
        arguments = np.arange(-SIGMOID_END, SIGMOID_END + 1) / SIGMOID_STEPS
        self.sigmoid = _table(1 / (1 + np.exp(-arguments))).to(device)
        self.key_limit = float(int(math.sqrt((1 << 24) / shape.head_width)) - 1)
        self.score_scale = _EXP2_STEPS / math.log(2) / math.sqrt(shape.head_width)
        self.norm_one = math.floor(ACTIVATION_LIMIT / math.sqrt(shape.width))
        self.norm_factor = self.norm_one * math.sqrt(shape.width)
        self.norm_scale = 1 / self.norm_one
        self.digest = self._digest()

    @property
    def matrices(self) -> list[Matrix]:
        """All matrices, the head last."""
        return [*(matrix for layer in self.layers for matrix in layer.matrices), self.head]

    @property
    def integers(self) -> bool:
        """Whether every product is computed in int8."""
        return all(matrix.integers for matrix in self.matrices)

    def _digest(self) -> bytes:
        s = self.shape
        # Files hold fingerprints that include this text: it must not change with a name in the code.
        sizes = (
            f"Shape(layers={s.layers}, width={s.width}, heads={s.heads}, kv_heads={s.kv_heads}, "
            f"head_width={s.head_width}, theta={s.theta!r}, positions={s.positions})"
        )
        digest = hashlib.blake2b(f"{_ARITHMETIC} {sizes}".encode(), digest_size=16)
        for table in (self.embedding, self.cos, self.sin, self.exp2, self.sigmoid):
            digest.update(table.cpu().numpy().tobytes())
        for matrix in self.matrices:
            digest.update(matrix.digest)
        return digest.digest()
