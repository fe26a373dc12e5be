"""Any compressor or model as a causal language model of transformers', with its ``generate()`` and logits processors.

Tokens are bytes. Token 256 ends and pads a text, and has probability 0. ::

    model = ByteCausalLM.over("gzip")
    prompt = torch.tensor([list(b"It was a dark and stormy night")])
    print(bytes(model.generate(prompt, max_new_tokens=40, do_sample=True, top_p=0.9)[0].tolist()))

Each call gets whole contexts (``use_cache=False``). If every context is one of the last call with one byte more, as in
sampling and beam search, the state of that call is forked and extended; otherwise a new state starts.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from compgen.errors import UsageError
from compgen.models import ByteModel, State, load
from compgen.models.base import ALPHABET

END = ALPHABET
"""The token that ends and pads a text: the first that is not a byte."""


class ByteConfig(PretrainedConfig):
    """A configuration that names a compressor or model by its spec."""

    model_type = "compgen"

    def __init__(self, spec: str = "gzip", **options: Any) -> None:
        """Take a spec; ``options`` are those of every transformers configuration."""
        super().__init__(**{"eos_token_id": END, "pad_token_id": END, "use_cache": False} | options)
        self.spec = spec
        self.vocab_size = ALPHABET + 1
        self.num_hidden_layers = 0


class ByteCausalLM(PreTrainedModel, GenerationMixin):
    """A next-byte distribution behind transformers' interface. It has no weights and cannot be trained."""

    config_class = ByteConfig
    main_input_name = "input_ids"

    def __init__(self, config: ByteConfig) -> None:
        """Load the model that the configuration names."""
        super().__init__(config)
        # transformers asks a model's weights for their device and type, and saves some: here is one without use.
        self.nothing = torch.nn.Parameter(torch.zeros(1), requires_grad=False)
        self._model: ByteModel = load(config.spec)
        self._contexts: list[bytes] = []
        self._state: State | None = None
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def over(cls, spec: str) -> ByteCausalLM:
        """Return the model of a spec, such as ``gzip``, ``gzip+ppmd`` or ``llm``."""
        return cls(ByteConfig(spec))

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **unused: Any
    ) -> CausalLMOutput:
        """Return logits, nats, of the byte after each context: (B, 1, 257).

        Args:
            input_ids: (B, T) tokens of the contexts.
            attention_mask: (B, T), 0 at the padding on the left of shorter contexts; None if there is none.
            unused: other arguments of transformers'.

        Raises:
            UsageError: a token is not in 0 to 256.
        """
        shown = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        rows = [row[keep.bool()].tolist() for row, keep in zip(input_ids, shown, strict=True)]
        try:
            # transformers goes on asking for rows that have ended, and ignores the answer.
            contexts = [bytes(row[: row.index(END)] if END in row else row) for row in rows]
        except ValueError:
            raise UsageError("input_ids: tokens must be bytes, 0 to 255, or 256 for the end and the padding") from None
        logits = torch.full((len(rows), 1, ALPHABET + 1), -torch.inf)
        logits[:, 0, :ALPHABET] = torch.from_numpy(self._log2_probs(contexts) * math.log(2)).float()
        return CausalLMOutput(logits=logits.to(input_ids.device))

    def _log2_probs(self, contexts: list[bytes]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return (B, 256) log2 probabilities of the byte after each context."""
        known = {context: row for row, context in enumerate(self._contexts)}
        if self._state is not None and all(context and context[:-1] in known for context in contexts):
            self._state = self._state.fork([known[context[:-1]] for context in contexts])
            self._state.extend(np.array([context[-1] for context in contexts], dtype=np.uint8))
        elif self._state is None or contexts != self._contexts:
            self._state = self._model.start(contexts)
        self._contexts = contexts
        return self._state.log2_probs()

    def prepare_inputs_for_generation(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Return the arguments of ``forward`` for the next token."""
        return {"input_ids": input_ids, "attention_mask": attention_mask}
