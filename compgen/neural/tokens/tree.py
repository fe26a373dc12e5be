"""What one row of a tokenised model keeps: its window of bytes, and a tree of token sequences over its last pieces.

Several token sequences may spell the bytes of a text so far, and each has an opinion about the next byte. The law in
``byte_state.py`` adds them up. Words:

- A *piece* is a part of the text that the tokeniser encodes by itself, as a rule a word. The last piece is open: more
  bytes may come to it. The others are complete. A *probe* is a character put after the open piece, to learn how its
  bytes may be encoded in the end; the encodings found are its *candidates* (``tokeniser.py``).
- A *node* stands for a token sequence that spells the beginning of the window. Its parent is the sequence without the
  last token.
- A node is *open* once the model has read its tokens, so that the probabilities of the next token are known. To open a
  node costs one token-forward and one slot of the KV cache.
- The *base* is the node of the canonical encoding of all complete pieces. Candidates of the open piece go on from it.
- The *trunk* is the tokens before the tree. The model reads them all at once (prefill).

An example: the window holds ``The se``, and the vocabulary has ``The``, ``␣s``, ``␣sea``, ``ea`` and every single byte
(``␣`` is a space). ``The`` is a complete piece, ``␣se`` is the open one, and its candidates so far were ``␣``, ``␣s``
and ``␣s e``. The tree keeps for each open node the tokens that begin with the bytes after it::

    start ── The ──┬── ␣             node       bytes after it   tokens that go on with them
             base  └── ␣s ── e       The        ␣se              ␣sea
                                     The ␣      se               none
                                     The ␣s     e                ea
                                     The ␣s e                    every token

So the byte ``a`` may come from ``␣sea`` after ``The``, from ``ea`` after ``The ␣s``, or from any token that begins with
``a`` after ``The ␣s e``. No node stands for ``The ␣ s``, since no encoder writes it. Each byte that comes leaves fewer
tokens, and older nodes without any are pruned.

Nothing here calls the model. The tree says which nodes to open; ``byte_state.py`` opens those of all rows side by side.
"""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compgen.errors import IncompatibleError, UsageError
from compgen.models.base import ALPHABET
from compgen.models.window import Window
from compgen.neural.tokens.engine import CausalLM
from compgen.neural.tokens.tokeniser import PIECE_BYTES, Tokeniser, TrieNode

WINDOW = 512
"""N, tokens: the context window by default, if the model has enough positions.

Chosen: a longer window predicts better, and costs more memory and time for each token-forward.
"""

SPARE_POSITIONS = PIECE_BYTES + 8
"""Positions that a model must have beyond 2N.

An open piece has at most ``PIECE_BYTES + 3`` tokens, one for each byte. The start token needs a position, too. The rest
is to spare.
"""

NO_TOKEN = -1
"""The token of a root node if the tokeniser has no token that begins a text."""

_BITS_PER_BYTE = 3.0
"""Bits for each byte that the beam assumes a closed node to lose until it opens.

Chosen among 2 to 4, which did alike when the beam was made (commit 069b390).
"""


def fitting_window(engine: CausalLM, tokeniser: Tokeniser, size: int) -> Window:
    """Return the window of ``size`` tokens; for 0 the largest that the model has positions for, up to ``WINDOW``.

    Raises:
        UsageError: the model has too few positions.
        IncompatibleError: the tokeniser has tokens that the model lacks.
    """
    last = max(tokeniser.ids.max(), tokeniser.start_token or 0, *tokeniser.end_tokens)
    if last >= engine.vocab_size:
        raise IncompatibleError(
            f"the tokeniser has tokens up to {last}, and the model {engine.vocab_size} logits: "
            "they do not belong together; use the tokeniser that was saved with the weights"
        )
    most = (engine.max_positions - SPARE_POSITIONS) // 2
    if most < 1:
        raise UsageError(
            f"the model reads {engine.max_positions} tokens, fewer than the {SPARE_POSITIONS + 2} that bytes need; "
            "use another model"
        )
    if not 0 <= size <= most:
        raise UsageError(f"window must be between 1 and {most} tokens for this model, not {size}")
    return Window(size or min(WINDOW, most))


