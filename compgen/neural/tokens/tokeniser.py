"""A tokeniser over bytes: which bytes each token spells, how bytes become tokens, and a trie from bytes to tokens.

Two families of Hugging Face's fast tokenisers are read. Tokens of byte-level BPE (GPT-2, Llama 3, Qwen) spell any
bytes. SentencePiece with byte fallback (Llama 2, Gemma) writes ``▁`` for a space and ``<0xNN>`` for a single byte.
Several tokens may spell the same bytes. Special tokens spell nothing: their names in a text are ordinary text.

Some tokenisers put a space before every text. These bytes are the *lead*: the lead and the data are encoded together.
Whatever else a tokeniser does to the beginning of a text alone is left out, so that every byte string has an encoding.

**Pieces and the canonical encoding.** Data is cut into *pieces*, so that an encoding can be extended without starting
over. A piece begins

- before a space that follows a printable ASCII character, if no token of the vocabulary holds that character followed
  by a space: the tokeniser's merges never cross such a place; and
- before the first character that comes once the piece has ``PIECE_BYTES`` bytes.

The canonical encoding of data joins the encodings of its pieces. In a piece, the tokeniser encodes each run of valid
UTF-8. Other bytes, and runs that a tokeniser does not give back byte for byte (it may normalise), are encoded greedily
by the longest tokens that fit.

**Probes.** A pre-tokeniser looks ahead: GPT-2's tokeniser encodes two newlines at the end of a text as one token, and
before a letter as two. While a piece is still *open*, nobody knows what follows it. So its bytes are also encoded with
a *probe* after them: a character of each kind that a pre-tokeniser may look for. If a token of such an encoding ends
where the open piece ends, the tokens up to there are a *candidate*: a way to encode the piece so far.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from compgen.neural.tokens.tables import CHARACTERS, Spelling, Tables

PIECE_BYTES = 64
"""Bytes of a piece after which any character begins the next one. A piece has at most 3 bytes more.

Chosen: longer than nearly all words, so that few are cut, and short enough that candidates are quick to encode.
"""

PROBES = (b"x", b"1", b".", b" ", b"\n")
"""One character of each kind that the pre-tokenisers of GPT-2, Llama 3 and Qwen look ahead for."""

_STAND_INS = ("x", ".", "中")  # a letter, a punctuation mark and an ideograph: what a cut-off character may become
_SPACE = 0x20
_CACHED_PIECES = 1 << 16  # chosen: some 20 MB for each of a tokeniser's two caches


class TrieNode:
    """A node of the trie: the tokens that begin with the same ``depth`` bytes, neighbours in byte order.

    A child is made when it is first asked for, and kept.

    Attributes:
        begin: the index in ``Tokeniser.ids`` of the first of its tokens.
        end: the index after the last one.
        depth: how many bytes they share.
        complete: the tokens that spell these bytes and no more. They come first.
        next_bytes: (k,) uint8: the bytes that may follow, ascending.
        starts: (k,) int64: where the tokens of each next byte begin, counted from ``begin``.
    """

    __slots__ = ("_children", "_tokeniser", "begin", "complete", "depth", "end", "next_bytes", "starts")

    def __init__(self, tokeniser: Tokeniser, begin: int, end: int, depth: int) -> None:
        self._tokeniser = tokeniser
        self._children: dict[int, TrieNode] = {}
        self.begin = begin
        self.end = end
        self.depth = depth
        longer = begin + int((tokeniser.sizes[begin:end] == depth).sum())
        self.complete: list[int] = tokeniser.ids[begin:longer].tolist()
        bytes_after = tokeniser.buffer[tokeniser.places[longer:end] + depth]
        self.next_bytes, starts = np.unique(bytes_after, return_index=True)
        self.starts = starts + longer - begin

    def child(self, symbol: int) -> TrieNode | None:
        """Return the node for one byte more, or None if no token goes on with ``symbol``."""
        if symbol not in self._children:
            place = int(np.searchsorted(self.next_bytes, symbol))
            if place == len(self.next_bytes) or self.next_bytes[place] != symbol:
                return None
            ends = [*self.starts[1:].tolist(), self.end - self.begin]
            begin, end = self.begin + int(self.starts[place]), self.begin + ends[place]
            self._children[symbol] = TrieNode(self._tokeniser, begin, end, self.depth + 1)
        return self._children[symbol]

    def masses(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (k,) sums of ``shares``, (end - begin,) numbers of its tokens, over the tokens of each next byte."""
        return np.add.reduceat(shares, self.starts) if len(self.starts) else np.zeros(0)


