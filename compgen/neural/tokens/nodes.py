"""The nodes of a tree of token sequences, and the sums over them: which are open, and what they say of the next byte.

``tree.py`` says what nodes are for, and ``byte_state.py`` what is summed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from compgen.models.base import ALPHABET
from compgen.neural.tokens.tokeniser import TrieNode

NO_TOKEN = -1
"""The token of a root node if the tokeniser has no token that begins a text."""

_BITS_PER_BYTE = 3.0
"""Bits for each byte that the beam assumes a closed node to lose until it opens.

Chosen among 2 to 4, which did alike when the beam was made (commit 069b390).
"""


def _log2(share: float) -> float:
    """Return log2 of ``share``, and a very small number for 0."""
    return float(np.log2(max(share, 1e-300)))


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a node says at one position: its tokens that begin with the bytes between its sequence and the position.

    Attributes:
        share: the sum of p(token | s) over these tokens.
        next_bytes: (k,) uint8: the bytes that come next in those that are longer, ascending.
        masses: (k,) float64: the sums of p(token | s) over the tokens of each next byte.
    """

    share: float
    next_bytes: NDArray[np.uint8]
    masses: NDArray[np.float64]


@dataclass(slots=True, eq=False)
class TokenNode:
    """A token sequence s that spells the beginning of a row's window; once open, with what may follow it.

    Attributes:
        parent: the sequence without its last token; None at the root, and for open nodes after pruning.
        token: the last token, or ``NO_TOKEN``.
        offset: how many bytes of the window the sequence spells.
        children: the nodes one token longer, by that token.
        is_open: True once the model has read the tokens, and the law takes the node into account.
        is_read: True once the model has read the tokens. Known text is read ahead (``known_text.py``).
        slots: a set of slots as the bits of a number: those of the sequence's own tokens. A closed root holds those of
            the tokens before it.
        log2_prob: log2 p(s), but for a constant that is the same for all nodes of the row.
        trie: the trie's node for the bytes after the sequence; None if no token goes on with them.
        shares: (trie.end - trie.begin,) float64: p(token | s) of the trie node's tokens.
        log2_shares: log2 p(token | s) of the tokens that spell bytes which came after the sequence.
        end: p(end of text | s).
        past: while known text is read, what the node has said so far, by the number of bytes after the sequence;
            otherwise None.
    """

    parent: TokenNode | None
    token: int
    offset: int
    children: dict[int, TokenNode] = field(default_factory=dict)
    is_open: bool = False
    is_read: bool = False
    slots: int = 0
    log2_prob: float = 0.0
    trie: TrieNode | None = None
    shares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    log2_shares: dict[int, float] = field(default_factory=dict)
    end: float = 0.0
    past: dict[int, Outlook] | None = None
    _now: Outlook | None = None

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
        self.is_open = self.is_read = True
        self.trie, self.shares, self.end, self._now = trie, shares, end, None
        for symbol in following:
            self.advance(symbol)

    def advance(self, symbol: int) -> None:
        """Drop the tokens that do not go on with the byte ``symbol``, which the window just got."""
        if self.trie is None:
            return
        if self.past is not None:
            self.past[self.trie.depth] = self._outlook(self.trie)
        self._now = None
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

    def close(self) -> None:
        """Forget what the model said. The node may be opened again."""
        self.is_open = self.is_read = False
        self.slots, self.trie, self.shares, self.log2_shares, self.past = 0, None, np.zeros(0), {}, None

    def copy(self, parent: TokenNode | None) -> TokenNode:
        """Return a copy without children whose parent is ``parent``."""
        return replace(self, parent=parent, children={}, log2_shares=self.log2_shares.copy())

    def outlook(self, here: int) -> Outlook | None:
        """Return what the node says at the position ``here`` of the window; None if no token goes on there."""
        if self.trie is not None and self.trie.depth == here - self.offset:
            return self._outlook(self.trie)
        return self.past.get(here - self.offset) if self.past else None

    def _outlook(self, trie: TrieNode) -> Outlook:
        if self._now is None:
            self._now = Outlook(float(self.shares.sum()), trie.next_bytes, trie.masses(self.shares))
        return self._now

    def log2_mass(self, here: int) -> float:
        """Return log2 of p(s) times the sum of p(token | s) over the tokens that go on at ``here``; see ``outlook``."""
        outlook = self.outlook(here)
        return -np.inf if outlook is None else self.log2_prob + _log2(outlook.share)


def nodes_to_open(nodes: Sequence[TokenNode], base: TokenNode, here: int, beam: int) -> list[TokenNode]:
    """Return which of the nodes of a row to open next, parents before children; none if all are open that should be.

    Args:
        nodes: the nodes.
        base: the base among them.
        here: the position in the window.
        beam: K, bits, or 0 for no beam; see ``byte_state.py``.
    """
    closed = [node for node in nodes if not node.is_open]
    if not beam or not closed:
        return closed
    path = []
    node: TokenNode | None = base
    while node is not None and not node.is_open:
        path.append(node)
        node = node.parent
    if path:
        return path[::-1]
    guesses = [
        (node.parent.log2_prob + node.parent.log2_shares[node.token] - _BITS_PER_BYTE * (here - node.offset), node)
        for node in closed
        if node.parent is not None and node.parent.is_open
    ]
    total = np.logaddexp2.reduce([node.log2_mass(here) for node in nodes if node.is_open])
    return [node for guess, node in guesses if guess >= total - beam]


def pruned(nodes: Sequence[TokenNode], base: TokenNode, here: int) -> list[TokenNode]:
    """Return the nodes without those that no token follows any more, except for the base and its descendants."""
    return [n for n in nodes if n is base or n.offset > base.offset or (n.is_open and n.outlook(here) is not None)]


def probabilities(nodes: Sequence[TokenNode], here: int) -> NDArray[np.float64]:
    """Return (257,): P(b | x) of the bytes after ``here``, then P(end | x). All are equal if no open node goes on."""
    masses = np.zeros(ALPHABET + 1)
    open_nodes = [node for node in nodes if node.is_open]
    top = max((node.log2_mass(here) for node in open_nodes), default=0.0)
    for node in open_nodes:
        if outlook := node.outlook(here):
            scale = np.exp2(node.log2_prob - top)
            masses[outlook.next_bytes] += scale * outlook.masses
            if node.offset == here:
                masses[ALPHABET] += scale * node.end
    total = masses.sum()
    if not np.isfinite(total) or total <= 0:
        masses[:], total = 1.0, ALPHABET + 1
    masses /= total
    return masses
