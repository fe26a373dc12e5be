"""A tokenised language model as a distribution over its own tokens: a forward a token instead of one a byte.

The alphabet is the tokens that spell bytes. A row's context grows to 2N tokens and then starts again at its last N,
each time after the token that begins a text. Frequencies are integers, summed where the logits are; only intervals
leave the device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from compgen.models.causal_lm import CausalLM
from compgen.models.device_memory import room_for
from compgen.models.token_tree import fitting_window
from compgen.models.tokens import Tokens


class TokenCoderState:
    """B rows; intervals lie in [0, 2**precision)."""

    precision = 30

    def __init__(self, engine: CausalLM, tokens: Tokens, window: int, contexts: list[list[int]]) -> None:
        self._engine = engine
        self._tokens = tokens
        self._size = window
        self._contexts = contexts
        self._ids = torch.from_numpy(tokens.ids).to(engine.model.device)
        self._columns = np.full(int(tokens.ids.max()) + 1, -1, dtype=np.int64)
        self._columns[tokens.ids] = np.arange(len(tokens.ids))
        self._cache = engine.cache(len(contexts))
        self._ends: torch.Tensor
        self._read(range(len(contexts)))
        self._step()

    @classmethod
    def start(cls, engine: CausalLM, tokens: Tokens, prompts: Sequence[bytes], window: int = 0) -> TokenCoderState:
        """Return a state of rows that stand after the encodings of ``prompts``; errors as in ``TokenState.start``."""
        size = fitting_window(engine, tokens, window)
        begin = [] if tokens.root is None else [tokens.root]
        contexts = [begin + (tokens.encode(tokens.lead + prompt)[-size:] if prompt else []) for prompt in prompts]
        return cls(engine, tokens, size, contexts)

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._contexts)

    @property
    def lead(self) -> bytes:
        """What the tokeniser puts before a text: the tokens of a text spell it first."""
        return self._tokens.lead

    def intervals(self, tokens: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (low, frequency), (B,) each: where each row's token lies in [0, 2**precision)."""
        return self._intervals(torch.from_numpy(self._columns[tokens]).to(self._ends.device))

    def locate(self, points: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return (tokens, low, frequency), (B,) each: whose interval holds each row's point."""
        wanted = torch.from_numpy(points).to(self._ends.device)
        columns = torch.searchsorted(self._ends, wanted[:, None], right=True)[:, 0]
        return self._tokens.ids[columns.cpu().numpy()], *self._intervals(columns)

    def extend(self, tokens: NDArray[np.int64]) -> None:
        """Append one token to each row: one token-forward."""
        again = []
        begin = [] if self._tokens.root is None else [self._tokens.root]
        for row, token in enumerate(tokens.tolist()):
            context = self._contexts[row]
            context.append(token)
            if len(context) == 2 * self._size + len(begin):
                self._contexts[row] = begin + context[-self._size :]
                again.append(row)
        if again:
            self._read(again)
        self._step()

    def spell(self, tokens: NDArray[np.int64]) -> bytes:
        """Return the bytes that ``tokens`` spell."""
        return self._tokens.spell(tokens.tolist())

    def _intervals(self, columns: torch.Tensor) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        high = self._ends.gather(1, columns[:, None])[:, 0]
        before = self._ends.gather(1, (columns - 1).clamp(min=0)[:, None])[:, 0]
        low = torch.where(columns > 0, before, torch.zeros_like(before))
        return low.cpu().numpy(), (high - low).cpu().numpy()

    def _read(self, rows: Sequence[int]) -> None:
        """Read all but the last tokens of the contexts of ``rows``."""
        with room_for(self.rows):
            part = self._engine.read([self._contexts[row][:-1] for row in rows])
            self._cache.put(np.asarray(rows, dtype=np.int64), part)

    def _step(self) -> None:
        """Read the last token of every row, and sum the frequencies of what may follow."""
        with room_for(self.rows):
            self._sum()

    def _sum(self) -> None:
        sizes = np.array([[len(context)] for context in self._contexts], dtype=np.int64)
        count = len(self._ids)
        if sizes.min() == 0:  # a model without a token that begins a text: all tokens are as likely
            shares = torch.full((self.rows, count), 1 / count, dtype=torch.float64, device=self._ids.device)
        else:
            self._cache.reserve(int(sizes.max()) + 1)
            here = np.arange(self._cache.slots)
            visible = ((here > 0) & (here <= sizes))[:, None]
            last = np.array([[context[-1]] for context in self._contexts], dtype=np.int64)
            logits = self._engine.forward(self._cache, last, sizes - 1, sizes, visible)[:, 0]
            shares = torch.softmax(logits[:, self._ids].double(), dim=1)
        spread = (1 << self.precision) - count
        widths = (shares * spread).long() + 1
        rest = (1 << self.precision) - widths.sum(dim=1, keepdim=True)  # what rounding down left: to the largest
        widths.scatter_add_(1, widths.argmax(dim=1, keepdim=True), rest)
        self._ends = widths.cumsum(dim=1)
