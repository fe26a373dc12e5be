"""Known text in batches: which nodes the law of bytes opens at each byte, found with few and large forwards.

A row that grows byte by byte opens about one node for each byte, in a forward of its own (``byte_state.py``). If the
bytes are known, nodes of many positions can be opened side by side. Which nodes the law opens depends on probabilities
if there is a beam, so they are found in rounds:

1. The tree grows by all the bytes, without the model. That shows every node that may be opened, and at which byte.
2. ``KnownText.settle`` goes through the positions as a row would, with the nodes that the model has read so far, and
   names those that it misses. It treats these as closed and goes on, so it names nodes of all positions.
3. The model reads the named nodes, in forwards of many. Steps 2 and 3 repeat until no node is missing.

The first round names the canonical encoding, the second the nodes one token off it, and so on; there are rarely more
than six. In the end every position holds the nodes that a row would hold that grew byte by byte. So the law is the
same. The numbers are those of another batch of floats: they may differ in the last bits.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from compgen.neural.tokens.nodes import TokenNode, nodes_to_open, probabilities, pruned
from compgen.neural.tokens.tree import TokenTree


class KnownText:
    """One row that reads T known bytes.

    Position t, 0 to T, stands for the text before byte t. At position 0 the tree is as it was given.
    """

    def __init__(self, tree: TokenTree, data: bytes) -> None:
        """Let ``tree``, whose nodes are opened and pruned, grow by ``data``, which its window must have room for."""
        self._tree = tree
        self._start = len(tree.pieces.data)
        self._bases = [tree.base]
        self._born: list[list[TokenNode]] = [[]]  # nodes that come at each position
        self._alive = [list(tree.nodes)]  # nodes that each position keeps, as far as positions are settled
        self._opened: list[list[TokenNode]] = [[]]  # nodes that are opened at each of these
        self._named: list[TokenNode] = []  # nodes that ``settle`` named last
        for node in tree.nodes:
            node.past = {}
        for symbol in data:
            count = len(tree.nodes)
            tree.append(symbol)
            self._bases.append(tree.base)
            self._born.append(tree.nodes[count:])

    def settle(self) -> list[TokenNode]:
        """Go through the positions; return the nodes that the model must read before it is done, parents first."""
        for node in self._named:
            node.is_open = False  # the model has read it, and the law opens it below
        wanted: set[TokenNode] = set()
        first = None
        for position in range(len(self._alive), len(self._bases)):
            missing = self._settle(position)
            wanted.update(missing)
            if missing and first is None:
                first = position
        if first is not None:  # what follows was settled without the missing nodes
            for node in itertools.chain.from_iterable(self._opened[first:]):
                node.is_open = False
            del self._alive[first:], self._opened[first:]
        self._named = [node for node in self._tree.nodes if node in wanted]
        for node in self._named:
            node.past = {}
        return self._named

    def _settle(self, position: int) -> list[TokenNode]:
        """Open and prune the nodes of a position; return those to be opened that the model has not read."""
        here, base = self._start + position, self._bases[position]
        nodes = self._alive[position - 1] + self._born[position]
        missing: list[TokenNode] = []
        opened: list[TokenNode] = []
        while closed := nodes_to_open(nodes, base, here, self._tree.beam):
            ready = [node for node in closed if node.is_read]
            missing = [node for node in closed if not node.is_read]
            for node in ready:
                node.is_open = True
            opened += ready
            if not ready:
                break
        self._alive.append(pruned(nodes, base, here))
        self._opened.append(opened)
        return missing

    def probabilities(self) -> NDArray[np.float64]:
        """Return (T, 257): those at the positions 0 to T - 1; see ``nodes.probabilities``."""
        for node in itertools.chain.from_iterable(self._opened):
            node.is_open = False
        found = []
        for position, (nodes, opened) in enumerate(zip(self._alive, self._opened, strict=True)):
            for node in opened:
                node.is_open = True
            if position < len(self._alive) - 1:
                found.append(probabilities(nodes, self._start + position))
        return np.stack(found)

    def finish(self) -> None:
        """Leave in the tree the nodes of the last position, so that the row can go on byte by byte."""
        for node in self._tree.nodes:
            node.past = None
            if node.is_read and not node.is_open:
                node.close()
        self._tree.nodes = self._alive[-1]
        self._tree.prune()
