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

import numpy as np
from numpy.typing import NDArray

from compgen.errors import IncompatibleError, UsageError
from compgen.models.window import Window
from compgen.neural.tokens.engine import CausalLM
from compgen.neural.tokens.nodes import NO_TOKEN, TokenNode, nodes_to_open, probabilities, pruned
from compgen.neural.tokens.tokeniser import PIECE_BYTES, Tokeniser

WINDOW = 2048
"""N, tokens: the context window by default, if the model has enough positions.

Chosen: a row then sees 2,048 to 4,096 tokens, some 8 to 16 KB of English. Its keys and values take 144 MiB for a small
model (Gemma 3 270M, float32), two gigabytes for one of 8 billion parameters. Twice as much would cost twice the memory
and let attention take most of the time.
"""

SPARE_POSITIONS = PIECE_BYTES + 8
"""Positions that a model must have beyond 2N.

An open piece has at most ``PIECE_BYTES + 3`` tokens, one for each byte. The start token needs a position, too. The rest
is to spare.
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


class TokenTree:
    """One row: its window, and the set N of token sequences (``byte_state.py``) as a tree over its last pieces.

    Attributes:
        pieces: the window.
        nodes: the nodes of the tree, parents before children.
        trunk: the tokens before the tree.
        base: the node of the canonical encoding of the complete pieces.
        beam: K, bits, or 0 for no beam.
    """

    def __init__(self, tokeniser: Tokeniser, pieces: PieceWindow, beam: int) -> None:
        """Plant a tree over a window.

        Args:
            tokeniser: cuts and encodes pieces.
            pieces: the window.
            beam: K, bits, or 0 for no beam; see ``byte_state.py``.
        """
        self._tokeniser = tokeniser
        self.beam = beam
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
        return nodes_to_open(self.nodes, self.base, len(self.pieces.data), self.beam)

    def probabilities(self) -> NDArray[np.float64]:
        """Return (257,): P(b | x) of the bytes, then P(end | x); see ``probabilities``."""
        return probabilities(self.nodes, len(self.pieces.data))

    def prune(self) -> None:
        """Drop the nodes that no token follows any more, except for the base and its descendants."""
        self.nodes = pruned(self.nodes, self.base, len(self.pieces.data))
        for node in self.nodes:
            if node.is_open:
                node.parent = None  # its probability is known: what lies before it may go

    def room(self, data: bytes) -> int:
        """Return how many bytes of ``data`` may be appended before one starts the window anew."""
        pieces = self.pieces.copy()
        for count, symbol in enumerate(data):
            if symbol in self._tokeniser.missing or (pieces.append(symbol) and pieces.is_full):
                return count
        return len(data)

    def free_slots(self, count: int) -> list[int]:
        """Return ``count`` slots, without slot 0, that hold no token of a node."""
        free = ~functools.reduce(operator.or_, (node.slots for node in self.nodes), 1)
        slots: list[int] = []
        while len(slots) < count:
            lowest = free & -free
            slots.append(lowest.bit_length() - 1)
            free ^= lowest
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
