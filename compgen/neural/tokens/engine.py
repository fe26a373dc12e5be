"""Any causal language model of Hugging Face transformers, as an engine over *trees* of tokens.

transformers' own static cache has one write position for all rows. Here each row writes each token at a slot of its
choice, says which slots the token sees, and gives its position: so that rows stand at different places, and several
continuations of one text live in one cache, each seeing its ancestors alone. To fork is one gather.

Slot 0 takes what rows write that have less to say than others; nothing else ever sees it.
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
from compgen.neural.memory import room_for
from compgen.neural.tokens.attention import GROUPED

DTYPES = ("float32", "bfloat16", "float16")
"""What weights and states may be held in; the default first."""

_STEP = 64  # slots by which buffers grow
_CHUNK = 64  # tokens of a row read at a time
_TOLERANCE = {"float32": 1e-3, "bfloat16": 0.06, "float16": 0.01}  # logits of one text, computed in two ways


class _Layer(CacheLayerMixin):
    """Keys and values of one layer: two buffers (rows, heads, slots, size), written where ``target`` says."""

    def __init__(self, rows: int, slots: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows = rows
        self.slots = slots
        self.buffers: list[torch.Tensor] = []  # none before the first token says what shape they have
        self.target: torch.Tensor

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        for states in (key_states, value_states):
            self.buffers.append(states.new_zeros(self.rows, states.shape[1], self.slots, states.shape[3]))

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.buffers:
            self.lazy_initialization(key_states, value_states)
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer.scatter_(2, self.target[:, None, :, None].expand_as(states), states)
        return self.buffers[0], self.buffers[1]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.slots, 0

    def get_seq_length(self) -> int:
        return 0  # positions are given

    def get_max_length(self) -> int:
        return -1

    get_max_cache_shape = get_max_length  # as transformers before 5.13 calls it

    def grow(self, slots: int) -> None:
        self.buffers = [torch.nn.functional.pad(buffer, (0, 0, 0, slots - self.slots)) for buffer in self.buffers]
        self.slots = slots

    def put(self, rows: torch.Tensor, other: _Layer) -> None:
        if other.buffers and not self.buffers:
            self.lazy_initialization(other.buffers[0], other.buffers[1])
        for buffer, source in zip(self.buffers, other.buffers, strict=False):
            buffer[rows, :, : other.slots] = source

    def select(self, rows: torch.Tensor) -> _Layer:
        layer = _Layer(len(rows), self.slots)
        layer.buffers = [buffer.index_select(0, rows.to(buffer.device)) for buffer in self.buffers]
        return layer


class TreeCache(Cache):
    """What a model remembers of every row: a tree of tokens, each in a slot of its own."""

    def __init__(self, layers: list[_Layer]) -> None:
        super().__init__(layers=[*layers])
        self._layers = layers

    @property
    def slots(self) -> int:
        """Slots of each row."""
        return self._layers[0].slots

    def reserve(self, slots: int) -> None:
        """Make room for ``slots`` slots a row; what is there stays."""
        if slots > self.slots:
            with room_for(self._layers[0].rows):
                for layer in self._layers:
                    layer.grow(-(-slots // _STEP) * _STEP)

    def aim(self, slots: torch.Tensor) -> None:
        """Let the next forward write its (B, T) tokens to ``slots``."""
        for layer in self._layers:
            layer.target = slots

    def put(self, rows: NDArray[np.int64], other: TreeCache) -> None:
        """Write ``other``'s rows over the given ones."""
        self.reserve(other.slots)
        for layer, source in zip(self._layers, other._layers, strict=True):
            layer.put(torch.from_numpy(rows), source)

    def fork(self, rows: NDArray[np.int64]) -> TreeCache:
        """Return an independent cache of the given rows."""
        with room_for(len(rows)):
            return TreeCache([layer.select(torch.from_numpy(rows)) for layer in self._layers])


