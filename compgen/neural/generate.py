"""Any distribution as a causal language model of Hugging Face's: ``generate()``, its samplers and logits processors.

Tokens are bytes; 256 ends and pads, and is never likely. ::

    model = ByteCausalLM.over("gzip")
    prompt = torch.tensor([list(b"It was a dark and stormy night")])
    print(bytes(model.generate(prompt, max_new_tokens=40, do_sample=True, top_p=0.9)[0].tolist()))

A call is given whole contexts, as ``use_cache=False`` has it; the state that answered the last call is extended where
they are one byte longer, also where rows have changed places, as in beam search.
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
"""The token that ends and pads."""


class ByteConfig(PretrainedConfig):
    """The spec of a compressor or model, as a configuration."""

    model_type = "compgen"

    def __init__(self, spec: str = "gzip", **options: Any) -> None:
        """``options`` are those of every configuration."""
        super().__init__(**{"eos_token_id": END, "pad_token_id": END, "use_cache": False} | options)
        self.spec = spec
        self.vocab_size = ALPHABET + 1
        self.num_hidden_layers = 0


class ByteCausalLM(PreTrainedModel, GenerationMixin):
    """A next-byte distribution behind transformers' interface; it has no weights, and cannot be trained."""

    config_class = ByteConfig
    main_input_name = "input_ids"

    def __init__(self, config: ByteConfig) -> None:
        """Load what the configuration names."""
        super().__init__(config)
        # It has no weights, but transformers asks weights for their device and type, and saves some.
        self.nothing = torch.nn.Parameter(torch.zeros(1), requires_grad=False)
        self._model: ByteModel = load(config.spec)
        self._contexts: list[bytes] = []
        self._state: State | None = None
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def over(cls, spec: str) -> ByteCausalLM:
        """Return the model of a spec: ``gzip``, ``gzip+ppmd``, ``llm`` ..."""
        return cls(ByteConfig(spec))

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **unused: Any
    ) -> CausalLMOutput:
        """Return logits (B, 1, 257) of the byte after each row of ``input_ids``, (B, T), padded to the left with 256.

        Raises:
            UsageError: a row holds an end before its last bytes, or what is no byte.
        """
        shown = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        rows = [row[keep.bool()].tolist() for row, keep in zip(input_ids, shown, strict=True)]
        try:
            # A row that has ended goes on being asked, and the answer is not used.
            contexts = [bytes(row[: row.index(END)] if END in row else row) for row in rows]
        except ValueError:
            raise UsageError("tokens are bytes, 0 to 255, and 256 at the end") from None
        logits = torch.full((len(rows), 1, ALPHABET + 1), -torch.inf)
        logits[:, 0, :ALPHABET] = torch.from_numpy(self._log2_probs(contexts) * math.log(2)).float()
        return CausalLMOutput(logits=logits.to(input_ids.device))

    def _log2_probs(self, contexts: list[bytes]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return (B, 256) log2 probabilities after each context."""
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
        """Return what ``forward`` takes."""
        return {"input_ids": input_ids, "attention_mask": attention_mask}
