"""The byte view of a tokeniser: what each token spells, how bytes become tokens, and a trie from bytes to tokens.

Two families are read, both as fast tokenisers of Hugging Face: byte-level BPE (GPT-2, Llama 3, Qwen), whose tokens are
any bytes; and SentencePiece with byte fallback (Llama 2, Gemma), where ``▁`` is a space and ``<0xNN>`` a byte.
Several tokens may spell the same bytes. Special tokens spell none, and their names in a text are text.

A tokeniser that puts a space before every text spells ``lead`` first: what is encoded is the lead and the data. The
rest of what it does to the beginning of a text is left out, so that every byte string has an encoding of its own.

**The canonical encoding.** Data is cut into pieces, and the encodings of the pieces follow each other. A cut lies
before a space after a printable character, where no token of the vocabulary holds these two, so that the tokeniser's
own merges never cross it; and before any character once a piece has ``LONGEST`` bytes. In a piece, runs of valid UTF-8
are encoded by the tokeniser; the rest, and runs that do not come back byte for byte (a tokeniser may normalise), by
the longest tokens that fit.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from compgen.errors import IncompatibleError, UsageError

LONGEST = 64
"""Bytes of a piece from which on any character begins the next one; the most a piece has is three more."""

_PROBES = (b"x", b"1", b".", b" ", b"\n")  # what a pre-tokeniser may look ahead for
_STAND_INS = ("x", ".", "中")  # characters of the kinds that a cut-off one may be of
_SPACE = 0x20
_NEVER_IN_TEXT = frozenset((0xC0, 0xC1, *range(0xF5, 0x100)))  # RFC 3629
_REMEMBERED = 1 << 16  # pieces


class Branch:
    """A node of the trie: the tokens, neighbours in byte order, that begin with the same ``depth`` bytes.

    Its children are made when they are asked for, and kept.
    """

    __slots__ = ("_children", "_tokens", "begin", "depth", "end", "ended", "starts", "symbols")

    def __init__(self, tokens: Tokens, begin: int, end: int, depth: int) -> None:
        self._tokens = tokens
        self._children: dict[int, Branch] = {}
        self.begin = begin
        self.end = end
        self.depth = depth
        longer = begin + int((tokens.sizes[begin:end] == depth).sum())
        self.ended: list[int] = tokens.ids[begin:longer].tolist()
        """The tokens, the first ones, that spell just these bytes."""
        self.symbols, starts = np.unique(tokens.buffer[tokens.places[longer:end] + depth], return_index=True)
        """(k,) bytes that go on, ascending."""
        self.starts = starts + longer - begin
        """(k,) where the tokens of each begin, counted from ``begin``."""

    def child(self, symbol: int) -> Branch | None:
        """Return the node one byte further on, or None where no token goes on so."""
        if symbol not in self._children:
            place = int(np.searchsorted(self.symbols, symbol))
            if place == len(self.symbols) or self.symbols[place] != symbol:
                return None
            ends = [*self.starts[1:].tolist(), self.end - self.begin]
            begin, end = self.begin + int(self.starts[place]), self.begin + ends[place]
            self._children[symbol] = Branch(self._tokens, begin, end, self.depth + 1)
        return self._children[symbol]

    def masses(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (k,) the sums of ``shares``, (end - begin,) of the tokens, by ``symbols``."""
        return np.add.reduceat(shares, self.starts) if len(self.starts) else np.zeros(0)


