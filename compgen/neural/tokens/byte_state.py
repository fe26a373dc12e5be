"""A tokenised language model as a distribution over bytes, exactly.

**The law of bytes.** Symbols:

- x is the window, a string of bytes. x[:i] is its first i bytes, and x[i:] the rest. b is a byte.
- s is a sequence of tokens, and p(s) the probability that the token model gives it: the product over its tokens of
  p(token | the tokens before it). p is restricted to tokens that spell bytes and tokens that end a text, and sums to
  one over these.
- N(x) is a set of token sequences that spell a beginning of x. Take every beginning x[:j], followed by nothing or by
  one probe (``tokeniser.py``), and its canonical encoding. N(x) holds all beginnings of these encodings that spell no
  more than x[:j], the empty one among them.
- W(x, b) is the mass of the next byte b, E(x) that of the end of the text. P is the distribution over both.

Then

    W(x, b)  = sum over s in N(x), which spells x[:i], of p(s) * sum of p(t | s) over tokens t that begin with x[i:] b
    E(x)     = sum over s in N(x), which spells x, of p(s) * p(end | s)
    P(b | x) = W(x, b) / (W(x, 0) + ... + W(x, 255) + E(x))

In words: W(x, b) is the chance that tokens drawn one after another come to spell x b, where all tokens but the last
follow a sequence in N(x). The model also gives some mass to sequences that no encoder writes. When the next byte shows
a sequence to be one of these, its mass is shared out among the others in proportion. Coding leaves the end out, because
a coder knows the length: rows are renormalised over 256 bytes.

A sequence that spells a text takes part in the sum at each of its bytes. So a text costs at most what its canonical
tokens cost, unless a pre-tokeniser looks further ahead than a probe. Each byte adds one sequence to the tree
(``tree.py``, with an example), rarely two: about one token-forward for each byte.

**Windows.** A row's window grows until its complete pieces have 2N tokens, and then reopens on its last complete pieces
that hold at most N tokens (``compgen/models/window.py``, in whole pieces). Where it reopens is a function of the bytes
alone. So a fresh start on the same bytes has the same window, and the same N(x).

**The beam.** With ``beam=K`` (bits) the base is always opened, and another node only if its mass is guessed to be
within K bits of the mass of all open nodes of its row. That takes fewer forwards and costs some code length. With 0,
every node is opened, and the law is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from compgen.models.base import ALPHABET, State, of_symbols
from compgen.models.quantise import frequencies_from_lengths
from compgen.neural.memory import room_for
from compgen.neural.tokens.engine import CausalLM
from compgen.neural.tokens.known_text import KnownText
from compgen.neural.tokens.nodes import NO_TOKEN, TokenNode
from compgen.neural.tokens.tokeniser import Tokeniser
from compgen.neural.tokens.tree import PieceWindow, TokenTree, fitting_window
from compgen.neural.tokens.tree_cache import TreeCache
from compgen.types import Frequencies, Rows, Symbols

_LOGITS = 1 << 26
"""The most logits in one forward, over all rows: 256 MiB of float32. Chosen: it bounds memory for many rows."""

_IMPOSSIBLE = 128.0
"""Bits in place of the infinite code length of a byte without mass. Far more than 24-bit frequencies can express."""


class TokenisedState(State):
    """B rows: a tree each, over one KV cache."""

    def __init__(self, engine: CausalLM, tokeniser: Tokeniser, cache: TreeCache, trees: list[TokenTree]) -> None:
        """Stand where ``trees`` stand: row i of ``cache`` holds the open nodes of tree i."""
        self._engine = engine
        self._tokeniser = tokeniser
        self._cache = cache
        self._trees = trees
        self._probabilities: NDArray[np.float64] | None = None
        ends = np.array(tokeniser.end_tokens, dtype=np.int64)
        self._columns = torch.from_numpy(np.concatenate([tokeniser.ids, ends])).to(engine.model.device)

    @classmethod
    def start(
        cls, engine: CausalLM, tokeniser: Tokeniser, prompts: Sequence[bytes], window: int = 0, beam: int = 0
    ) -> TokenisedState:
        """Return a state after ``prompts``. Equal prompts are read once.

        Args:
            engine: the model.
            tokeniser: its tokeniser.
            prompts: B byte strings.
            window: N, tokens; 0 for what ``fitting_window`` chooses.
            beam: K, bits; 0 opens every node.

        Raises:
            UsageError: the window is larger than the model's.
            IncompatibleError: the tokeniser has tokens that the model lacks.
        """
        rule = fitting_window(engine, tokeniser, window)
        different = list(dict.fromkeys(prompts))
        trees = [TokenTree(tokeniser, PieceWindow.after(tokeniser, rule, prompt), beam) for prompt in different]
        state = cls(engine, tokeniser, engine.new_cache(len(trees)), trees)
        state._prefill(range(len(trees)))
        state._open_nodes()
        return state if len(different) == len(prompts) else state.fork([different.index(p) for p in prompts])

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._trees)

    def extend(self, symbols: Symbols) -> None:
        """Append one byte to each row; ``symbols`` is (B,). Costs about one token-forward of all rows side by side."""
        replanted = [i for i, (tree, s) in enumerate(zip(self._trees, symbols.tolist(), strict=True)) if tree.append(s)]
        if replanted:
            self._prefill(replanted)
        self._open_nodes()
        self._probabilities = None

    def read(self, symbols: NDArray[np.uint8]) -> Frequencies:
        """Extend each row by T known bytes, and return the frequencies before each; see ``State.read``.

        It opens the nodes of many bytes side by side (``known_text.py``). The last bits are those of other batches than
        ``extend`` computes, so no coder may use it.
        """
        found = np.empty((*symbols.shape, ALPHABET), dtype=np.int64)
        done = 0
        while done < len(symbols):
            rest = [np.ascontiguousarray(column).tobytes() for column in symbols[done:].T]
            room = min(tree.room(data) for tree, data in zip(self._trees, rest, strict=True))
            if room:
                found[done : done + room] = self._read([data[:room] for data in rest])
                done += room
            if done < len(symbols):  # a window starts anew
                found[done] = self.frequencies()
                self.extend(symbols[done])
                done += 1
        return found

    def measure(self, symbols: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Extend each row by T known bytes, and return their frequencies, (T, B); see ``read``."""
        return of_symbols(self.read(symbols), symbols)

    def _read(self, parts: list[bytes]) -> Frequencies:
        """Do what ``read`` does, for one part of T bytes for each row, which the windows have room for."""
        texts = [KnownText(tree, part) for tree, part in zip(self._trees, parts, strict=True)]
        while any(closed := [text.settle() for text in texts]):
            self._open(closed)
        rows = [_frequencies(text.probabilities()) for text in texts]
        for text in texts:
            text.finish()
        self._probabilities = None
        return np.stack(rows, axis=1)

    def fork(self, rows: Rows) -> TokenisedState:
        """Return an independent state of the given rows, (k,): one gather of the cache."""
        chosen = np.asarray(rows, dtype=np.int64)
        trees = [self._trees[row].copy() for row in chosen.tolist()]
        return TokenisedState(self._engine, self._tokeniser, self._cache.fork(chosen), trees)

    def probabilities(self) -> NDArray[np.float64]:
        """Return (B, 257): P(b | x) of every byte b, and of the end of the text in the last column. Rows sum to 1."""
        if self._probabilities is None:
            self._probabilities = np.stack([tree.probabilities() for tree in self._trees])
        return self._probabilities

    def frequencies(self) -> Frequencies:
        """Return (B, 256) frequencies; see ``State``. A byte that the law rules out gets the least frequency."""
        return _frequencies(self.probabilities())

    def end_of_text(self) -> NDArray[np.float64]:
        """Return (B,) the probability that the text ends here, which coding leaves out."""
        ends: NDArray[np.float64] = self.probabilities()[:, ALPHABET]
        return ends

    def _prefill(self, rows: Sequence[int]) -> None:
        """Read the trunks of ``rows`` into the cache."""
        trunks = [self._trees[row].trunk for row in rows]
        with room_for(self.rows):
            self._cache.overwrite(np.asarray(rows, dtype=np.int64), self._engine.prefill(trunks))

    def _open_nodes(self) -> None:
        """Open the nodes that the trees name, in forwards of all rows side by side, and prune the trees."""
        while any(closed := [tree.nodes_to_open() for tree in self._trees]):
            self._open(closed)
        for tree in self._trees:
            tree.prune()

    def _open(self, closed: list[list[TokenNode]]) -> None:
        """Open the given nodes of each row, parents before children, in as few forwards as memory allows."""
        most = max(1, _LOGITS // (self.rows * self._engine.vocab_size))
        count = max(map(len, closed))
        size = -(-count // -(-count // most))  # of forwards of nearly equal size
        for begin in range(0, count, size):
            self._open_together([nodes[begin : begin + size] for nodes in closed])

    def _open_together(self, closed: list[list[TokenNode]]) -> None:
        """Open the given nodes of each row in one forward."""
        shape = (self.rows, max(map(len, closed)))
        tokens, positions, slots = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        places: list[tuple[int, int]] = []  # row and column of each node in these arrays
        for i, (tree, nodes) in enumerate(zip(self._trees, closed, strict=True)):
            for t, (node, slot) in enumerate(zip(nodes, tree.free_slots(len(nodes)), strict=True)):
                before = node.parent.slots if node.parent else node.slots
                node.slots = before if node.token == NO_TOKEN else before | 1 << slot
                tokens[i, t], positions[i, t], slots[i, t] = max(node.token, 0), before.bit_count(), slot
                places.append((i, t))
        self._cache.reserve(int(slots.max()) + 1)
        mask = np.zeros((*shape, self._cache.slots), dtype=np.bool_)
        mask[:, :, 0] = True  # padding attends to slot 0, since a softmax over nothing is NaN
        for i, t in places:
            if closed[i][t].token != NO_TOKEN:
                mask[i, t] = _bits(closed[i][t].slots, self._cache.slots)
        with room_for(self.rows):
            logits = self._engine.forward(self._cache, tokens, positions, slots, mask)
        count = len(self._tokeniser.ids)
        for i, t in places:
            share = self._shares(logits[i, t])
            node, data = closed[i][t], self._trees[i].pieces.data
            if node.token == NO_TOKEN:  # the model has read nothing: all tokens are equally likely
                share = np.full(count, 1 / count)
            node.open(self._tokeniser.trie, share[:count], float(share[count:].sum()), bytes(data[node.offset :]))

    def _shares(self, logits: torch.Tensor) -> NDArray[np.float64]:
        """Return (n + m,) probabilities from (vocab_size,) logits.

        The n tokens that spell bytes come first, in their order; then the m tokens that end a text.
        """
        shares: NDArray[np.float64] = torch.softmax(logits.index_select(0, self._columns).double(), dim=0).cpu().numpy()
        return shares


def _frequencies(probabilities: NDArray[np.float64]) -> Frequencies:
    """Return (B, 256) frequencies from (B, 257) probabilities, whose last column, the end of the text, is left out."""
    with np.errstate(divide="ignore"):
        lengths = -np.log2(probabilities[:, :ALPHABET])
    return frequencies_from_lengths(np.minimum(lengths, _IMPOSSIBLE))


def _bits(number: int, count: int) -> NDArray[np.bool_]:
    """Return the lowest ``count`` bits of ``number``, lowest first; ``count`` is a multiple of 8."""
    octets = np.frombuffer(number.to_bytes(count // 8, "little"), dtype=np.uint8)
    return np.unpackbits(octets, bitorder="little").astype(np.bool_)