class PieceWindow:
    """The bytes of a row's window, cut into pieces.

    Attributes:
        window: the rule of the window, in tokens.
        data: the bytes.
        begins: where each piece begins in ``data``; the last one is open.
        counts: how many tokens each complete piece has.
    """

    def __init__(self, tokeniser: Tokeniser, window: Window, data: bytes = b"") -> None:
        self._tokeniser = tokeniser
        self.window = window
        self.data = bytearray()
        self.begins = [0]
        self.counts: list[int] = []
        for symbol in data:
            self.append(symbol)

    @classmethod
    def after(cls, tokeniser: Tokeniser, window: Window, prompt: bytes) -> PieceWindow:
        """Return the window at the end of ``prompt``, reopened and emptied where growing byte by byte would do so."""
        pieces = cls(tokeniser, window, tokeniser.lead)
        for symbol in prompt:
            if symbol in tokeniser.missing:
                pieces = cls(tokeniser, window)
            elif pieces.append(symbol) and pieces.is_full:
                pieces = pieces.reopened()
        return pieces

    @property
    def open_piece(self) -> bytes:
        """The bytes of the open piece."""
        return bytes(self.data[self.begins[-1] :])

    @property
    def is_full(self) -> bool:
        """Whether the complete pieces have 2N tokens or more."""
        return self.window.is_full(sum(self.counts))

    def append(self, symbol: int) -> bool:
        """Append one byte; return whether it begins a new piece."""
        here = len(self.data)
        cut = here > 0 and self._tokeniser.begins_piece(here - self.begins[-1], self.data[-1], symbol)
        if cut:
            self.counts.append(len(self._tokeniser.encode_piece(self.open_piece)))
            self.begins.append(here)
        self.data.append(symbol)
        return cut

    def reopened(self) -> PieceWindow:
        """Return the window of the last complete pieces that hold at most N tokens together, and of the open piece."""
        kept, left = len(self.counts), self.window.size
        while kept and self.counts[kept - 1] <= left:
            kept -= 1
            left -= self.counts[kept]
        origin = self.begins[kept]
        pieces = PieceWindow(self._tokeniser, self.window)
        pieces.data = self.data[origin:]
        pieces.begins = [begin - origin for begin in self.begins[kept:]]
        pieces.counts = self.counts[kept:]
        return pieces

    def copy(self) -> PieceWindow:
        """Return an independent copy."""
        pieces = copy.copy(self)
        pieces.data, pieces.begins, pieces.counts = self.data.copy(), self.begins.copy(), self.counts.copy()
        return pieces


def _log2(share: float) -> float:
    """Return log2 of ``share``, and a very small number for 0."""
    return float(np.log2(max(share, 1e-300)))