class Tokens:
    """A tokeniser, seen as bytes."""

    def __init__(self, tokenizer: Any) -> None:
        """Read a fast tokeniser of transformers.

        Raises:
            IncompatibleError: it cannot write every byte string.
        """
        if not getattr(tokenizer, "is_fast", False):
            raise IncompatibleError(
                f"{type(tokenizer).__name__} is no fast tokeniser; save one with a tokenizer.json beside the weights"
            )
        backend = tokenizer.backend_tokenizer
        layout = json.loads(backend.to_str())
        special = set(tokenizer.all_special_ids) | {t["id"] for t in layout["added_tokens"] if t["special"]}
        spelling = _spelling(layout, backend.get_vocab(with_added_tokens=True))
        spelled = sorted((data, token) for token, data in spelling.items() if token not in special and data)
        self._spelling = {token: data for data, token in spelled}
        self.ids = np.array([token for _, token in spelled], dtype=np.int64)
        """(n,) tokens that spell bytes, in the order of these."""
        self.sizes = np.array([len(data) for data, _ in spelled], dtype=np.int64)
        """(n,) bytes that each spells."""
        self.buffer = np.frombuffer(b"".join(data for data, _ in spelled), dtype=np.uint8)
        """What they spell, one after the other."""
        self.places = np.cumsum(self.sizes) - self.sizes
        """(n,) where each begins in ``buffer``."""
        self.longest = int(self.sizes.max(initial=0))
        """Bytes of the longest token."""
        self.missing = frozenset(range(256)) - {data[0] for data, _ in spelled if len(data) == 1}
        """Bytes that no token spells: at most some that are never in valid UTF-8."""
        _check(layout, self.missing)
        self.root = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        """The token before a text: its beginning, else the end of another; None where there is neither."""
        self.ends = () if tokenizer.eos_token_id is None else (int(tokenizer.eos_token_id),)
        """Tokens that end a text."""
        self.trie = Branch(self, 0, len(spelled), 0)
        """The trie's root."""
        before = {data[i - 1] for data, _ in spelled for i in range(1, len(data)) if data[i] == _SPACE}
        self._before_cut = frozenset(range(0x21, 0x7F)) - before
        self._byte_level = _is_byte_level(layout)
        self._preferred = _preferred(layout, spelled)
        self._text = Tokenizer.from_str(json.dumps(_bare(layout, special)))
        self.lead = self.spell(backend.encode("a", add_special_tokens=False).ids).removesuffix(b"a")
        """What the tokeniser puts before every text."""
        self.encode_piece = functools.lru_cache(_REMEMBERED)(self._encode_piece)
        """The canonical encoding of a piece: bytes to a tuple of tokens."""
        self.prefixes = functools.lru_cache(_REMEMBERED)(self._prefixes)
        """See ``_prefixes``: the same, remembered."""

    @classmethod
    def load(cls, path: str) -> Tokens:
        """Read the tokeniser of a directory or hub id; no code that comes with it is run.

        Raises:
            UsageError: there is none.
            IncompatibleError: it cannot write every byte string, or has no fast form.
        """
        try:
            return cls(AutoTokenizer.from_pretrained(path, trust_remote_code=False, use_fast=True))
        except (OSError, ValueError, KeyError, ImportError, TypeError) as error:
            if isinstance(error, UsageError):
                raise
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UsageError(f"no tokeniser at '{path}': {reason}") from error

    def spell(self, tokens: Sequence[int]) -> bytes:
        """Return the bytes that ``tokens`` spell; special tokens spell none."""
        return b"".join(self._spelling.get(token, b"") for token in tokens)

    def is_cut(self, length: int, last: int, symbol: int) -> bool:
        """Return whether ``symbol`` begins a new piece after one of ``length`` bytes that ends with ``last``."""
        if symbol == _SPACE and last in self._before_cut:
            return True
        return length >= LONGEST + 3 or (length >= LONGEST and symbol & 0xC0 != 0x80)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield the pieces of ``data``."""
        begin = 0
        for here in range(1, len(data)):
            if self.is_cut(here - begin, data[here - 1], data[here]):
                yield data[begin:here]
                begin = here
        if data:
            yield data[begin:]

    def encode(self, data: bytes) -> list[int]:
        """Return the canonical encoding of any bytes of which none is ``missing``."""
        return list(itertools.chain.from_iterable(self.encode_piece(piece) for piece in self.pieces(data)))

    def encode_text(self, data: bytes) -> list[int] | None:
        """Return the tokeniser's own encoding of the lead and ``data``, or None where it does not spell them.

        It spells valid UTF-8 that it does not normalise away.
        """
        whole = self.lead + data
        try:
            tokens = list(self._text.encode(whole.decode(), add_special_tokens=False).ids)
        except UnicodeDecodeError:
            return None
        return tokens if all(token in self._spelling for token in tokens) and self.spell(tokens) == whole else None

    def _encode_piece(self, piece: bytes) -> tuple[int, ...]:
        tokens: list[int] = []
        for run in _runs(piece):
            if isinstance(run, bytes):
                tokens += self._greedy(run)
                continue
            encoded = self._text.encode(run, add_special_tokens=False).ids
            data = run.encode()
            known = all(token in self._spelling for token in encoded) and self.spell(encoded) == data
            tokens += encoded if known else self._greedy(data)
        return tuple(tokens)

    def _greedy(self, data: bytes) -> list[int]:
        tokens = []
        while data:
            size = next(s for s in range(min(self.longest, len(data)), 0, -1) if data[:s] in self._preferred)
            tokens.append(self._preferred[data[:size]])
            data = data[size:]
        return tokens

    def _prefixes(self, piece: bytes) -> tuple[tuple[int, ...], ...]:
        """Return token sequences that spell ``piece`` and may begin the encoding of a longer one; the canonical first.

        A pre-tokeniser looks ahead: what it makes of two newlines depends on what follows. So the canonical
        encodings of ``piece`` and a few following characters are asked whether a token ends where ``piece`` does.
        """
        found = {self.encode_piece(piece): None}
        tail = _cut_off(piece)
        longer = [self.encode_piece(piece + probe) for probe in _PROBES] if not tail else self._completions(piece, tail)
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
        """Yield encodings in which the last ``tail`` bytes begin a character: byte-level BPE may merge them."""
        whole = piece[: len(piece) - tail].decode(errors="ignore")
        if not self._byte_level or len(whole.encode()) + tail < len(piece):
            return
        rest = "".join(_CHARACTERS[byte] for byte in piece[len(piece) - tail :])
        for stand_in in _STAND_INS:
            words = [word for word, _ in self._text.pre_tokenizer.pre_tokenize_str(whole + stand_in)]
            words[-1] = words[-1][: len(words[-1]) - len(stand_in.encode())] + rest
            yield tuple(token.id for word in words for token in self._text.model.tokenize(word))


def _byte_characters() -> list[str]:
    """Return the character that byte-level BPE writes for each byte: itself if it is visible, else one from 256 on."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = itertools.count(0x100)
    return [chr(byte if byte in visible else next(others)) for byte in range(256)]


