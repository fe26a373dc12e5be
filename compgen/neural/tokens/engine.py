"""Any causal language model of Hugging Face transformers, run over *trees* of tokens.

In transformers' own KV cache all rows write at one position. Here every row writes every token to a *slot* of its
choice. An attention mask says which slots each token attends to, and a position says how deep in its text it is. So
rows can stand at different places, and one row can hold several continuations of one text: each token attends to its
ancestors and to itself, and to no other branch. To fork rows is to gather them.

Slot 0 is padding. Tokens of a batch that stand for nothing are written there, and no other token attends to it.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.cache_utils import Cache, CacheLayerMixin

from compgen.errors import CompgenError, IncompatibleError, UsageError
from compgen.neural.folder import reason
from compgen.neural.memory import room_for
from compgen.neural.tokens.attention import GROUPED

DTYPES = ("float32", "bfloat16", "float16")
"""Types that weights, keys and values can have; the first is the default."""

_BLOCK = 64
"""Slots: a cache has a multiple of this number. Chosen: few copies while it grows, few empty slots to attend over."""

_PREFILL = 64
"""Tokens of each row in one forward of ``CausalLM.prefill``. Chosen: it bounds the attention scores in memory."""


class _LayerCache(CacheLayerMixin):
    """Keys and values of one layer: two buffers, (rows, key heads, slots, width) each."""

    def __init__(self, rows: int, slots: int, buffers: tuple[torch.Tensor, ...] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows = rows
        self.slots = slots
        self.buffers = buffers  # none before the first tokens: their keys and values show heads, width and type
        self.write_slots: torch.Tensor  # (rows, T): where ``update`` writes

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Make empty buffers for states like these, (rows, key heads, any number, width)."""
        self.buffers = tuple(
            states.new_zeros(self.rows, states.shape[1], self.slots, states.shape[3])
            for states in (key_states, value_states)
        )

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write (rows, key heads, T, width) keys and values to ``write_slots``; return the buffers."""
        if not self.buffers:
            self.lazy_initialization(key_states, value_states)
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer.scatter_(2, self.write_slots[:, None, :, None].expand_as(states), states)
        return self.buffers[0], self.buffers[1]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the number of slots that a mask covers, and the first of them."""
        return self.slots, 0

    def get_seq_length(self) -> int:
        """Return 0: callers give positions, so transformers need not count tokens."""
        return 0

    def get_max_length(self) -> int:
        """Return -1: no limit."""
        return -1

    get_max_cache_shape = get_max_length  # the name in transformers before 5.13

    def grow(self, slots: int) -> None:
        """Append empty slots, up to ``slots`` of them."""
        self.buffers = tuple(torch.nn.functional.pad(b, (0, 0, 0, slots - self.slots)) for b in self.buffers)
        self.slots = slots

    def overwrite(self, rows: torch.Tensor, other: _LayerCache) -> None:
        """Write the rows of ``other`` over ``rows``, (k,); ``other`` has k rows and no more slots than this layer."""
        if other.buffers and not self.buffers:
            self.lazy_initialization(other.buffers[0], other.buffers[1])
        for buffer, source in zip(self.buffers, other.buffers, strict=False):
            buffer[rows, :, : other.slots] = source

    def fork(self, rows: torch.Tensor) -> _LayerCache:
        """Return an independent layer of ``rows``, (k,)."""
        buffers = tuple(buffer.index_select(0, rows.to(buffer.device)) for buffer in self.buffers)
        return _LayerCache(len(rows), self.slots, buffers)