@dataclass(frozen=True)
class CausalLM:
    """A loaded model. Logits are (B, T, width) float32, on the model's device."""

    model: Any
    device: str
    dtype: str

    def __post_init__(self) -> None:
        if self.model.config._attn_implementation == "sdpa":
            self.model.set_attn_implementation(GROUPED)

    @classmethod
    def load(cls, path: str, device: str = "cpu", dtype: str = DTYPES[0]) -> CausalLM:
        """Load safetensors weights from a directory, or from a hub id that is in the local cache or can be fetched.

        No code that comes with the weights is run.

        Args:
            path: the directory or hub id.
            device: ``cpu`` or ``cuda``.
            dtype: one of ``DTYPES``.

        Raises:
            UsageError: there are no such weights, or no such dtype.
            IncompatibleError: the model's attention does not follow a mask, or needs code of its own.
            OutOfMemoryError: it does not fit the device.
        """
        if dtype not in DTYPES:
            raise UsageError(f"dtype must be one of {', '.join(DTYPES)}, not '{dtype}'")
        place = torch.device(device)
        with _quiet(), room_for(0):
            try:
                config = AutoConfig.from_pretrained(path, trust_remote_code=False)
                loaded: Any = AutoModelForCausalLM.from_pretrained(
                    path,
                    config=config,
                    dtype=getattr(torch, dtype),
                    trust_remote_code=False,
                    use_safetensors=True,
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,  # and be told of them: without, the error is a table
                )
            except (MemoryError, RuntimeError):
                raise  # for want of memory
            except Exception as error:  # a config's numbers may fail anywhere in transformers
                raise _unloadable(path, error) from error
            model, report = loaded
            if absent := sorted(report["missing_keys"]):  # transformers would go on with random numbers
                raise UsageError(
                    f"'{path}' lacks {len(absent)} weights of its model, such as {absent[0]}; fetch it anew"
                )
            if other := sorted(str(key[0]) for key in report["mismatched_keys"]):
                raise UsageError(f"'{path}': {other[0]} has another shape than config.json says; fetch both anew")
            engine = cls(model.to(place).eval().requires_grad_(requires_grad=False), device, dtype)
        engine._check()
        return engine

    @property
    def width(self) -> int:
        """Logits of a token, at least the number of tokens."""
        return int(self.model.get_output_embeddings().weight.shape[0])

    @property
    def positions(self) -> int:
        """Tokens that one text may have: the positions the model knows, or its attention's window."""
        config = self.model.config.get_text_config()
        limits = [getattr(config, name, None) for name in ("max_position_embeddings", "sliding_window")]
        return min((int(limit) for limit in limits if limit), default=1 << 20)

    def cache(self, rows: int) -> TreeCache:
        """Return an empty cache of ``rows`` rows."""
        return TreeCache([_Layer(rows, _STEP) for _ in range(self.model.config.get_text_config().num_hidden_layers)])

    def forward(
        self,
        cache: TreeCache,
        tokens: NDArray[np.int64],
        positions: NDArray[np.int64],
        slots: NDArray[np.int64],
        visible: NDArray[np.bool_],
        last: int = 0,
    ) -> torch.Tensor:
        """Return the logits of what follows each of T new tokens a row.

        Args:
            cache: of B rows; the tokens are written into it.
            tokens: (B, T).
            positions: (B, T) each token's depth in its text.
            slots: (B, T) where each is written; apart within a row, but for slot 0.
            visible: (B, T, cache.slots) the slots each sees: its ancestors' and its own. Tokens of this call may
                see each other.
            last: how many of the T tokens, the last ones, to return logits of; 0 for all.

        Raises:
            OutOfMemoryError: the device has no room for it.
        """
        with torch.no_grad(), room_for(len(tokens)):
            there = [torch.from_numpy(array).to(self.model.device) for array in (tokens, positions, slots, visible)]
            return self.step(cache, there[0], there[1], there[2], there[3], last)

    def step(
        self,
        cache: TreeCache,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        slots: torch.Tensor,
        visible: torch.Tensor,
        last: int = 0,
    ) -> torch.Tensor:
        """Do what ``forward`` does with tensors on the device; a call that can be captured as a graph."""
        cache.aim(slots)
        hidden = torch.full((), torch.finfo(self.model.dtype).min, dtype=self.model.dtype, device=self.model.device)
        output = self.model(
            input_ids=tokens,
            position_ids=positions,
            attention_mask=torch.where(visible[:, None], torch.zeros_like(hidden), hidden),
            use_cache=True,
            logits_to_keep=last,
            **{cache_argument(self.model): cache},
        )
        logits: torch.Tensor = output.logits.float()
        return logits

    def read(self, texts: list[list[int]]) -> TreeCache:
        """Return a cache of a row for each list of tokens: the first in slot 1, each seeing those before it."""
        cache = self.cache(len(texts))
        longest = max(map(len, texts), default=0)
        cache.reserve(longest + 1)
        padded = np.zeros((len(texts), longest), dtype=np.int64)
        slots = np.zeros_like(padded)
        for i, text in enumerate(texts):
            padded[i, : len(text)] = text
            slots[i, : len(text)] = np.arange(1, len(text) + 1)
        for begin in range(0, longest, _CHUNK):
            chunk = slice(begin, begin + _CHUNK)
            own = slots[:, chunk, None]
            here = np.arange(cache.slots)
            visible = np.where(own > 0, (here > 0) & (here <= own), here == 0)
            self.forward(cache, padded[:, chunk], np.maximum(slots[:, chunk] - 1, 0), slots[:, chunk], visible, last=1)
        return cache

    @contextmanager
    def ungrouped(self) -> Iterator[None]:
        """Let the model attend as transformers has it, head by head."""
        here = self.model.config._attn_implementation
        if here == GROUPED:
            self.model.set_attn_implementation("sdpa")
        try:
            yield
        finally:
            if here == GROUPED:
                self.model.set_attn_implementation(GROUPED)

    def _check(self) -> None:
        """Compare a tree in shuffled slots with the model's plain pass over each of its branches."""
        width = min(self.width, 64)
        trunk, branches = [1 % width, 7 % width, 5 % width], [[3 % width, 11 % width], [9 % width]]
        message = (
            f"{type(self.model).__name__} does not follow attention masks as a tree of tokens needs; "
            "use a model with plain causal attention, such as Llama's, Qwen's or GPT-2's"
        )
        try:
            cache = self.cache(1)
            visible = np.zeros((1, 3, cache.slots), dtype=np.bool_)
            for i, slot in enumerate((9, 4, 6)):
                visible[0, i:, slot] = True
            arrays = (np.array([trunk]), np.arange(3)[None], np.array([[9, 4, 6]]))
            self.forward(cache, *arrays, visible)
            tree = np.array([[branches[0][0], branches[1][0], branches[0][1]]])
            visible = np.repeat(visible[:, 2:], 3, axis=1)
            visible[0, [0, 1, 2, 2], [2, 8, 2, 3]] = True
            logits = self.forward(cache, tree, np.array([[3, 3, 4]]), np.array([[2, 8, 3]]), visible)[0]
            with torch.no_grad(), self.ungrouped():
                for branch, places in zip(branches, ([0, 2], [1]), strict=True):
                    text = torch.tensor([trunk + branch], device=self.model.device)
                    plain = self.model(input_ids=text, use_cache=False).logits[0, 3:].float()
                    if not (plain - logits[places]).abs().max() <= _TOLERANCE[self.dtype] * (1 + plain.abs().max()):
                        raise IncompatibleError(message)
        except CompgenError:
            raise
        except Exception as error:
            raise IncompatibleError(f"{message} ({type(error).__name__}: {error})") from error


def versions() -> str:
    """Return the libraries that logits depend on."""
    return f"torch {torch.__version__}, transformers {transformers.__version__}"


def cache_argument(model: Any) -> str:
    """Return what the model's ``forward`` calls its cache: transformers is renaming it."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def _unloadable(path: str, error: Exception) -> CompgenError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "trust_remote_code" in str(error):
        return IncompatibleError(
            f"'{path}' needs code of its own, which is never run; use a model that transformers has"
        )
    if Path(path).is_dir():
        if not (Path(path) / "config.json").exists():
            return UsageError(f"'{path}' holds no config.json; name a directory that save_pretrained wrote")
        if not any(Path(path).glob("*.safetensors")):
            return UsageError(f"'{path}' holds no *.safetensors weights, and no other kind is read; convert them")
    return UsageError(f"no language model at '{path}': {reason}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing bars and giving advice; errors are raised all the same."""
    level, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity(logging.ERROR)
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(level)
        if bars:
            transformers.logging.enable_progress_bar()