_CHARACTERS = _byte_characters()
_BYTE_OF = {character: byte for byte, character in enumerate(_CHARACTERS)}


def _parts(layout: Any) -> Iterator[dict[str, Any]]:
    """Yield the parts of a tokeniser's normaliser, pre-tokeniser or decoder, at any depth."""
    if isinstance(layout, dict):
        if "type" in layout:
            yield layout
        for value in layout.values():
            yield from _parts(value)
    elif isinstance(layout, list):
        for value in layout:
            yield from _parts(value)


def _is_byte_level(layout: dict[str, Any]) -> bool:
    return any(part["type"] == "ByteLevel" for part in _parts([layout["pre_tokenizer"], layout["decoder"]]))


def _spelling(layout: dict[str, Any], vocabulary: dict[str, int]) -> dict[int, bytes]:
    """Return what each token spells: nothing for one that is no text."""
    added = {token["id"]: token["content"].encode() for token in layout["added_tokens"]}
    spaced = "▁" in json.dumps([layout["normalizer"], layout["pre_tokenizer"], layout["decoder"]], ensure_ascii=False)
    byte_level = _is_byte_level(layout)
    spelling = {}
    for name, token in vocabulary.items():
        if byte_level:
            data = bytes(_BYTE_OF[c] for c in name) if all(c in _BYTE_OF for c in name) else b""
        elif layout["model"].get("byte_fallback") and (match := re.fullmatch(r"<0x([0-9A-F]{2})>", name)):
            data = bytes([int(match[1], 16)])
        else:
            data = (name.replace("▁", " ") if spaced else name).encode()
        spelling[token] = data
    return spelling | {token: data for token, data in added.items() if not re.fullmatch(rb"<0x[0-9A-F]{2}>", data)}


def _check(layout: dict[str, Any], missing: frozenset[int]) -> None:
    model = layout["model"]
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise IncompatibleError("a tokeniser that marks the parts of words does not keep bytes; use another model")
    if missing - _NEVER_IN_TEXT:
        raise IncompatibleError(
            f"the tokeniser has no token for {len(missing)} of 256 bytes; "
            "use a model with byte-level BPE, or SentencePiece with byte fallback"
        )


def _preferred(layout: dict[str, Any], spelled: list[tuple[bytes, int]]) -> dict[bytes, int]:
    """Return the token to use for each byte string: the lowest, but a byte fallback only where there is no other."""
    fallback = set()
    if layout["model"].get("byte_fallback"):
        vocabulary = dict(layout["model"]["vocab"]) if isinstance(layout["model"]["vocab"], dict) else {}
        fallback = {vocabulary.get(f"<0x{byte:02X}>") for byte in range(256)}
    preferred: dict[bytes, int] = {}
    for data, token in spelled:
        if data not in preferred or preferred[data] in fallback:
            preferred[data] = token
    return preferred


def _bare(layout: dict[str, Any], special: set[int]) -> dict[str, Any]:
    """Return the tokeniser without special tokens, and without what it does to the two ends of a text alone."""
    bare = json.loads(json.dumps(layout))
    bare |= {"post_processor": None, "truncation": None, "padding": None}
    bare["added_tokens"] = [token for token in layout["added_tokens"] if token["id"] not in special]
    for part in _parts([bare["normalizer"], bare["pre_tokenizer"]]):
        if part["type"] == "Sequence":
            for key in ("normalizers", "pretokenizers"):
                if key in part:
                    part[key] = [inner for inner in part[key] if inner["type"] != "Prepend"]
        elif part["type"] == "ByteLevel":
            part["add_prefix_space"] = False
        elif part["type"] == "Metaspace":
            part["prepend_scheme"] = "never"
            part.pop("add_prefix_space", None)
    if bare["normalizer"] and bare["normalizer"]["type"] == "Prepend":
        bare["normalizer"] = None
    if bare["model"].get("dropout"):
        bare["model"]["dropout"] = None
    return bare  # type: ignore[no-any-return]


def _runs(data: bytes) -> Iterator[str | bytes]:
    """Yield runs of valid UTF-8 as text, and what lies between them as bytes."""
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
    """Return how many bytes at the end begin a character that is not whole."""
    for size in range(1, min(3, len(data)) + 1):
        try:
            data[len(data) - size :].decode()
        except UnicodeDecodeError as error:
            if error.start == 0 and error.reason == "unexpected end of data":
                return size
    return 0
