"""What one row of a tokenised model keeps: its window of bytes, and a tree of token sequences over its last pieces.

Nothing here asks the model. The tree says which sequences want to be opened; ``byte_state.py`` opens them, all rows
side by side, and gives each what may follow it. The law that the tree follows is told there.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compgen.errors import IncompatibleError, UsageError
from compgen.models.base import ALPHABET
from compgen.neural.tokens.engine import CausalLM
from compgen.neural.tokens.tokeniser import LONGEST, Branch, Tokens

WINDOW = 512
"""N, tokens, of a context window, where the model has positions for it."""

FREE = LONGEST + 8
"""Positions that a model must have beyond two windows, for the sequences that are open."""

_FADE = 3.0  # bits a byte that a sequence is taken to lose before it is open; 2 to 4 do alike

NOTHING = -1
"""The token before a text where there is none."""


def fitting_window(engine: CausalLM, tokens: Tokens, window: int) -> int:
    """Return N, tokens: ``window``, or for 0 the most that the model has positions for, up to ``WINDOW``.

    Raises:
        UsageError: the model has fewer positions.
        IncompatibleError: the tokeniser has tokens that the model lacks.
    """
    last = max(tokens.ids.max(), tokens.root or 0, *tokens.ends)
    if last >= engine.width:
        raise IncompatibleError(
            f"the tokeniser has tokens up to {last}, and the model {engine.width} logits: they do not belong together"
        )
    most = (engine.positions - FREE) // 2
    if most < 1:
        raise UsageError(f"the model reads {engine.positions} tokens, fewer than the {FREE + 2} that bytes need")
    if not 0 <= window <= most:
        raise UsageError(f"window must be between 1 and {most} tokens for this model, not {window}")
    return window or min(WINDOW, most)


class PieceWindow:
    """A row's bytes, in pieces, and how many tokens each complete piece has."""

    def __init__(self, tokens: Tokens, size: int, data: bytes = b"") -> None:
        self._tokens = tokens
        self.size = size
        self.data = bytearray()
        self.counts: list[int] = []
        self.begins = [0]
        for symbol in data:
            self.append(symbol)

    @classmethod
    def after(cls, tokens: Tokens, size: int, prompt: bytes) -> PieceWindow:
        """Return the window that stands at the end of ``prompt``."""
        window = cls(tokens, size, tokens.lead)
        for symbol in prompt:
            if symbol in tokens.missing:
                window = cls(tokens, size)
            elif window.append(symbol) and window.full:
                window = window.reopened()
        return window

    @property
    def piece(self) -> bytes:
        """The open piece, at the end."""
        return bytes(self.data[self.begins[-1] :])

    @property
    def full(self) -> bool:
        """Whether the complete pieces have 2N tokens."""
        return sum(self.counts) >= 2 * self.size

    def append(self, symbol: int) -> bool:
        """Append one byte; return whether it begins a new piece."""
        here = len(self.data)
        cut = here > 0 and self._tokens.is_cut(here - self.begins[-1], self.data[-1], symbol)
        if cut:
            self.counts.append(len(self._tokens.encode_piece(self.piece)))
            self.begins.append(here)
        self.data.append(symbol)
        return cut

    def reopened(self) -> PieceWindow:
        """Return the window of the last complete pieces that hold at most N tokens, and the open one."""
        kept, left = len(self.counts), self.size
        while kept and self.counts[kept - 1] <= left:
            kept -= 1
            left -= self.counts[kept]
        window = PieceWindow(self._tokens, self.size)
        origin = self.begins[kept]
        window.data = self.data[origin:]
        window.counts = self.counts[kept:]
        window.begins = [begin - origin for begin in self.begins[kept:]]
        return window

    def copy(self) -> PieceWindow:
        """Return an independent window."""
        window = PieceWindow(self._tokens, self.size)
        window.data, window.counts, window.begins = self.data.copy(), self.counts.copy(), self.begins.copy()
        return window


