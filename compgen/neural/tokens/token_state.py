"""A tokenised language model as a distribution over its own tokens: one forward for each token, not for each byte.

The alphabet is the tokens that spell bytes. A row's window grows to 2N tokens and then reopens on its last N
(``compgen/models/window.py``), each time after the token that begins a text. To append a token is one computation on
the model's device: find the token at a point, read it, and sum the frequencies of the tokens that may follow. It is the
same whether the token is given (an encoder) or found (a decoder). Only points, tokens and intervals cross to the host.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from compgen.models.language import TokenState
from compgen.models.window import Window
from compgen.neural.cuda_graphs import Graphs, intervals, located
from compgen.neural.memory import room_for
from compgen.neural.tokens.engine import CausalLM
from compgen.neural.tokens.tokeniser import Tokeniser
from compgen.neural.tokens.tree import fitting_window


class TokenCoderState(TokenState):
    """B rows of tokens. Intervals lie in [0, 2**precision)."""

    precision = 30  # chosen: cumulative frequencies fit int32, with 13 bits to spare over 2**17 tokens

    def __init__(self, engine: CausalLM, tokeniser: Tokeniser, window: Window, contexts: list[list[int]]) -> None:
        """Stand after ``contexts``: the tokens of each row, with the start token if there is one."""
        self._engine = engine
        self._tokeniser = tokeniser
        self._window = window
        self._begin = [] if tokeniser.start_token is None else [tokeniser.start_token]
        self._contexts = contexts
        ids = np.sort(tokeniser.ids)
        self._ids = torch.from_numpy(ids).to(engine.model.device)
        self._columns = np.full(int(ids[-1]) + 1, -1, dtype=np.int64)  # the place in ``ids`` of each token
        self._columns[ids] = np.arange(len(ids))
        contiguous = ids[-1] - ids[0] + 1 == len(ids)
        # A slice of the logits is a view; an index copies them.
        self._spelling = slice(int(ids[0]), int(ids[-1]) + 1) if contiguous else self._ids
        rows, device = len(contexts), self._ids.device
        self._cache = engine.new_cache(rows)
        self._graphs = Graphs(device)
        with room_for(rows):
            # Captured graphs read and write these tensors, so they stay where they are.
            self._given = torch.zeros((2, rows), dtype=torch.int64, device=device)  # points, sizes of contexts
            self._found = torch.zeros((3, rows), dtype=torch.int64, device=device)  # tokens, lows, frequencies
            self._ends = torch.zeros((rows, len(self._ids)), dtype=torch.int32, device=device)  # cumulative frequencies
            self._prefill(range(rows), [context[:-1] for context in contexts])
            self._cache.reserve(max(map(len, contexts)) + 1)
            self._given[1] = torch.tensor([len(context) for context in contexts])
            self._read(torch.tensor([context[-1] if context else 0 for context in contexts], device=device))

    @classmethod
    def start(
        cls, engine: CausalLM, tokeniser: Tokeniser, prompts: Sequence[bytes], window: int = 0
    ) -> TokenCoderState:
        """Return a state whose B rows stand after the last N tokens of their prompts' canonical encodings.

        Args:
            engine: the model.
            tokeniser: its tokeniser.
            prompts: B byte strings, without bytes that no token spells.
            window: N, tokens; 0 for what ``fitting_window`` chooses.

        Raises:
            UsageError: the window is larger than the model's.
            IncompatibleError: the tokeniser has tokens that the model lacks.
        """
        rule = fitting_window(engine, tokeniser, window)
        begin = [] if tokeniser.start_token is None else [tokeniser.start_token]
        known = [tokeniser.encode(tokeniser.lead + prompt)[-rule.size :] if prompt else [] for prompt in prompts]
        return cls(engine, tokeniser, rule, [begin + tokens for tokens in known])

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._contexts)

    @property
    def lead(self) -> bytes:
        """The bytes that the tokeniser puts before every text; the tokens of a text spell them first."""
        return self._tokeniser.lead

    def append(self, tokens: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Append one token to each row; ``tokens`` is (B,). Return (low, frequency), (B,) each, of their intervals."""
        columns = torch.from_numpy(self._columns[tokens]).to(self._ends.device)
        # The tokens are found again at a point in their intervals: so an encoder computes what a decoder does.
        _, low, width = self._append(intervals(self._ends, columns[:, None])[0])
        return low, width

    def append_at(self, points: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Append to each row the token whose interval holds the row's point; ``points`` is (B,).

        Return (tokens, low, frequency), (B,) each.
        """
        tokens, low, width = self._append(torch.from_numpy(points))
        return tokens, low, width

    def spell(self, tokens: NDArray[np.int64]) -> bytes:
        """Return the bytes that ``tokens``, (k,), spell."""
        return self._tokeniser.spell(tokens.tolist())

    def _append(self, points: torch.Tensor) -> NDArray[np.int64]:
        """Append the tokens at ``points``, (B,); return tokens, lows and frequencies, (3, B)."""
        self._reopen()
        sizes = [len(context) + 1 for context in self._contexts]
        with room_for(self.rows):
            if max(sizes) >= self._cache.slots:
                self._cache.reserve(max(sizes) + 1)
                self._graphs = Graphs(self._ends.device)  # captured graphs hold the old buffers
            self._given[0], self._given[1] = points, torch.tensor(sizes)
            self._graphs.run(self._cache.slots, self._step)
            found = self._found.cpu().numpy().copy()  # on a CPU the array would share the tensor's memory
        for context, token in zip(self._contexts, found[0].tolist(), strict=True):
            context.append(token)
        return found

    def _reopen(self) -> None:
        """Reopen the windows that the next token fills. That token is the last of the N, so N - 1 are read here."""
        begin, kept = len(self._begin), self._window.size - 1
        full = [i for i, context in enumerate(self._contexts) if self._window.is_full(len(context) - begin + 1)]
        for row in full:
            context = self._contexts[row]
            self._contexts[row] = self._begin + context[len(context) - kept :]
        if full:
            with room_for(self.rows):
                self._prefill(full, [self._contexts[row] for row in full])

    def _prefill(self, rows: Sequence[int], contexts: list[list[int]]) -> None:
        """Read ``contexts``, one for each of ``rows``, into the cache."""
        self._cache.overwrite(np.asarray(rows, dtype=np.int64), self._engine.prefill(contexts))

    def _step(self, _: int) -> None:
        """Find the tokens at the given points, and read them."""
        columns, low, width = located(self._ends, self._given[0])
        self._found.copy_(torch.stack((self._ids[columns], low, width)))
        self._read(self._found[0])

    @torch.no_grad()
    def _read(self, tokens: torch.Tensor) -> None:
        """Read the last token of each row, (B,), and sum the frequencies of the tokens that may follow."""
        sizes, count = self._given[1][:, None], len(self._ids)
        here = torch.arange(self._cache.slots, device=sizes.device)
        mask = torch.where(sizes > 0, (here > 0) & (here <= sizes), here == 0)[:, None]
        positions = (sizes - 1).clamp(min=0)
        logits = self._engine.forward_tensors(self._cache, tokens[:, None], positions, sizes, mask)[:, 0]
        shares = torch.softmax(logits[:, self._spelling], dim=1)
        # A row without any token has read nothing: all tokens are equally likely.
        shares = torch.where(sizes > 0, shares, 1 / count)
        widths = (shares * ((1 << self.precision) - count)).int() + 1
        rest = (1 << self.precision) - widths.sum(dim=1, keepdim=True)  # rounding's error goes to the likeliest token
        widths.scatter_add_(1, widths.argmax(dim=1, keepdim=True), rest.int())
        torch.cumsum(widths, dim=1, dtype=torch.int32, out=self._ends)
