"""A tokenised language model as a distribution over bytes, exactly.

**The law of bytes.** Let p be the token model, restricted to tokens that spell bytes and those that end a text. For
a window of bytes x, let N(x) be the set of token sequences that canonical encodings of beginnings of x, each followed
by nothing or by a probe (``tokeniser.py``), begin with and that spell a beginning of x; each with its own beginnings.
Then

    W(x, b) = sum over s in N(x), spelling x[:i], of p(s) * (mass under p(. | s) of tokens that begin with x[i:] b)
    E(x)    = sum over s in N(x), spelling x, of p(s) * p(end | s)
    P(b | x) = W(x, b) / (W(x, 0) + ... + W(x, 255) + E(x))

So W(x, b) is the chance that tokens drawn one after another come to spell x b, where all but the last follow a
path in N(x). What p gives to sequences that no encoder writes is shared out when the next byte shows them to be
such. Coding leaves the end out, for a coder knows lengths: rows renormalise over 256. A sequence that spells a text
takes part in each of its bytes; so a text costs at most what its canonical tokens cost, but where a pre-tokeniser
looks further ahead than the probes. Each byte offset opens one sequence, rarely two: one token-forward per byte.

**Windows.** A row's window grows until its complete pieces (``tokeniser.py``) have 2N tokens, and then starts again at
the pieces that hold its last N. Where it starts is a function of the bytes alone, so a fresh start on the same
bytes stands in the same window, and over the same N(x).

**The beam** (``beam=K``, bits) opens a sequence only where its mass is guessed to be within K bits of all that its row
has open, and where a piece ends, its encoding: fewer forwards, some bits more. Without (0), all are opened.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from compgen.models.base import ALPHABET, State
from compgen.models.quantise import frequencies_from_lengths
from compgen.neural.memory import room_for
from compgen.neural.tokens.engine import CausalLM, TreeCache
from compgen.neural.tokens.tokeniser import Tokens
from compgen.neural.tokens.tree import NOTHING, Node, PieceWindow, TokenTree, fitting_window
from compgen.types import Frequencies, Rows, Symbols

_LOGITS = 1 << 26  # logits computed at a time
_IMPOSSIBLE = 128.0  # bits; far over what frequencies can tell apart


class TokenisedState(State):
    """Rows over one cache; see the law above."""

    def __init__(self, engine: CausalLM, tokens: Tokens, cache: TreeCache, rows: list[TokenTree]) -> None:
        self._engine = engine
        self._tokens = tokens
        self._cache = cache
        self._rows = rows
        self._masses: NDArray[np.float64] | None = None

    @classmethod
    def start(
        cls, engine: CausalLM, tokens: Tokens, prompts: Sequence[bytes], window: int = 0, beam: int = 0
    ) -> TokenisedState:
        """Return a state after ``prompts``; equal ones are read once.

        Args:
            engine: the model.
            tokens: its tokeniser.
            prompts: B byte strings.
            window: N, tokens; 0 for what ``fitting_window`` finds.
            beam: K, bits; 0 opens all.

        Raises:
            UsageError: the window is larger than the model's.
            IncompatibleError: the tokeniser has tokens that the model lacks.
        """
        size = fitting_window(engine, tokens, window)
        different = list(dict.fromkeys(prompts))
        rows = [TokenTree(tokens, PieceWindow.after(tokens, size, prompt), beam) for prompt in different]
        for row in rows:
            row.plant()
        state = cls(engine, tokens, engine.cache(len(rows)), rows)
        state._read(range(len(rows)))
        state._open_wanted()
        return state if len(different) == len(prompts) else state.fork([different.index(p) for p in prompts])

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._rows)

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row: about one token-forward of all rows side by side."""
        again = [i for i, (row, s) in enumerate(zip(self._rows, symbols.tolist(), strict=True)) if row.append(s)]
        if again:
            self._read(again)
        self._open_wanted()
        self._masses = None

    def fork(self, rows: Rows) -> TokenisedState:
        """Return a state of the given rows: one gather of the cache."""
        chosen = np.asarray(rows, dtype=np.int64)
        return TokenisedState(
            self._engine, self._tokens, self._cache.fork(chosen), [self._rows[row].copy() for row in chosen.tolist()]
        )

    def probabilities(self) -> NDArray[np.float64]:
        """Return (B, 257) P(b | x) of every byte, and of the end of the text, in the last column; rows sum to 1."""
        if self._masses is None:
            self._masses = np.stack([row.masses() for row in self._rows])
        return self._masses

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies; no byte is impossible, whatever the model says."""
        with np.errstate(divide="ignore"):
            lengths = -np.log2(self.probabilities()[:, :ALPHABET])
        return frequencies_from_lengths(np.minimum(lengths, _IMPOSSIBLE))

    def end_of_text(self) -> NDArray[np.float64]:
        """Return (B,) the chance that the text ends here, which coding leaves out."""
        ends: NDArray[np.float64] = self.probabilities()[:, ALPHABET]
        return ends

    def _read(self, rows: Sequence[int]) -> None:
        """Read what lies before the trees of ``rows`` into the cache."""
        trunks = [self._rows[row].trunk for row in rows]
        with room_for(self.rows):
            self._cache.put(np.asarray(rows, dtype=np.int64), self._engine.read(trunks))

    def _open_wanted(self) -> None:
        """Open the nodes that rows want, in forwards of all rows."""
        while True:
            wanted = [row.wanted() for row in self._rows]
            if not any(wanted):
                break
            self._open(wanted)
        for row in self._rows:
            row.prune()

    def _open(self, wanted: list[list[Node]]) -> None:
        most = max(1, _LOGITS // (self.rows * self._engine.width))
        for begin in range(0, max(map(len, wanted)), most):
            self._open_some([nodes[begin : begin + most] for nodes in wanted])

    def _open_some(self, wanted: list[list[Node]]) -> None:
        width = max(map(len, wanted))
        shape = (self.rows, width)
        tokens, positions, slots = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        places: list[tuple[int, int]] = []
        for i, (row, nodes) in enumerate(zip(self._rows, wanted, strict=True)):
            for t, (node, slot) in enumerate(zip(nodes, row.free(len(nodes)), strict=True)):
                before = node.parent.seen if node.parent else node.seen
                node.seen = before if node.token == NOTHING else before | 1 << slot
                tokens[i, t], positions[i, t], slots[i, t] = max(node.token, 0), before.bit_count(), slot
                places.append((i, t))
        self._cache.reserve(int(slots.max()) + 1)
        visible = np.zeros((*shape, self._cache.slots), dtype=np.bool_)
        visible[:, :, 0] = True
        for i, t in places:
            if wanted[i][t].token != NOTHING:
                visible[i, t] = _bits(wanted[i][t].seen, self._cache.slots)
        with room_for(self.rows):
            logits = self._engine.forward(self._cache, tokens, positions, slots, visible)
            shares = self._shares(logits[[i for i, _ in places], [t for _, t in places]])
        for (i, t), share in zip(places, shares, strict=True):
            node, row = wanted[i][t], self._rows[i]
            size = len(self._tokens.ids)
            if node.token == NOTHING:  # a model without a token that begins a text: all tokens are as likely
                share = np.full(size, 1 / size)
            node.open(self._tokens.trie, share[:size], float(share[size:].sum()), bytes(row.window.data[node.offset :]))

    def _shares(self, logits: torch.Tensor) -> NDArray[np.float64]:
        """Return (k, n + ends) probabilities of tokens that spell bytes, in their order, then of those that end."""
        columns = torch.from_numpy(np.concatenate([self._tokens.ids, np.array(self._tokens.ends, dtype=np.int64)]))
        shares: NDArray[np.float64] = torch.softmax(logits[:, columns.to(logits.device)].double(), dim=1).cpu().numpy()
        return shares


def _bits(number: int, count: int) -> NDArray[np.bool_]:
    octets = np.frombuffer(number.to_bytes(count // 8, "little"), dtype=np.uint8)
    return np.unpackbits(octets, bitorder="little").astype(np.bool_)
