"""A tokenised language model as a distribution over its own tokens: a forward a token instead of one a byte.

The alphabet is the tokens that spell bytes. A row's context grows to 2N tokens and then starts again at its last N,
each time after the token that begins a text. A step, of a token found at a point or given, is one computation where the
logits are, the same for both; only points, tokens and intervals cross to the host.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from compgen.models.language import TokenState
from compgen.neural.cuda_graphs import Graphs, intervals, located
from compgen.neural.memory import room_for
from compgen.neural.tokens.engine import CausalLM
from compgen.neural.tokens.tokeniser import Tokens
from compgen.neural.tokens.tree import fitting_window


class TokenCoderState(TokenState):
    """B rows; intervals lie in [0, 2**precision)."""

    precision = 30

    def __init__(self, engine: CausalLM, tokens: Tokens, window: int, contexts: list[list[int]]) -> None:
        self._engine = engine
        self._tokens = tokens
        self._size = window
        self._contexts = contexts
        ids = np.sort(tokens.ids)
        self._ids = torch.from_numpy(ids).to(engine.model.device)
        self._columns = np.full(int(ids[-1]) + 1, -1, dtype=np.int64)
        self._columns[ids] = np.arange(len(ids))
        together = ids[-1] - ids[0] + 1 == len(ids)  # so that nothing need be picked out
        self._spelling = slice(int(ids[0]), int(ids[-1]) + 1) if together else self._ids
        rows, device = len(contexts), self._ids.device
        self._cache = engine.cache(rows)
        self._graphs = Graphs(device)
        with room_for(rows):
            self._given = torch.zeros((2, rows), dtype=torch.int64, device=device)  # points, and sizes of contexts
            self._found = torch.zeros((3, rows), dtype=torch.int64, device=device)  # tokens, lows, widths
            self._ends = torch.zeros((rows, len(self._ids)), dtype=torch.int32, device=device)
            self._open(range(rows), [context[:-1] for context in contexts])
            self._cache.reserve(max(map(len, contexts)) + 1)
            self._given[1] = torch.tensor([len(context) for context in contexts])
            self._follow(torch.tensor([context[-1] if context else 0 for context in contexts], device=device))

    @classmethod
    def start(cls, engine: CausalLM, tokens: Tokens, prompts: Sequence[bytes], window: int = 0) -> TokenCoderState:
        """Return a state whose rows stand after the encodings of ``prompts``; errors as in ``fitting_window``."""
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

    def append(self, tokens: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append one token to each row, and return (low, frequency), (B,) each: where they lay in [0, 2**precision)."""
        columns = torch.from_numpy(self._columns[tokens]).to(self._ends.device)
        # By a point of theirs: a decoder has no more, and is to compute the same.
        _, low, width = self._append(intervals(self._ends, columns[:, None])[0])
        return low, width

    def append_at(self, points: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return (tokens, low, frequency), (B,) each, of the intervals that hold each row's point, and append them."""
        tokens, low, width = self._append(torch.from_numpy(points))
        return tokens, low, width

    def spell(self, tokens: NDArray[np.int64]) -> bytes:
        """Return the bytes that ``tokens`` spell."""
        return self._tokens.spell(tokens.tolist())

    def _append(self, points: torch.Tensor) -> NDArray[np.int64]:
        """Append the tokens at ``points``; return what was found, (3, B)."""
        begin = [] if self._tokens.root is None else [self._tokens.root]
        full = [row for row, context in enumerate(self._contexts) if len(context) + 1 == 2 * self._size + len(begin)]
        for row in full:  # the token to come is the last of N
            context = self._contexts[row]
            self._contexts[row] = begin + context[len(context) + 1 - self._size :]
        sizes = [len(context) + 1 for context in self._contexts]
        with room_for(self.rows):
            if full:
                self._open(full, [self._contexts[row] for row in full])
            if max(sizes) >= self._cache.slots:
                self._cache.reserve(max(sizes) + 1)
                self._graphs = Graphs(self._ends.device)  # what those had captured is elsewhere now
            self._given[0], self._given[1] = points, torch.tensor(sizes)
            self._graphs.run(self._cache.slots, self._step)
            found = self._found.cpu().numpy().copy()  # which on a CPU is the tensor's own
        for context, token in zip(self._contexts, found[0].tolist(), strict=True):
            context.append(token)
        return found

    def _open(self, rows: Sequence[int], contexts: list[list[int]]) -> None:
        """Read the contexts of ``rows``."""
        self._cache.put(np.asarray(rows, dtype=np.int64), self._engine.read(contexts))

    def _step(self, _: int) -> None:
        """Find the tokens at the points that are given, and read them."""
        columns, low, width = located(self._ends, self._given[0])
        self._found.copy_(torch.stack((self._ids[columns], low, width)))
        self._follow(self._found[0])

    @torch.no_grad()
    def _follow(self, tokens: torch.Tensor) -> None:
        """Read a token of each row, the last of its context, and sum the frequencies of what may follow."""
        sizes, count = self._given[1][:, None], len(self._ids)
        here = torch.arange(self._cache.slots, device=sizes.device)
        visible = torch.where(sizes > 0, (here > 0) & (here <= sizes), here == 0)[:, None]
        logits = self._engine.step(self._cache, tokens[:, None], (sizes - 1).clamp(min=0), sizes, visible)[:, 0]
        shares = torch.softmax(logits[:, self._spelling], dim=1)
        # Where nothing begins a text, all tokens are as likely.
        shares = torch.where(sizes > 0, shares, 1 / count)
        widths = (shares * ((1 << self.precision) - count)).int() + 1
        rest = (1 << self.precision) - widths.sum(dim=1, keepdim=True)  # what rounding left, or took: to the largest
        widths.scatter_add_(1, widths.argmax(dim=1, keepdim=True), rest.int())
        torch.cumsum(widths, dim=1, dtype=torch.int32, out=self._ends)