def _log2(share: float) -> float:
    return float(np.log2(max(share, 1e-300)))


class Node:
    """A token sequence that spells the beginning of a row's window; once open, what may follow it."""

    __slots__ = (
        "branch",
        "children",
        "end",
        "found",
        "offset",
        "opened",
        "parent",
        "seen",
        "shares",
        "token",
        "weight",
    )

    def __init__(self, parent: Node | None, token: int, offset: int) -> None:
        self.parent = parent
        self.token = token
        self.offset = offset
        self.children: dict[int, Node] = {}
        self.opened = False
        self.seen = 0  # bits of the slots of its tokens; before the first node opens, of those before it
        self.weight = 0.0  # log2 p, but for a constant of the row
        self.branch: Branch | None = None
        self.shares: NDArray[np.float64]  # p(. | s) of the branch's tokens
        self.found: dict[int, float] = {}  # log2 p(token | s) of tokens that spell what came
        self.end = 0.0  # p(end | s)

    def open(self, trie: Branch, shares: NDArray[np.float64], end: float, came: bytes) -> None:
        """Take p(. | s), (n,) in the trie's order; ``came`` is what followed."""
        if self.parent is not None:
            self.weight = self.parent.weight + self.parent.found[self.token]
        self.opened, self.branch, self.shares, self.end = True, trie, shares, end
        for symbol in came:
            self.advance(symbol)

    def advance(self, symbol: int) -> None:
        """Keep the tokens that go on with ``symbol``."""
        if self.branch is None:
            return
        child = self.branch.child(symbol)
        if child is None:
            self.branch, self.shares = None, np.zeros(0)
            return
        begin = child.begin - self.branch.begin
        part = self.shares[begin : begin + child.end - child.begin]
        # A view would keep a whole vocabulary alive.
        self.branch, self.shares = child, part.copy() if len(part) < len(self.shares) // 2 else part
        for token, share in zip(child.ended, self.shares, strict=False):
            self.found[token] = _log2(share)

    def mass(self) -> float:
        """Return log2 of p(s) times the mass of what may still follow."""
        if self.branch is None:
            return -np.inf
        return self.weight + _log2(self.shares.sum())