class TreeCache(Cache):
    """The KV cache of B rows: in each row a tree of tokens, every token in a slot of its own."""

    def __init__(self, layers: list[_LayerCache]) -> None:
        """Cache the keys and values of ``layers``, which have equal numbers of rows and slots."""
        super().__init__(layers=[*layers])
        self._layers = layers

    @property
    def slots(self) -> int:
        """Slots of each row."""
        return self._layers[0].slots

    def reserve(self, slots: int) -> None:
        """Grow to at least ``slots`` slots a row; the contents stay."""
        if slots > self.slots:
            with room_for(self._layers[0].rows):
                for layer in self._layers:
                    layer.grow(-(-slots // _BLOCK) * _BLOCK)

    def write_to(self, slots: torch.Tensor) -> None:
        """Set the (B, T) slots that the next forward writes its tokens to."""
        for layer in self._layers:
            layer.write_slots = slots

    def overwrite(self, rows: NDArray[np.int64], other: TreeCache) -> None:
        """Write the k rows of ``other`` over ``rows``, (k,)."""
        self.reserve(other.slots)
        for layer, source in zip(self._layers, other._layers, strict=True):
            layer.overwrite(torch.from_numpy(rows), source)

    def fork(self, rows: NDArray[np.int64]) -> TreeCache:
        """Return an independent cache of ``rows``, (k,)."""
        with room_for(len(rows)):
            return TreeCache([layer.fork(torch.from_numpy(rows)) for layer in self._layers])


@dataclass(frozen=True)
class CausalLM:
    """A loaded model of transformers.

    Attributes:
        model: the transformers model, in evaluation mode.
        device: ``cpu`` or ``cuda``.
        dtype: one of ``DTYPES``.
    """

    model: Any
    device: str
    dtype: str

    def __post_init__(self) -> None:
        if self.model.config._attn_implementation == "sdpa":
            self.model.set_attn_implementation(GROUPED)

    @classmethod
    def load(cls, path: str, device: str = "cpu", dtype: str = DTYPES[0]) -> CausalLM:
        """Load safetensors weights from a folder or a hub id. Code that comes with the weights is never run.

        Args:
            path: a folder, or a hub id that is in the local hub cache or can be fetched.
            device: ``cpu`` or ``cuda``.
            dtype: one of ``DTYPES``.

        Raises:
            UsageError: there are no such weights, they do not match config.json, or ``dtype`` is unknown.
            IncompatibleError: the model needs code of its own.
            OutOfMemoryError: the weights do not fit the device.
        """
        if dtype not in DTYPES:
            raise UsageError(f"dtype must be one of {', '.join(DTYPES)}, not '{dtype}'")
        place = torch.device(device)
        with quiet(), room_for(0):
            try:
                config = AutoConfig.from_pretrained(path, trust_remote_code=False)
                loaded: Any = AutoModelForCausalLM.from_pretrained(
                    path,
                    config=config,
                    dtype=getattr(torch, dtype),
                    trust_remote_code=False,
                    use_safetensors=True,
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,  # the report below names them; the error would be a long table
                )
            except (MemoryError, RuntimeError):
                raise  # ``room_for`` tells a lack of memory from other errors
            except Exception as error:  # wrong numbers in config.json fail anywhere in transformers
                raise _unloadable(path, error) from error
            model, report = loaded
            if absent := sorted(report["missing_keys"]):  # transformers would fill them with random numbers
                raise UsageError(
                    f"'{path}' lacks {len(absent)} weights of its model, such as {absent[0]}; fetch the folder again"
                )
            if other := sorted(str(key[0]) for key in report["mismatched_keys"]):
                raise UsageError(
                    f"'{path}': {other[0]} has another shape than config.json says; fetch the folder again"
                )
            return cls(model.to(place).eval().requires_grad_(requires_grad=False), device, dtype)

    @property
    def vocab_size(self) -> int:
        """Logits that the model gives after each token; at least as many as it knows tokens."""
        return int(self.model.get_output_embeddings().weight.shape[0])

    @property
    def max_positions(self) -> int:
        """The most tokens that a text may have: the positions that the model knows, or its sliding window."""
        config = self.model.config.get_text_config()
        limits = [getattr(config, name, None) for name in ("max_position_embeddings", "sliding_window")]
        return min((int(limit) for limit in limits if limit), default=1 << 20)

    def new_cache(self, rows: int) -> TreeCache:
        """Return an empty cache of ``rows`` rows."""
        layers = self.model.config.get_text_config().num_hidden_layers
        return TreeCache([_LayerCache(rows, _BLOCK) for _ in range(layers)])

    def forward(
        self,
        cache: TreeCache,
        tokens: NDArray[np.int64],
        positions: NDArray[np.int64],
        slots: NDArray[np.int64],
        attention_mask: NDArray[np.bool_],
        logits_to_keep: int = 0,
    ) -> torch.Tensor:
        """Append T tokens to each of B rows, and return the logits of the tokens that may follow each of them.

        Args:
            cache: the cache of B rows that the tokens are written to.
            tokens: (B, T).
            positions: (B, T): the depth of each token in its text; 0 is the first token.
            slots: (B, T): the slot that each token is written to. Within a row they differ, except for slot 0.
            attention_mask: (B, T, cache.slots): True where a token attends to a slot: at its ancestors and at itself.
                Tokens of this call may attend to each other.
            logits_to_keep: return logits of only so many tokens, the last of the T; 0 for all.

        Returns:
            (B, T or ``logits_to_keep``, ``vocab_size``) float32 on the model's device.

        Raises:
            OutOfMemoryError: the device has too little memory.
        """
        with torch.no_grad(), room_for(len(tokens)):
            arrays = (tokens, positions, slots, attention_mask)
            there = [torch.from_numpy(array).to(self.model.device) for array in arrays]
            return self.forward_tensors(cache, there[0], there[1], there[2], there[3], logits_to_keep)

    def forward_tensors(
        self,
        cache: TreeCache,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        slots: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int = 0,
    ) -> torch.Tensor:
        """Do the same as ``forward`` with tensors on the device, so that a CUDA graph can capture the call."""
        cache.write_to(slots)
        blocked = torch.full((), torch.finfo(self.model.dtype).min, dtype=self.model.dtype, device=self.model.device)
        output = self.model(
            input_ids=tokens,
            position_ids=positions,
            attention_mask=torch.where(attention_mask[:, None], torch.zeros_like(blocked), blocked),
            use_cache=True,
            logits_to_keep=logits_to_keep,
            **{cache_argument(self.model): cache},
        )
        logits: torch.Tensor = output.logits.float()
        return logits

    def prefill(self, texts: list[list[int]]) -> TreeCache:
        """Return a cache with one row for each list of tokens; token i of a text lies in slot i + 1."""
        cache = self.new_cache(len(texts))
        longest = max(map(len, texts), default=0)
        cache.reserve(longest + 1)
        padded = np.zeros((len(texts), longest), dtype=np.int64)
        slots = np.zeros_like(padded)
        for i, text in enumerate(texts):
            padded[i, : len(text)] = text
            slots[i, : len(text)] = np.arange(1, len(text) + 1)
        for begin in range(0, longest, _PREFILL):
            chunk = slice(begin, begin + _PREFILL)
            own = slots[:, chunk, None]
            here = np.arange(cache.slots)
            mask = np.where(own > 0, (here > 0) & (here <= own), here == 0)
            positions = np.maximum(slots[:, chunk] - 1, 0)
            self.forward(cache, padded[:, chunk], positions, slots[:, chunk], mask, logits_to_keep=1)
        return cache

    @contextmanager
    def plain_attention(self) -> Iterator[None]:
        """Inside the context, use transformers' own attention instead of ``attention.py``."""
        before = self.model.config._attn_implementation
        if before == GROUPED:
            self.model.set_attn_implementation("sdpa")
        try:
            yield
        finally:
            if before == GROUPED:
                self.model.set_attn_implementation(GROUPED)


def versions() -> str:
    """Return the versions of the libraries that logits depend on."""
    return f"torch {torch.__version__}, transformers {transformers.__version__}"


def cache_argument(model: Any) -> str:
    """Return the name of the cache argument of the model's ``forward``, which transformers is renaming."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def _unloadable(path: str, error: Exception) -> CompgenError:
    """Return the error to raise where transformers failed with ``error`` to load the model at ``path``."""
    if "trust_remote_code" in str(error):
        return IncompatibleError(
            f"'{path}' needs code of its own, which is never run; use a model that transformers has"
        )
    if Path(path).is_dir():
        if not (Path(path) / "config.json").exists():
            return UsageError(f"'{path}' holds no config.json; name a folder that save_pretrained wrote")
        if not any(Path(path).glob("*.safetensors")):
            return UsageError(
                f"'{path}' holds no *.safetensors weights; convert its weights: other formats are not read"
            )
    return UsageError(f"no language model at '{path}': {reason(error)}")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' progress bars and advice inside the context; errors are still raised."""
    level, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity(logging.ERROR)
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(level)
        if bars:
            transformers.logging.enable_progress_bar()
