"""Any compressor or model in EleutherAI's lm-evaluation-harness, as the harness's model ``compgen``.

The harness (0.4.13) finds only the models in its own table. This module adds one to the table and starts the harness::

    python -m compgen.evaluation.harness --model compgen --model_args compressor=gzip --tasks piqa

``model_args`` are ``compressor`` (a spec; default gzip), ``rule``, ``effort``, ``window``, and ``seed``, the seed of
samples. In Python, import this module; then ``lm_eval.simple_evaluate(model="compgen", ...)`` works. Requests are
scored byte by byte, so the harness's ``bits_per_byte`` is the rate that compgen calls so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.evaluation.shards import batches
from compgen.extras import missing
from compgen.models import load
from compgen.models.base import PRECISION, ByteModel
from compgen.sampling import sample

try:
    from lm_eval.api.model import LM
    from lm_eval.api.registry import register_model
    from tqdm import tqdm
except ModuleNotFoundError as error:
    raise missing(error.name or "lm_eval", "lm-eval", "the harness") from None

_LENGTH = 256
"""Bytes generated if a task does not say how many; the harness's own models generate 256 tokens."""


@register_model("compgen")
class CompgenLM(LM):  # type: ignore[misc]
    """Answers the harness's three kinds of request by a next-byte distribution.

    Attributes:
        model: the model that gives the distribution.
        rows: number of requests that are scored side by side.
    """

    def __init__(
        self,
        compressor: str = "gzip",
        rule: str | None = None,
        effort: str | None = None,
        window: int | None = None,
        seed: int = 0,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
    ) -> None:
        """Build the model from ``--model_args`` and the batch size.

        Raises:
            UsageError: the spec or an option is wrong.
            MissingExtraError: the compressor needs a package that is not installed.
        """
        super().__init__()
        if batch_size is not None and not str(batch_size).isdecimal():
            raise UsageError(f"batch_size must be a whole number, not '{batch_size}'")
        self.model: ByteModel = load(compressor, rule=rule, effort=effort, window=window)
        self.rows = int(batch_size or 1)
        self._seed = seed

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return ln p of each (context, continuation), and whether each of its bytes was a most probable one."""
        pairs = [tuple(text.encode() for text in request.args) for request in requests]
        return self._score(pairs, disable_tqdm)

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Return ln p of each text without context. A long text is seen through the model's own context window."""
        pairs = [(b"", request.args[0].encode()) for request in requests]
        return [found for found, _ in self._score(pairs, disable_tqdm)]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Return a continuation of each context, up to a stop string or ``max_gen_toks`` bytes.

        Decoding is greedy unless the task says ``do_sample``.
        """
        made = []
        for request in tqdm(requests, disable=disable_tqdm):
            context, options = request.args
            until = options.get("until") or []
            drawn = sample(
                self.model,
                context,
                length=int(options.get("max_gen_toks") or _LENGTH),
                temperature=float(options.get("temperature") or 1) if options.get("do_sample") else 0.0,
                stop=[until] if isinstance(until, str) else until,
                seed=self._seed,
            )
            made.append(drawn[0].data.decode(errors="replace"))
        return made

    def _score(self, pairs: Sequence[tuple[bytes, ...]], quiet: bool) -> list[tuple[float, bool]]:
        groups = tqdm(list(batches(pairs, self.rows)), disable=quiet)
        return [found for group in groups for found in self._together(group)]

    def _together(self, pairs: Sequence[tuple[bytes, ...]]) -> list[tuple[float, bool]]:
        state = self.model.start([context for context, _ in pairs])
        texts = [text for _, text in pairs]
        lengths = np.array([len(text) for text in texts])
        symbols = np.zeros((len(texts), lengths.max(initial=0)), dtype=np.uint8)
        for row, text in enumerate(texts):
            symbols[row, : len(text)] = np.frombuffer(text, dtype=np.uint8)
        bits = np.zeros(len(texts))
        greedy: NDArray[np.bool_] = np.ones(len(texts), dtype=np.bool_)
        rows = np.arange(len(texts))
        for step, column in enumerate(symbols.T):
            going = lengths > step
            frequencies = state.frequencies()
            chosen = frequencies[rows, column]
            bits[going] += PRECISION - np.log2(chosen[going])
            # Frequencies that differ by one count are tied, and a greedy sampler may take either byte.
            greedy &= ~going | (chosen + 1 >= frequencies.max(axis=1))
            state.extend(column)
        return [(-bit * math.log(2), bool(is_greedy)) for bit, is_greedy in zip(bits, greedy, strict=True)]


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