class TokenTree:
    """One sequence: its window, and N of it as a tree over the last pieces."""

    def __init__(self, tokens: Tokens, window: PieceWindow, beam: int) -> None:
        self._tokens = tokens
        self._beam = beam
        self.window = window
        self.nodes: list[Node] = []  # parents before children
        self.trunk: list[int] = []  # tokens before the tree
        self.base: Node

    def plant(self) -> None:
        """Make the tree for the window; every node is still to be opened."""
        data = bytes(self.window.data)
        low = next(m for m in range(max(0, len(data) - self._tokens.longest), len(data) + 1) if self._open(data[m:]))
        complete = max(0, sum(begin < low for begin in self.window.begins) - 1)
        path = [] if self._tokens.root is None else [self._tokens.root]
        begin = self.window.begins[complete]
        path += self._tokens.encode(data[:begin])
        self.trunk, last = path[:-1], path[-1] if path else NOTHING
        self.base = Node(None, last, begin)
        self.base.seen = (2 << len(self.trunk)) - 2
        self.nodes = [self.base]
        grown = PieceWindow(self._tokens, 1)
        for here in range(begin, len(data)):
            if grown.append(data[here]):
                piece = data[self.base.offset : here]
                self.base = self._walk(self._tokens.encode_piece(piece))
            if here + 1 >= low:
                self.grow(grown.piece)

    def _open(self, rest: bytes) -> bool:
        branch: Branch | None = self._tokens.trie
        for symbol in rest:
            branch = branch.child(symbol) if branch else None
        return branch is not None

    def append(self, symbol: int) -> bool:
        """Append one byte; return whether the window has started again, and the tree with it."""
        if symbol in self._tokens.missing:
            self.window = PieceWindow(self._tokens, self.window.size)
            self.plant()
            return True
        piece = self.window.piece
        if self.window.append(symbol):
            if self.window.full:
                self.window = self.window.reopened()
                self.plant()
                return True
            self.base = self._walk(self._tokens.encode_piece(piece))
        for node in self.nodes:
            node.advance(symbol)
        self.grow(self.window.piece)
        return False

    def grow(self, piece: bytes) -> None:
        """Put the sequences into the tree that spell the open piece."""
        for path in self._tokens.prefixes(piece):
            self._walk(path)

    def _walk(self, path: Sequence[int]) -> Node:
        node = self.base
        for token in path:
            if token not in node.children:
                child = Node(node, token, node.offset + len(self._tokens.spell([token])))
                node.children[token] = child
                self.nodes.append(child)
            node = node.children[token]
        return node

    def wanted(self) -> list[Node]:
        """Return nodes to open now, parents before children."""
        closed = [node for node in self.nodes if not node.opened]
        if not self._beam or not closed:
            return closed
        needed = []
        node: Node | None = self.base
        while node is not None and not node.opened:
            needed.append(node)
            node = node.parent
        if needed:
            return needed[::-1]
        here = len(self.window.data)
        guesses = [
            (node.parent.weight + node.parent.found[node.token] - _FADE * (here - node.offset), node)
            for node in closed
            if node.parent is not None and node.parent.opened
        ]
        total = np.logaddexp2.reduce([node.mass() for node in self.nodes if node.opened])
        return [node for guess, node in guesses if guess >= total - self._beam]

    def masses(self) -> NDArray[np.float64]:
        """Return (257,) P(b | x) and P(end | x); even where nothing that the tokeniser writes goes on."""
        masses = np.zeros(ALPHABET + 1)
        here = len(self.window.data)
        alive = [node for node in self.nodes if node.opened and (node.branch or node.offset == here)]
        top = max((node.mass() for node in alive), default=0.0)
        for node in alive:
            scale = np.exp2(node.weight - top)
            if node.branch:
                masses[node.branch.symbols] += scale * node.branch.masses(node.shares)
            if node.offset == here:
                masses[ALPHABET] += scale * node.end
        total = masses.sum()
        if not np.isfinite(total) or total <= 0:
            masses[:], total = 1.0, ALPHABET + 1
        masses /= total
        return masses

    def prune(self) -> None:
        """Forget what neither goes on nor is the tree of the open piece."""
        base = self.base
        self.nodes = [n for n in self.nodes if n is base or n.offset > base.offset or (n.opened and n.branch)]
        for node in self.nodes:
            if node.opened:
                node.parent = None

    def free(self, count: int) -> list[int]:
        """Return slots that nothing in use is written to."""
        used = functools.reduce(operator.or_, (node.seen for node in self.nodes), 1)
        slots: list[int] = []
        slot = 0
        while len(slots) < count:
            if not used >> slot & 1:
                slots.append(slot)
            slot += 1
        return slots

    def copy(self) -> TokenTree:
        """Return an independent row; what nodes have of the model is shared, for it is never changed in place."""
        row = TokenTree(self._tokens, self.window.copy(), self._beam)
        copies: dict[int, Node] = {}
        for node in self.nodes:
            copy = Node(copies.get(id(node.parent)), node.token, node.offset)
            copy.opened, copy.seen, copy.weight, copy.end = node.opened, node.seen, node.weight, node.end
            copy.branch, copy.found = node.branch, dict(node.found)
            if node.opened:
                copy.shares = node.shares
            copies[id(node)] = copy
        for node in self.nodes:
            children = node.children.items()
            copies[id(node)].children = {t: copies[id(c)] for t, c in children if id(c) in copies}
        row.nodes, row.base = [copies[id(node)] for node in self.nodes], copies[id(self.base)]
        row.trunk = self.trunk
        return row
