"""Any compressor or model as a causal language model of transformers', with its ``generate()`` and logits processors.

Tokens are bytes. Token 256 ends and pads a text, and is never drawn. ::

    model = ByteCausalLM.over("gzip")
    prompt = torch.tensor([list(b"It was a dark and stormy night")])
    print(bytes(model.generate(prompt, max_new_tokens=40, do_sample=True, top_p=0.9)[0].tolist()))

Each call gets whole contexts (``use_cache=False``). If every context is one of an earlier call with one byte more, as
in sampling and beam search, the state of that call is forked and extended; otherwise a new state starts.
"""

from __future__ import annotations

import copy
import math
import threading
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from compgen.errors import UsageError
from compgen.models import ByteModel, State, load
from compgen.models.base import ALPHABET

END = ALPHABET
"""The token that ends and pads a text: the first that is not a byte."""

_NEVER = -1e30
"""The logit of ``END``, nats: a probability of 0 in float32 at every temperature. Chosen, and not minus infinity:
processors take differences of logits (``guidance_scale`` does), and the difference of two infinities is not a number.
"""

_CALLS = 2
"""The last calls whose states are kept. With ``guidance_scale``, calls for two streams of contexts alternate."""

_CACHE, _INSIDE = "it needs a cache of keys and values", "it looks inside a network"
_REFUSED = {
    "assistant_model": _CACHE,
    "prompt_lookup_num_tokens": _CACHE,
    "use_mtp": _CACHE,
    "cache": _CACHE,
    "past_key_values": _CACHE,
    "cache_implementation": _CACHE,
    "assistant_early_exit": _INSIDE,
    "penalty_alpha": _INSIDE,
    "dola_layers": _INSIDE,
    "output_attentions": _INSIDE,
    "output_hidden_states": _INSIDE,
    "inputs_embeds": _INSIDE,
    "position_ids": "the positions follow from attention_mask",
    "token_type_ids": "all tokens are bytes",
}
"""Options of transformers' models that this one cannot follow, with the reason."""

_ROWS = ("guidance_scale", "num_beams", "num_return_sequences")
"""Options of ``generate`` that decide how many rows its contexts have."""

_NEGATIVE = ("negative_prompt_ids", "negative_prompt_attention_mask")
"""Options of ``generate`` that must have as many rows."""


class ByteConfig(PretrainedConfig):
    """A configuration that names a compressor or model by its spec."""

    model_type = "compgen"

    def __init__(self, spec: str = "gzip", **options: Any) -> None:
        """Take a spec; ``options`` are those of every transformers configuration."""
        ends = {"bos_token_id": END, "eos_token_id": END, "pad_token_id": END}
        super().__init__(**ends | {"use_cache": False} | options)
        self.spec = spec
        self.vocab_size = ALPHABET + 1
        self.num_hidden_layers = 0


class _Calls(threading.local):
    """The last calls of one thread: their contexts, and the state after these."""

    def __init__(self) -> None:
        self.kept: list[tuple[list[bytes], State]] = []