@dataclass(slots=True, eq=False)
class TokenNode:
    """A token sequence s that spells the beginning of a row's window; once open, with what may follow it.

    Attributes:
        parent: the sequence without its last token; None at the root, and for open nodes after pruning.
        token: the last token, or ``NO_TOKEN``.
        offset: how many bytes of the window the sequence spells.
        children: the nodes one token longer, by that token.
        is_open: True once the model has read the tokens.
        slots: a set of slots as the bits of a number: those of the sequence's own tokens. A closed root holds those of
            the tokens before it.
        log2_prob: log2 p(s), but for a constant that is the same for all nodes of the row.
        trie: the trie's node for the bytes after the sequence; None if no token goes on with them.
        shares: (trie.end - trie.begin,) float64: p(token | s) of the trie node's tokens.
        log2_shares: log2 p(token | s) of the tokens that spell bytes which came after the sequence.
        end: p(end of text | s).
    """

    parent: TokenNode | None
    token: int
    offset: int
    children: dict[int, TokenNode] = field(default_factory=dict)
    is_open: bool = False
    slots: int = 0
    log2_prob: float = 0.0
    trie: TrieNode | None = None
    shares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    log2_shares: dict[int, float] = field(default_factory=dict)
    end: float = 0.0

    def open(self, trie: TrieNode, shares: NDArray[np.float64], end: float, following: bytes) -> None:
        """Open the node.

        Args:
            trie: the trie's root.
            shares: (n,) p(token | s) of all tokens that spell bytes, in the trie's order.
            end: p(end of text | s).
            following: the window's bytes after the sequence.
        """
        if self.parent is not None:
            self.log2_prob = self.parent.log2_prob + self.parent.log2_shares[self.token]
        self.is_open, self.trie, self.shares, self.end = True, trie, shares, end
        for symbol in following:
            self.advance(symbol)

    def advance(self, symbol: int) -> None:
        """Drop the tokens that do not go on with the byte ``symbol``, which the window just got."""
        if self.trie is None:
            return
        child = self.trie.child(symbol)
        if child is None:
            self.trie, self.shares = None, np.zeros(0)
            return
        begin = child.begin - self.trie.begin
        part = self.shares[begin : begin + child.end - child.begin]
        # A view would keep the shares of a whole vocabulary alive.
        self.trie, self.shares = child, part.copy() if len(part) < len(self.shares) // 2 else part
        for token, share in zip(child.complete, self.shares, strict=False):
            self.log2_shares[token] = _log2(share)

    def copy(self, parent: TokenNode | None) -> TokenNode:
        """Return a copy without children whose parent is ``parent``."""
        return TokenNode(
            parent, self.token, self.offset, {}, self.is_open, self.slots, self.log2_prob,
            self.trie, self.shares, self.log2_shares.copy(), self.end,
        )  # fmt: skip

    def log2_mass(self) -> float:
        """Return log2 of p(s) times the sum of p(token | s) over the tokens that begin with the bytes after s."""
        if self.trie is None:
            return -np.inf
        return self.log2_prob + _log2(self.shares.sum())


