"""Any causal language model of Hugging Face transformers, run over *trees* of tokens.

In transformers' own KV cache all rows write at one position. Here every row writes every token to a *slot* of its
choice. An attention mask says which slots each token attends to, and a position says how deep in its text it is. So
rows can stand at different places, and one row can hold several continuations of one text: each token attends to its
ancestors and to itself, and to no other branch. To fork rows is to gather them.

Slot 0 is padding. Tokens of a batch that stand for nothing are written there, and no other token attends to it.
"""

from __future__ import annotations

import functools
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

from compgen.errors import CompgenError, IncompatibleError, UsageError
from compgen.neural.folder import reason
from compgen.neural.memory import room_for
from compgen.neural.tokens.attention import GROUPED
from compgen.neural.tokens.tree_cache import BLOCK, LayerCache, TreeCache

DTYPES = ("float32", "bfloat16", "float16")
"""Types that weights, keys and values can have; the first is the default."""

_PREFILL = 64
"""Tokens of each row in one forward of ``CausalLM.prefill``. Chosen: it bounds the attention scores in memory."""


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
        """The most tokens that a text may have: the positions that the model knows.

        Layers with a sliding window see the last tokens of it. Attention in chunks, which no mask here describes, must
        see all of it in one chunk.
        """
        config = self.model.config.get_text_config()
        limits = [getattr(config, name, None) for name in ("max_position_embeddings", "attention_chunk_size")]
        return min((int(limit) for limit in limits if limit), default=1 << 20)

    @property
    def earlier_window(self) -> int:
        """The window by default, in tokens, in files before format version 4."""
        width = getattr(self.model.config.get_text_config(), "sliding_window", None)
        return min(512, (min(self.max_positions, width or self.max_positions) - 72) // 2)

    @functools.cached_property
    def sliding_window(self) -> int:
        """How many tokens, itself included, a token sees in layers with a sliding window; 0 if no layer has one."""
        config = self.model.config.get_text_config()
        kinds = getattr(config, "layer_types", None)
        slides = not kinds or "sliding_attention" in kinds
        return int(getattr(config, "sliding_window", None) or 0) if slides else 0

    def new_cache(self, rows: int) -> TreeCache:
        """Return an empty cache of ``rows`` rows."""
        layers = self.model.config.get_text_config().num_hidden_layers
        positions = torch.zeros((rows, BLOCK), dtype=torch.int64, device=self.model.device)
        return TreeCache([LayerCache(rows, BLOCK) for _ in range(layers)], positions)

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
        cache.write_to(slots, positions)
        output = self.model(
            input_ids=tokens,
            position_ids=positions,
            attention_mask=self._masks(cache, positions, attention_mask),
            use_cache=True,
            logits_to_keep=logits_to_keep,
            **{cache_argument(self.model): cache},
        )
        logits: torch.Tensor = output.logits.float()
        return logits

    def _masks(
        self, cache: TreeCache, positions: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor | dict[str, torch.Tensor]:
        """Return what transformers adds to attention scores, (B, 1, T, slots), for each kind of layer if it has two."""
        blocked = torch.full((), torch.finfo(self.model.dtype).min, dtype=self.model.dtype, device=self.model.device)

        def added(mask: torch.Tensor) -> torch.Tensor:
            return torch.where(mask[:, None], torch.zeros_like(blocked), blocked)

        if not self.sliding_window or cache.slots <= self.sliding_window:
            return added(attention_mask)
        near = attention_mask & (positions[:, :, None] - cache.positions[:, None, :] < self.sliding_window)
        kinds = set(getattr(self.model.config.get_text_config(), "layer_types", None) or ())
        if kinds <= {"sliding_attention"}:
            return added(near)
        return {"full_attention": added(attention_mask), "sliding_attention": added(near)}

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