class Tokeniser:
    """A tokeniser over bytes.

    Attributes:
        ids: (n,) int64: the tokens that spell bytes, sorted by what they spell.
        sizes: (n,) int64: how many bytes each spells.
        buffer: (sum of sizes,) uint8: what they spell, one after the other.
        places: (n,) int64: where each begins in ``buffer``.
        longest: the bytes of the longest token.
        missing: bytes that no token spells. None of them occurs in valid UTF-8.
        start_token: the token before a text: the one that begins texts, or else the one that ends them, or else None.
        end_tokens: the tokens that end a text: one or none.
        trie: the root of the trie.
        lead: the bytes that the tokeniser puts before every text.
    """

    def __init__(self, tokenizer: Any) -> None:
        """Read a fast tokeniser of transformers, or ``Tables`` made from one.

        Raises:
            IncompatibleError: the tokeniser is not a fast one, or cannot spell every byte string.
        """
        tables = tokenizer if isinstance(tokenizer, Tables) else Tables.of(tokenizer)
        self.ids, self.sizes, self.buffer = tables.ids, tables.sizes, tables.buffer
        self.places = np.cumsum(self.sizes) - self.sizes
        self.longest = int(self.sizes.max(initial=0))
        self.missing = frozenset(range(256)) - set(self.buffer[self.places[self.sizes == 1]].tolist())
        self.start_token = tables.start_token
        self.end_tokens = tables.end_tokens
        self.lead = tables.lead
        self.trie = TrieNode(self, 0, len(self.ids), 0)
        inside = np.flatnonzero(self.buffer == _SPACE)
        inside = inside[~np.isin(inside, self.places)]  # spaces that do not begin a token
        self._cut_before_space = frozenset(range(0x21, 0x7F)) - set(self.buffer[inside - 1].tolist())
        self._byte_level = tables.byte_level
        self._fallback = tables.fallback
        self._spelling = Spelling(self.ids, self.places, self.sizes, self.buffer)
        self._text = Tokenizer.from_str(tables.text)
        self.encode_piece = functools.lru_cache(_CACHED_PIECES)(self._encode_piece)
        """The canonical encoding of a piece, a tuple of tokens. Cached."""
        self.candidates = functools.lru_cache(_CACHED_PIECES)(self._candidates)
        """See ``_candidates``. Cached."""

    @classmethod
    def load(cls, path: str) -> Tokeniser:
        """Read the tokeniser of a folder. Code that comes with it is never run.

        Raises:
            UsageError: there is no tokeniser, or it is damaged.
            IncompatibleError: the tokeniser is not a fast one, or cannot spell every byte string.
        """
        return cls(Tables.load(Path(path)))

    def spell(self, tokens: Sequence[int]) -> bytes:
        """Return the bytes that ``tokens`` spell; special tokens spell none."""
        return b"".join(self._spelling[token] for token in tokens if token in self._spelling)

    def begins_piece(self, length: int, last: int, symbol: int) -> bool:
        """Return whether the byte ``symbol`` begins a piece, after one of ``length`` bytes that ends with ``last``."""
        if symbol == _SPACE and last in self._cut_before_space:
            return True
        return length >= PIECE_BYTES + 3 or (length >= PIECE_BYTES and symbol & 0xC0 != 0x80)

    def begins_token(self, data: bytes) -> bool:
        """Return whether some token begins with ``data``."""
        node: TrieNode | None = self.trie
        for symbol in data:
            node = node.child(symbol) if node else None
        return node is not None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield the pieces of ``data``."""
        begin = 0
        for here in range(1, len(data)):
            if self.begins_piece(here - begin, data[here - 1], data[here]):
                yield data[begin:here]
                begin = here
        if data:
            yield data[begin:]

    def encode(self, data: bytes) -> list[int]:
        """Return the canonical encoding of ``data``, which holds no ``missing`` byte."""
        return list(itertools.chain.from_iterable(self.encode_piece(piece) for piece in self.pieces(data)))

    def encode_text(self, data: bytes) -> list[int]:
        """Return tokens that spell the lead and ``data``, which holds no ``missing`` byte.

        They are the tokeniser's own encoding, if that spells the data. What is not valid UTF-8, or is normalised, does
        not come back: then data is halved until few parts of ``PIECE_BYTES`` are left, which are encoded as pieces.
        """
        return self._encode_stretch(self.lead + data)

    def _encode_stretch(self, data: bytes) -> list[int]:
        with contextlib.suppress(UnicodeDecodeError):
            tokens = list(self._text.encode(data.decode(), add_special_tokens=False).ids)
            if self._spells(tokens, data):
                return tokens
        if len(data) <= PIECE_BYTES:
            return list(self.encode_piece(data))
        near = range(len(data) // 2, len(data) // 2 + PIECE_BYTES // 2)
        # At best before a space that begins a piece, or else between two characters.
        cut = max(near, key=lambda i: (self.begins_piece(0, data[i - 1], data[i]), data[i] & 0xC0 != 0x80))
        return self._encode_stretch(data[:cut]) + self._encode_stretch(data[cut:])

    def _spells(self, tokens: Sequence[int], data: bytes) -> bool:
        """Return whether ``tokens`` spell ``data``, with no special token among them."""
        return all(token in self._spelling for token in tokens) and self.spell(tokens) == data

    def _encode_piece(self, piece: bytes) -> tuple[int, ...]:
        tokens: list[int] = []
        for run in _runs(piece):
            if isinstance(run, bytes):
                tokens += self._greedy(run)
                continue
            encoded = self._text.encode(run, add_special_tokens=False).ids
            data = run.encode()
            tokens += encoded if self._spells(encoded, data) else self._greedy(data)
        return tuple(tokens)

    def _greedy(self, data: bytes) -> list[int]:
        """Return tokens that spell ``data``, each the longest that fits."""
        tokens = []
        while data:
            size = next(s for s in range(min(self.longest, len(data)), 0, -1) if data[:s] in self._preferred)
            tokens.append(self._preferred[data[:size]])
            data = data[size:]
        return tokens

    @functools.cached_property
    def _preferred(self) -> dict[bytes, int]:
        """The token to use for each byte string: the lowest one that spells it, byte fallbacks last."""
        preferred: dict[bytes, int] = {}
        for token in self.ids.tolist():
            data = self._spelling[token]
            if data not in preferred or preferred[data] in self._fallback:
                preferred[data] = token
        return preferred

    def _candidates(self, piece: bytes) -> tuple[tuple[int, ...], ...]:
        """Return the candidates for the tokens of an open piece: the canonical encoding first, then those by probes."""
        found = {self.encode_piece(piece): None}
        tail = _cut_off(piece)
        longer = [self.encode_piece(piece + probe) for probe in PROBES] if not tail else self._completions(piece, tail)
        for tokens in longer:
            size = 0
            for count, token in enumerate(tokens):
                if size >= len(piece):
                    break
                size += len(self._spelling[token])
                if size == len(piece):
                    found[tuple(tokens[: count + 1])] = None
        return tuple(found)

    def _completions(self, piece: bytes, tail: int) -> Iterator[tuple[int, ...]]:
        """Yield encodings of ``piece`` whose last ``tail`` bytes begin a character, as byte-level BPE may merge them.

        The tokeniser takes text, so a whole character stands in for the cut-off one while words are formed. In the last
        word it is replaced by the bytes that are there, and the BPE model merges those.
        """
        whole = piece[: len(piece) - tail].decode(errors="ignore")
        if not self._byte_level or len(whole.encode()) + tail < len(piece):
            return
        rest = "".join(CHARACTERS[byte] for byte in piece[len(piece) - tail :])
        for stand_in in _STAND_INS:
            words = [word for word, _ in self._text.pre_tokenizer.pre_tokenize_str(whole + stand_in)]
            words[-1] = words[-1][: len(words[-1]) - len(stand_in.encode())] + rest
            yield tuple(token.id for word in words for token in self._text.model.tokenize(word))


def _runs(data: bytes) -> Iterator[str | bytes]:
    """Yield the runs of valid UTF-8 in ``data`` as text, and the bytes between them as bytes."""
    while data:
        try:
            yield data.decode()
        except UnicodeDecodeError as error:
            if error.start:
                yield data[: error.start].decode()
            yield data[error.start : error.end]
            data = data[error.end :]
        else:
            return


def _cut_off(data: bytes) -> int:
    """Return how many bytes at the end of ``data`` begin a character without completing it."""
    for size in range(1, min(3, len(data)) + 1):
        try:
            data[len(data) - size :].decode()
        except UnicodeDecodeError as error:
            if error.start == 0 and error.reason == "unexpected end of data":
                return size
    return 0
