"""A tokenised language model as a distribution over bytes, exactly; and as one over canonical tokens.

**The law of bytes.** Let p be the token model, restricted to tokens that spell bytes and those that end a text. For
a window of bytes x, let N(x) be the set of token sequences that canonical encodings of beginnings of x, each followed
by nothing or by a probe (``tokens.py``), begin with and that spell a beginning of x; each with its own beginnings. Then

    W(x, b) = sum over s in N(x), spelling x[:i], of p(s) * (mass under p(. | s) of tokens that begin with x[i:] b)
    E(x)    = sum over s in N(x), spelling x, of p(s) * p(end | s)
    P(b | x) = W(x, b) / (W(x, 0) + ... + W(x, 255) + E(x))

So W(x, b) is the chance that tokens drawn one after another come to spell x b, where all but the last follow a
path in N(x). What p gives to sequences that no encoder writes is shared out when the next byte shows them to be
such. Coding leaves the end out, for a coder knows lengths: rows renormalise over 256. A sequence that spells a text
takes part in each of its bytes; so a text costs at most what its canonical tokens cost, but where a pre-tokeniser
looks further ahead than the probes. Each byte offset opens one sequence, rarely two: one token-forward per byte.

**Windows.** A row's window grows until its complete pieces (``tokens.py``) have 2N tokens, and then starts again at
the pieces that hold its last N. Where it starts is a function of the bytes alone, so a fresh start on the same
bytes stands in the same window, and over the same N(x).

**The beam** (``beam=K``) opens a sequence only while an upper bound of its mass, p(s), is among the K largest
masses of its row; and where a piece ends, its encoding. Without (0), all are opened.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from compgen.errors import IncompatibleError, UsageError
from compgen.models.base import ALPHABET, State
from compgen.models.causal_lm import CausalLM, TreeCache
from compgen.models.quantise import frequencies_from_lengths
from compgen.models.tokens import LONGEST, Branch, Tokens
from compgen.types import Frequencies, Rows, Symbols

WINDOW = 512
"""N, tokens, where the model has positions for it."""

TOKEN_PRECISION = 30
"""log2 of what the frequencies of tokens sum to."""

_CHUNK = 64  # tokens of a row read at a time
_LOGITS = 1 << 26  # logits computed at a time
_NOTHING = -1  # the token before a text where there is none
_IMPOSSIBLE = 128.0  # bits; far over what frequencies can tell apart


def window_of(engine: CausalLM, window: int) -> int:
    """Return N, tokens: ``window``, or for 0 the most that the model has positions for, up to ``WINDOW``.

    Raises:
        UsageError: the model has fewer positions.
    """
    most = (engine.positions - LONGEST - 8) // 2
    if most < 1:
        raise UsageError(f"the model reads {engine.positions} tokens, fewer than the {LONGEST + 10} that bytes need")
    if not 0 <= window <= most:
        raise UsageError(f"window must be between 1 and {most} tokens for this model, not {window}")
    return window or min(WINDOW, most)


class _Window:
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
    def after(cls, tokens: Tokens, size: int, prompt: bytes) -> _Window:
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
        return bytes(self.data[self.begins[-1] :])

    @property
    def full(self) -> bool:
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

    def reopened(self) -> _Window:
        """Return the window of the last complete pieces that hold at most N tokens, and the open one."""
        kept, left = len(self.counts), self.size
        while kept and self.counts[kept - 1] <= left:
            kept -= 1
            left -= self.counts[kept]
        window = _Window(self._tokens, self.size)
        origin = self.begins[kept]
        window.data = self.data[origin:]
        window.counts = self.counts[kept:]
        window.begins = [begin - origin for begin in self.begins[kept:]]
        return window

    def copy(self) -> _Window:
        window = _Window(self._tokens, self.size)
        window.data, window.counts, window.begins = self.data.copy(), self.counts.copy(), self.begins.copy()
        return window


def _log2(share: float) -> float:
    return float(np.log2(max(share, 1e-300)))


class _Node:
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

    def __init__(self, parent: _Node | None, token: int, offset: int) -> None:
        self.parent = parent
        self.token = token
        self.offset = offset
        self.children: dict[int, _Node] = {}
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


class _Row:
    """One sequence: its window, and N of it as a tree over the last pieces."""

    def __init__(self, tokens: Tokens, window: _Window, beam: int) -> None:
        self._tokens = tokens
        self._beam = beam
        self.window = window
        self.nodes: list[_Node] = []  # parents before children
        self.trunk: list[int] = []  # tokens before the tree
        self.base: _Node

    def plant(self) -> None:
        """Make the tree for the window; every node is still to be opened."""
        data = bytes(self.window.data)
        low = next(m for m in range(max(0, len(data) - self._tokens.longest), len(data) + 1) if self._open(data[m:]))
        complete = max(0, sum(begin < low for begin in self.window.begins) - 1)
        path = [] if self._tokens.root is None else [self._tokens.root]
        begin = self.window.begins[complete]
        path += self._tokens.encode(data[:begin])
        self.trunk, last = path[:-1], path[-1] if path else _NOTHING
        self.base = _Node(None, last, begin)
        self.base.seen = (2 << len(self.trunk)) - 2
        self.nodes = [self.base]
        grown = _Window(self._tokens, 1)
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
            self.window = _Window(self._tokens, self.window.size)
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

    def _walk(self, path: Sequence[int]) -> _Node:
        node = self.base
        for token in path:
            if token not in node.children:
                child = _Node(node, token, node.offset + len(self._tokens.spell([token])))
                node.children[token] = child
                self.nodes.append(child)
            node = node.children[token]
        return node

    def wanted(self) -> list[_Node]:
        """Return nodes to open now, parents before children."""
        closed = [node for node in self.nodes if not node.opened]
        if not self._beam or not closed:
            return closed
        needed = []
        node: _Node | None = self.base
        while node is not None and not node.opened:
            needed.append(node)
            node = node.parent
        if needed:
            return needed[::-1]
        ready = [n for n in closed if n.offset > self.base.offset and n.parent is not None and n.parent.opened]
        bounds = [(n.parent.weight + n.parent.found[n.token], n) for n in ready if n.parent]
        masses = sorted([bound for bound, _ in bounds] + [n.mass() for n in self.nodes if n.opened])
        least = masses[-self._beam] if len(masses) >= self._beam else -np.inf
        return [node for bound, node in bounds if bound >= least]

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

    def copy(self) -> _Row:
        row = _Row(self._tokens, self.window.copy(), self._beam)
        copies: dict[int, _Node] = {}
        for node in self.nodes:
            copy = _Node(copies.get(id(node.parent)), node.token, node.offset)
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


class TokenState(State):
    """Rows over one cache; see the law above."""

    def __init__(self, engine: CausalLM, tokens: Tokens, cache: TreeCache, rows: list[_Row]) -> None:
        self._engine = engine
        self._tokens = tokens
        self._cache = cache
        self._rows = rows
        self._masses: NDArray[np.float64] | None = None

    @classmethod
    def start(
        cls, engine: CausalLM, tokens: Tokens, prompts: Sequence[bytes], window: int = 0, beam: int = 0
    ) -> TokenState:
        """Return a state after ``prompts``; equal ones are read once.

        Args:
            engine: the model.
            tokens: its tokeniser.
            prompts: B byte strings.
            window: N, tokens; 0 for what ``window_of`` finds.
            beam: sequences a row keeps open, about; 0 for all.

        Raises:
            UsageError: the window is larger than the model's.
            IncompatibleError: the tokeniser has tokens that the model lacks.
        """
        _check(engine, tokens)
        size = window_of(engine, window)
        different = list(dict.fromkeys(prompts))
        rows = [_Row(tokens, _Window.after(tokens, size, prompt), beam) for prompt in different]
        for row in rows:
            row.plant()
        state = cls(engine, tokens, engine.cache(len(rows)), rows)
        state._read(range(len(rows)))
        state._settle()
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
        self._settle()
        self._masses = None

    def fork(self, rows: Rows) -> TokenState:
        """Return a state of the given rows: one gather of the cache."""
        chosen = np.asarray(rows, dtype=np.int64)
        return TokenState(
            self._engine, self._tokens, self._cache.fork(chosen), [self._rows[row].copy() for row in chosen.tolist()]
        )

    def probabilities(self) -> NDArray[np.float64]:
        """Return (B, 257) P(b | x) of every byte, and of the end of the text, in the last column; rows sum to 1."""
        if self._masses is None:
            self._masses = np.stack([_row_masses(row) for row in self._rows])
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
        part = read(self._engine, trunks)
        self._cache.put(np.asarray(rows, dtype=np.int64), part)

    def _settle(self) -> None:
        """Open the nodes that rows want, in forwards of all rows."""
        while True:
            wanted = [row.wanted() for row in self._rows]
            if not any(wanted):
                break
            self._open(wanted)
        for row in self._rows:
            row.prune()

    def _open(self, wanted: list[list[_Node]]) -> None:
        most = max(1, _LOGITS // (self.rows * self._engine.width))
        for begin in range(0, max(map(len, wanted)), most):
            self._open_some([nodes[begin : begin + most] for nodes in wanted])

    def _open_some(self, wanted: list[list[_Node]]) -> None:
        width = max(map(len, wanted))
        shape = (self.rows, width)
        tokens, positions, slots = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        places: list[tuple[int, int]] = []
        for i, (row, nodes) in enumerate(zip(self._rows, wanted, strict=True)):
            for t, (node, slot) in enumerate(zip(nodes, row.free(len(nodes)), strict=True)):
                before = node.parent.seen if node.parent else node.seen
                node.seen = before if node.token == _NOTHING else before | 1 << slot
                tokens[i, t], positions[i, t], slots[i, t] = max(node.token, 0), before.bit_count(), slot
                places.append((i, t))
        self._cache.reserve(int(slots.max()) + 1)
        visible = np.zeros((*shape, self._cache.slots), dtype=np.bool_)
        visible[:, :, 0] = True
        for i, t in places:
            if wanted[i][t].token != _NOTHING:
                visible[i, t] = _bits(wanted[i][t].seen, self._cache.slots)
        logits = self._engine.forward(self._cache, tokens, positions, slots, visible)
        picked = logits[[i for i, _ in places], [t for _, t in places]]
        shares = self._shares(picked)
        for (i, t), share in zip(places, shares, strict=True):
            node, row = wanted[i][t], self._rows[i]
            size = len(self._tokens.ids)
            if node.token == _NOTHING:  # a model without a token that begins a text: all tokens are as likely
                share = np.full(size, 1 / size)
            node.open(self._tokens.trie, share[:size], float(share[size:].sum()), bytes(row.window.data[node.offset :]))

    def _shares(self, logits: torch.Tensor) -> NDArray[np.float64]:
        """Return (k, n + ends) probabilities of tokens that spell bytes, in their order, then of those that end."""
        columns = torch.from_numpy(np.concatenate([self._tokens.ids, np.array(self._tokens.ends, dtype=np.int64)]))
        shares: NDArray[np.float64] = torch.softmax(logits[:, columns.to(logits.device)].double(), dim=1).cpu().numpy()
        return shares


def read(engine: CausalLM, texts: list[list[int]]) -> TreeCache:
    """Return a cache of a row for each list of tokens: the first in slot 1, each seeing those before it."""
    cache = engine.cache(len(texts))
    longest = max(map(len, texts), default=0)
    cache.reserve(longest + 1)
    padded = np.zeros((len(texts), longest), dtype=np.int64)
    slots = np.zeros_like(padded)
    for i, text in enumerate(texts):
        padded[i, : len(text)] = text
        slots[i, : len(text)] = np.arange(1, len(text) + 1)
    for begin in range(0, longest, _CHUNK):
        chunk = slice(begin, begin + _CHUNK)
        own = slots[:, chunk, None]
        here = np.arange(cache.slots)
        visible = np.where(own > 0, (here > 0) & (here <= own), here == 0)
        engine.forward(cache, padded[:, chunk], np.maximum(slots[:, chunk] - 1, 0), slots[:, chunk], visible, last=1)
    return cache


def _check(engine: CausalLM, tokens: Tokens) -> None:
    if tokens.ids.max() >= engine.width:
        raise IncompatibleError(
            f"the tokeniser has tokens up to {tokens.ids.max()}, and the model {engine.width} logits: "
            "they do not belong together"
        )


def _bits(number: int, count: int) -> NDArray[np.bool_]:
    octets = np.frombuffer(number.to_bytes(count // 8, "little"), dtype=np.uint8)
    return np.unpackbits(octets, bitorder="little").astype(np.bool_)


def _row_masses(row: _Row) -> NDArray[np.float64]:
    """Return (257,) P(b | x) and P(end | x); even where nothing that the tokeniser writes goes on."""
    masses = np.zeros(ALPHABET + 1)
    here = len(row.window.data)
    alive = [node for node in row.nodes if node.opened and (node.branch or node.offset == here)]
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


class TokenCoderState:
    """Rows of canonical tokens instead of bytes: what codes a whole segment in about a quarter of the forwards.

    The alphabet is the tokens that spell bytes. A row's context grows to 2N tokens and then starts again at its last N,
    each time after the token that begins a text. Frequencies are integers, summed where the logits are, to
    2**``precision``; only intervals leave the device.
    """

    precision = TOKEN_PRECISION

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
        _check(engine, tokens)
        size = window_of(engine, window)
        begin = [] if tokens.root is None else [tokens.root]
        contexts = [begin + (tokens.encode(tokens.lead + prompt)[-size:] if prompt else []) for prompt in prompts]
        return cls(engine, tokens, size, contexts)

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return len(self._contexts)

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
        self._cache.put(
            np.asarray(rows, dtype=np.int64), read(self._engine, [self._contexts[row][:-1] for row in rows])
        )

    def _step(self) -> None:
        """Read the last token of every row, and sum the frequencies of what may follow."""
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