class ByteCausalLM(PreTrainedModel, GenerationMixin):
    """A next-byte distribution behind transformers' interface. It has no weights and cannot be trained.

    It is pickled and copied without the states of its last calls. Threads may share it.
    """

    config_class = ByteConfig
    main_input_name = "input_ids"

    def __init__(self, config: ByteConfig) -> None:
        """Load the model that the configuration names."""
        super().__init__(config)
        # transformers asks a model's weights for their device and type, and saves some: here is one without use.
        self.nothing = torch.nn.Parameter(torch.zeros(1), requires_grad=False)
        self._model: ByteModel = load(config.spec)
        self._calls = _Calls()
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def over(cls, spec: str) -> ByteCausalLM:
        """Return the model of a spec, such as ``gzip``, ``gzip+ppmd`` or ``llm``."""
        return cls(ByteConfig(spec))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_calls"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._calls = _Calls()

    def generate(
        self, inputs: torch.Tensor | None = None, generation_config: GenerationConfig | None = None, **options: Any
    ) -> Any:
        """Generate as every model of transformers' does. Without ``inputs``, the text begins with token 256.

        ``negative_prompt_ids`` may be one prompt for all rows.

        Raises:
            UsageError: an option needs what a compressor does not have, such as a cache of keys and values.
        """
        config = copy.copy(generation_config or self.generation_config)
        asked = {name: options.get(name, getattr(config, name, None)) for name in (*_REFUSED, *_ROWS)}
        _refuse({name: asked[name] for name in _REFUSED})
        if asked["guidance_scale"] not in (None, 1):
            if (asked["num_beams"] or 1) > 1:
                raise UsageError("guidance_scale is not for beams: transformers does not reorder what it guides from")
            prompts = options.get("input_ids", inputs)
            rows = (1 if prompts is None else len(prompts)) * (asked["num_return_sequences"] or 1)
            options |= {name: _for_rows(options.get(name), rows, name) for name in _NEGATIVE}
        elif options.get("negative_prompt_ids") is not None:
            raise UsageError("negative_prompt_ids changes nothing without guidance_scale; give both")
        if generation_config is None:
            return super().generate(inputs, **options | {"use_cache": False})
        config.use_cache = False
        return super().generate(inputs, config, **options)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        logits_to_keep: int = 0,
        use_cache: bool | None = None,
        return_dict: bool | None = None,
        **others: Any,
    ) -> CausalLMOutput | tuple[Any, ...]:
        """Return (B, K, 257) logits, nats: of the byte that follows each of the last K positions.

        A model that learns as it goes, such as one by the calibrated rule, starts on what is before these positions.

        Args:
            input_ids: (B, T) tokens.
            attention_mask: (B, T), 0 at tokens that are not part of the text; None if all are. Tokens 256 before and
                after a text are no part of it anyway.
            labels: (B, T) tokens, usually ``input_ids``. The loss is the mean of -ln p of those after the first, nats;
                -100 marks tokens that do not count.
            logits_to_keep: K; 0 for T.
            use_cache: not used; the state of a call is kept in any case.
            return_dict: False for a tuple.
            others: further arguments of transformers' models; all must be None or False.

        Raises:
            UsageError: a token is not in 0 to 256, a byte follows token 256, or an argument cannot be followed.
        """
        _refuse(others)
        texts, shown = _texts(input_ids, attention_mask)
        counts = np.cumsum(shown, axis=1, dtype=np.int64)[:, -logits_to_keep:]  # bytes of the text up to each position
        logits = torch.full((*counts.shape, ALPHABET + 1), _NEVER)
        logits[:, :, :ALPHABET] = torch.from_numpy(self._log2_probs(texts, counts) * math.log(2)).float()
        loss = None if labels is None else _loss(logits, labels)
        output = CausalLMOutput(loss=loss, logits=logits.to(input_ids.device))
        return output.to_tuple() if return_dict is False else output

    def _log2_probs(self, texts: list[bytes], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (B, K, 256) log2 probabilities of the byte after the first ``counts``, (B, K), bytes of each text."""
        found = np.empty((*counts.shape, ALPHABET))
        if not counts.size:
            return found
        first = counts[:, 0]
        state = self._state_after([text[:count] for text, count in zip(texts, first.tolist(), strict=True)])
        rows = np.arange(len(texts))  # of ``texts``: row i of the state is rows[i]
        count = first.copy()
        while True:
            log2_probs = state.log2_probs()
            for row, one in zip(rows, log2_probs, strict=True):
                found[row, counts[row] == count[row]] = one
            going = np.flatnonzero(count[rows] < counts[rows, -1])
            if not len(going):
                return found
            # The state is that of a call, which may be gone on with.
            state, rows = state.fork(going), rows[going]
            state.extend(np.array([texts[row][count[row]] for row in rows], dtype=np.uint8))
            count[rows] += 1

    def _state_after(self, contexts: list[bytes]) -> State:
        """Return a state after ``contexts``, which goes on from that of an earlier call if it can."""
        calls = self._calls.kept
        for number, (before, state) in enumerate(calls):
            if contexts == before:
                return state
            known = {context: row for row, context in enumerate(before)}
            if all(context and context[:-1] in known for context in contexts):
                del calls[number]
                state = state.fork([known[context[:-1]] for context in contexts])
                state.extend(np.array([context[-1] for context in contexts], dtype=np.uint8))
                break
        else:
            state = self._model.start(contexts)
        calls.append((contexts, state))
        del calls[:-_CALLS]
        return state

    def prepare_inputs_for_generation(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Return the arguments of ``forward`` for the next token."""
        return {"input_ids": input_ids, "attention_mask": attention_mask, "logits_to_keep": 1}


def _refuse(options: dict[str, Any]) -> None:
    """Raise UsageError if one of ``options`` is set."""
    for name, value in options.items():
        if value is None or (isinstance(value, bool | int | float) and not value):
            continue
        why = _REFUSED.get(name, "they have no such input")
        raise UsageError(f"{name} is not for compressors: {why}; leave it out")


def _for_rows(prompts: torch.Tensor | None, rows: int, name: str) -> torch.Tensor | None:
    """Return (rows, T) ``prompts``, each repeated as often as it takes.

    Raises:
        UsageError: they do not go into ``rows``.
    """
    if prompts is None:
        return None
    if not len(prompts) or rows % len(prompts):
        raise UsageError(f"{name} must be as many rows as input_ids, or one, not {len(prompts)}")
    return prompts.repeat_interleave(rows // len(prompts), dim=0)


def _texts(input_ids: torch.Tensor, attention_mask: torch.Tensor | None) -> tuple[list[bytes], NDArray[np.bool_]]:
    """Return the text of each row, and (B, T), where its bytes stand in ``input_ids``.

    Raises:
        UsageError: there are other tokens than bytes and ``END``, or an ``END`` between bytes.
    """
    tokens = input_ids.numpy(force=True)
    if tokens.ndim != 2 or not np.issubdtype(tokens.dtype, np.integer):
        raise UsageError(f"input_ids must be (B, T) integers, not {tokens.shape} of {tokens.dtype}")
    shown = np.ones(tokens.shape, dtype=np.bool_)
    if attention_mask is not None:
        shown = attention_mask.numpy(force=True) != 0
        if shown.shape != tokens.shape:
            raise UsageError(f"attention_mask must be {tokens.shape}, as input_ids, not {shown.shape}")
    if ((tokens < 0) | (tokens > END))[shown].any():
        raise UsageError("input_ids: tokens must be bytes, 0 to 255, or 256 for the end and the padding")
    is_byte = shown & (tokens != END)
    begun = np.logical_or.accumulate(is_byte, axis=1)
    goes_on = np.logical_or.accumulate(is_byte[:, ::-1], axis=1)[:, ::-1]
    if (shown & ~is_byte & begun & goes_on).any():
        raise UsageError(
            "input_ids: bytes follow token 256, which ends a text; leave it out, or put 0 in attention_mask there"
        )
    return [bytes(row[kept].tolist()) for row, kept in zip(tokens, is_byte, strict=True)], is_byte


def _loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean of -ln p of (B, T) ``labels`` after the first, under the (B, T, 257) logits before them.

    Raises:
        UsageError: there are not as many logits as labels, or a label has probability 0.
    """
    if labels.shape != logits.shape[:2]:
        raise UsageError(f"labels must be {tuple(logits.shape[:2])}, as the logits, not {tuple(labels.shape)}")
    targets = labels[:, 1:].to(logits.device)
    if ((targets >= END) | ((targets < 0) & (targets != -100))).any():
        raise UsageError("labels: tokens must be bytes, 0 to 255, or -100 for what does not count, such as padding")
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten())