class TokenTree:
    """One row: its window, and the set N of token sequences (``byte_state.py``) as a tree over its last pieces.

    Attributes:
        pieces: the window.
        nodes: the nodes of the tree, parents before children.
        trunk: the tokens before the tree.
        base: the node of the canonical encoding of the complete pieces.
    """

    def __init__(self, tokeniser: Tokeniser, pieces: PieceWindow, beam: int) -> None:
        """Plant a tree over a window.

        Args:
            tokeniser: cuts and encodes pieces.
            pieces: the window.
            beam: K, bits, or 0 for no beam; see ``byte_state.py``.
        """
        self._tokeniser = tokeniser
        self._beam = beam
        self.pieces = pieces
        self.nodes: list[TokenNode] = []
        self.trunk: list[int] = []
        self.base: TokenNode
        self._replant()

    def _replant(self) -> None:
        """Replace the tree by one for the window, with all nodes closed."""
        data, begins = bytes(self.pieces.data), self.pieces.begins
        longest, begins_token = self._tokeniser.longest, self._tokeniser.begins_token
        # No token that may still follow begins before ``low``; so nodes that end before it play no part.
        low = next(m for m in range(max(0, len(data) - longest), len(data) + 1) if begins_token(data[m:]))
        first = max(0, sum(begin < low for begin in begins) - 1)
        path = [] if self._tokeniser.start_token is None else [self._tokeniser.start_token]
        path += self._tokeniser.encode(data[: begins[first]])
        self.trunk = path[:-1]
        self.base = TokenNode(None, path[-1] if path else NO_TOKEN, begins[first])
        self.base.slots = (2 << len(self.trunk)) - 2  # the trunk lies in the slots from 1 on
        self.nodes = [self.base]
        for end in (*begins[first + 1 :], len(data)):
            piece = data[self.base.offset : end]
            for size in range(max(1, low - self.base.offset), len(piece) + 1):
                self._add_candidates(piece[:size])
            if end < len(data):
                self.base = self._add(self._tokeniser.encode_piece(piece))

    def append(self, symbol: int) -> bool:
        """Append one byte; return whether the window started anew, and with it the tree, whose trunk must be read."""
        if symbol in self._tokeniser.missing:
            self.pieces = PieceWindow(self._tokeniser, self.pieces.window)
            self._replant()
            return True
        piece = self.pieces.open_piece
        if self.pieces.append(symbol):
            if self.pieces.is_full:
                self.pieces = self.pieces.reopened()
                self._replant()
                return True
            self.base = self._add(self._tokeniser.encode_piece(piece))
        for node in self.nodes:
            node.advance(symbol)
        self._add_candidates(self.pieces.open_piece)
        return False

    def _add_candidates(self, piece: bytes) -> None:
        """Add the nodes of all candidates for the tokens of an open piece."""
        for path in self._tokeniser.candidates(piece):
            self._add(path)

    def _add(self, path: Sequence[int]) -> TokenNode:
        """Return the node at the end of a path of tokens from the base; nodes that are not there yet are added."""
        node = self.base
        for token in path:
            if token not in node.children:
                child = TokenNode(node, token, node.offset + len(self._tokeniser.spell([token])))
                node.children[token] = child
                self.nodes.append(child)
            node = node.children[token]
        return node

    def nodes_to_open(self) -> list[TokenNode]:
        """Return the nodes to open next, parents before children; none if the tree is ready."""
        closed = [node for node in self.nodes if not node.is_open]
        if not self._beam or not closed:
            return closed
        path = []
        node: TokenNode | None = self.base
        while node is not None and not node.is_open:
            path.append(node)
            node = node.parent
        if path:
            return path[::-1]
        here = len(self.pieces.data)
        guesses = [
            (node.parent.log2_prob + node.parent.log2_shares[node.token] - _BITS_PER_BYTE * (here - node.offset), node)
            for node in closed
            if node.parent is not None and node.parent.is_open
        ]
        total = np.logaddexp2.reduce([node.log2_mass() for node in self.nodes if node.is_open])
        return [node for guess, node in guesses if guess >= total - self._beam]

    def probabilities(self) -> NDArray[np.float64]:
        """Return (257,): P(b | x) of the bytes, then P(end | x). All are equal if no node of the tree goes on."""
        masses = np.zeros(ALPHABET + 1)
        here = len(self.pieces.data)
        alive = [node for node in self.nodes if node.is_open and (node.trie or node.offset == here)]
        top = max((node.log2_mass() for node in alive), default=0.0)
        for node in alive:
            scale = np.exp2(node.log2_prob - top)
            if node.trie:
                masses[node.trie.next_bytes] += scale * node.trie.masses(node.shares)
            if node.offset == here:
                masses[ALPHABET] += scale * node.end
        total = masses.sum()
        if not np.isfinite(total) or total <= 0:
            masses[:], total = 1.0, ALPHABET + 1
        masses /= total
        return masses

    def prune(self) -> None:
        """Drop the nodes that no token follows any more, except for the base and its descendants."""
        base = self.base
        self.nodes = [n for n in self.nodes if n is base or n.offset > base.offset or (n.is_open and n.trie)]
        for node in self.nodes:
            if node.is_open:
                node.parent = None  # its probability is known: what lies before it may go

    def free_slots(self, count: int) -> list[int]:
        """Return ``count`` slots, without slot 0, that hold no token of a node."""
        used = functools.reduce(operator.or_, (node.slots for node in self.nodes), 1)
        slots: list[int] = []
        slot = 0
        while len(slots) < count:
            if not used >> slot & 1:
                slots.append(slot)
            slot += 1
        return slots

    def copy(self) -> TokenTree:
        """Return an independent copy. Arrays of shares are not copied: they are replaced, never changed in place."""
        copies: dict[TokenNode, TokenNode] = {}
        for node in self.nodes:
            copies[node] = node.copy(copies[node.parent] if node.parent else None)
        for node, other in copies.items():
            other.children = {token: copies[child] for token, child in node.children.items() if child in copies}
        tree = copy.copy(self)
        tree.pieces, tree.nodes, tree.base = self.pieces.copy(), list(copies.values()), copies[self.base]
        return tree
