"""What known texts cost under a language model, by a parallel pass over each: transformers' own attention and cache.

This is how papers measure rates (teacher forcing): all tokens of a text are known, so many go through the network at
once. It is many times faster than the coder, which steps from token to token as its decoder must.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from compgen.errors import UsageError
from compgen.neural.memory import room_for
from compgen.neural.tokens.engine import CausalLM, cache_argument
from compgen.neural.tokens.tokeniser import Tokeniser

_ROWS = 8
"""The most texts of a batch. Chosen: a GPU gains from several, and their keys and values fit beside the weights."""
_LOGITS = 64 << 20
"""Logits of one forward. Chosen: 256 MB in float32, whatever the vocabulary."""

Stretch = tuple[int, int, int, int]
"""(text, begin, scored, end): the tokens from ``begin`` to ``end`` of a text are read, and those from ``scored`` on
are scored."""


def token_bits(
    engine: CausalLM, tokeniser: Tokeniser, texts: Sequence[bytes]
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return (ends, bits) for each text; see ``TokenModel.token_bits``.

    A text has the tokeniser's own encoding, with other tokens where that spells other bytes (``tokeniser.py``).
    Probabilities are over all logits of the model. A text of more tokens than the model has positions is read in
    stretches, each after half as many tokens of what came before.

    Raises:
        UsageError: a text holds a byte that no token spells.
        OutOfMemoryError: the device has too little memory.
    """
    tokens = [_encoded(tokeniser, text) for text in texts]
    start = tokeniser.start_token
    stretches = [(i, *part) for i, one in enumerate(tokens) for part in _stretches(len(one), _positions(engine))]
    stretches.sort(key=lambda part: part[1] - part[3])  # the longest first: the rows of a batch end from the last on
    bits = [np.zeros(len(one)) for one in tokens]
    for batch in (stretches[i : i + _ROWS] for i in range(0, len(stretches), _ROWS)):
        rows = [([] if start is None else [start]) + tokens[text][begin:end] for text, begin, _, end in batch]
        for (text, begin, scored, end), found in zip(batch, _pass(engine, rows), strict=True):
            known = np.zeros(end - begin - len(found))  # without a start token the first token follows nothing
            known[:] = math.log2(engine.vocab_size)
            bits[text][scored:end] = np.concatenate((known, found))[scored - begin :]
    return [(_ends(tokeniser, one), cost) for one, cost in zip(tokens, bits, strict=True)]


def _encoded(tokeniser: Tokeniser, text: bytes) -> list[int]:
    if missing := sorted(set(text) & tokeniser.missing):
        raise UsageError(
            f"the tokeniser has no token for the byte 0x{missing[0]:02X}; use a model that spells any bytes"
        )
    return tokeniser.encode_text(text)


def _ends(tokeniser: Tokeniser, tokens: Sequence[int]) -> NDArray[np.int64]:
    sizes = np.array([len(tokeniser.spell([token])) for token in tokens], dtype=np.int64)
    return np.maximum(np.cumsum(sizes) - len(tokeniser.lead), 0)


def _positions(engine: CausalLM) -> int:
    """Return the tokens that a text may have, the start token among them; sliding layers see to themselves."""
    config = engine.model.config.get_text_config()
    return int(getattr(config, "max_position_embeddings", None) or 1 << 20)


def _stretches(count: int, positions: int) -> list[tuple[int, int, int]]:
    """Return (begin, scored, end) of the stretches in which ``count`` tokens are read."""
    most = positions - 1
    found = [(0, 0, min(count, most))]
    while found[-1][2] < count:
        scored = found[-1][2]
        found.append((scored - most // 2, scored, min(count, scored - most // 2 + most)))
    return found


def _pass(engine: CausalLM, rows: list[list[int]]) -> list[NDArray[np.float64]]:
    """Return -log2 p of the tokens of each row, from the second on. Rows come longest first."""
    model, counts = engine.model, [max(len(row) - 1, 0) for row in rows]
    bits = [np.zeros(count) for count in counts]
    padded = torch.zeros((len(rows), counts[0] + 1), dtype=torch.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
    padded = padded.to(model.device)
    with torch.no_grad(), engine.plain_attention(), room_for(len(rows)):
        cache, begin, going = DynamicCache(config=model.config), 0, len(rows)
        while begin < counts[0]:
            left = sum(count > begin for count in counts)
            if left < going:
                cache.batch_select_indices(torch.arange(left, device=model.device))
                going = left
            end = min(counts[0], begin + max(1, _LOGITS // (going * engine.vocab_size)))
            costs = _costs(model, cache, padded[:going, begin:end], padded[:going, begin + 1 : end + 1])
            for i in range(going):
                bits[i][begin:end] = costs[i, : counts[i] - begin]
            begin = end
    return bits


def _costs(model: object, cache: DynamicCache, tokens: torch.Tensor, following: torch.Tensor) -> NDArray[np.float64]:
    """Append ``tokens``, (B, T), to the cache; return -log2 p of those that follow each, (B, T)."""
    logits = model(input_ids=tokens, use_cache=True, **{cache_argument(model): cache}).logits.float()  # type: ignore[operator]
    nats = torch.logsumexp(logits, dim=2) - logits.gather(2, following[..., None])[..., 0]
    return nats.double().cpu().numpy() / math.log(2)  # type: ignore[no-any-return]
