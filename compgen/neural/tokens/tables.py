"""What a tokeniser of Hugging Face's says, as tables: the bytes of each token, and a tokeniser of text without extras.

To read a large ``tokenizer.json`` takes transformers several seconds. So the tables of a folder are kept in the user's
cache (``compgen/cache.py``), under a digest of the tokeniser's files and of the libraries that read them.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import transformers
from numpy.typing import NDArray

from compgen.cache import keep, recall
from compgen.errors import CompgenError, IncompatibleError, UsageError
from compgen.neural.folder import digests, reason

_FORMAT = "1"
"""Changes with what ``Tables`` holds, and with how it is made."""

_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")  # any of them is enough for transformers
_NEVER_IN_TEXT = frozenset((0xC0, 0xC1, *range(0xF5, 0x100)))  # bytes that valid UTF-8 never holds: RFC 3629, section 3


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables of a tokeniser.

    Attributes:
        ids: (n,) int64: the tokens that spell bytes, sorted by what they spell.
        sizes: (n,) int64: how many bytes each spells.
        buffer: (sum of sizes,) uint8: what they spell, one after the other.
        fallback: the tokens that stand for single bytes of characters without a token.
        start_token: the token before a text: the one that begins texts, or else the one that ends them, or else None.
        end_tokens: the tokens that end a text: one or none.
        lead: the bytes that the tokeniser puts before every text.
        byte_level: whether it is byte-level BPE.
        text: the JSON of the tokeniser without special tokens and without steps that touch only the ends of a text.
    """

    ids: NDArray[np.int64]
    sizes: NDArray[np.int64]
    buffer: NDArray[np.uint8]
    fallback: frozenset[int]
    start_token: int | None
    end_tokens: tuple[int, ...]
    lead: bytes
    byte_level: bool
    text: str

    @classmethod
    def of(cls, tokenizer: Any) -> Tables:
        """Return the tables of a fast tokeniser of transformers.

        Raises:
            IncompatibleError: the tokeniser is not a fast one, or cannot spell every byte string.
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
        _check(layout, frozenset(range(256)) - {data[0] for data, _ in spelled if len(data) == 1})
        known = {token for _, token in spelled}
        first = backend.encode("a", add_special_tokens=False).ids
        eos, bos = tokenizer.eos_token_id, tokenizer.bos_token_id
        return cls(
            ids=np.array([token for _, token in spelled], dtype=np.int64),
            sizes=np.array([len(data) for data, _ in spelled], dtype=np.int64),
            buffer=np.frombuffer(b"".join(data for data, _ in spelled), dtype=np.uint8),
            fallback=_fallback(layout),
            start_token=bos if bos is not None else eos,
            end_tokens=() if eos is None else (int(eos),),
            lead=b"".join(spelling[token] for token in first if token in known).removesuffix(b"a"),
            byte_level=_is_byte_level(layout),
            text=json.dumps(_bare(layout, special), ensure_ascii=False, separators=(",", ":")),
        )

    @classmethod
    def load(cls, folder: Path) -> Tables:
        """Return the tables of the tokeniser in a folder. Code that comes with it is never run.

        Raises:
            UsageError: there is no tokeniser, or it is damaged.
            IncompatibleError: the tokeniser is not a fast one, or cannot spell every byte string.
        """
        if not any((folder / file).exists() for file in _FILES):  # transformers would make up one
            raise UsageError(f"no tokeniser at '{folder}': save one with a tokenizer.json beside the weights")
        made_by = f"{_FORMAT} {tokenizers.__version__} {transformers.__version__} {np.__version__}"
        made_from = digests(str(folder)).tokeniser + made_by.encode()
        name = f"tokeniser-{hashlib.blake2b(made_from, digest_size=16).hexdigest()}"
        if (known := recall(name)) is not None:
            return cls._unpack(known)
        try:
            tables = cls.of(
                transformers.AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, use_fast=True)
            )
        except CompgenError:
            raise
        except Exception as error:  # a damaged tokenizer.json fails anywhere in transformers and tokenizers
            raise UsageError(f"no tokeniser at '{folder}': {reason(error)}") from error
        keep(name, tables._pack())
        return tables

    def _pack(self) -> bytes:
        rest = {
            "fallback": sorted(self.fallback),
            "start_token": self.start_token,
            "end_tokens": self.end_tokens,
            "lead": self.lead.hex(),
            "byte_level": self.byte_level,
        }
        out = io.BytesIO()
        octets = [np.frombuffer(part.encode(), dtype=np.uint8) for part in (json.dumps(rest), self.text)]
        np.savez(out, ids=self.ids, sizes=self.sizes, buffer=self.buffer, rest=octets[0], text=octets[1])
        return out.getvalue()

    @classmethod
    def _unpack(cls, content: bytes) -> Tables:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            rest, text = (arrays[name].tobytes().decode() for name in ("rest", "text"))
            found = json.loads(rest)
            return cls(
                ids=arrays["ids"],
                sizes=arrays["sizes"],
                buffer=arrays["buffer"],
                fallback=frozenset(found["fallback"]),
                start_token=found["start_token"],
                end_tokens=tuple(found["end_tokens"]),
                lead=bytes.fromhex(found["lead"]),
                byte_level=found["byte_level"],
                text=text,
            )


class Spelling:
    """The bytes of each token that spells some: ``spelling[token]``, and ``token in spelling``."""

    def __init__(
        self, ids: NDArray[np.int64], places: NDArray[np.int64], sizes: NDArray[np.int64], buffer: NDArray[np.uint8]
    ) -> None:
        self._ranks = dict(zip(ids.tolist(), range(len(ids)), strict=True))
        self._places, self._ends = places.tolist(), (places + sizes).tolist()
        self._buffer = buffer.tobytes()

    def __contains__(self, token: int) -> bool:
        return token in self._ranks

    def __getitem__(self, token: int) -> bytes:
        rank = self._ranks[token]
        return self._buffer[self._places[rank] : self._ends[rank]]


def _byte_characters() -> list[str]:
    """Return the 256 characters that byte-level BPE writes for bytes: visible ones as they are, others from U+0100 on.

    The table is ``bytes_to_unicode`` of GPT-2's encoder.
    """
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = itertools.count(0x100)
    return [chr(byte if byte in visible else next(others)) for byte in range(256)]


CHARACTERS = _byte_characters()
"""The character that byte-level BPE writes for each byte."""

_BYTE_OF = {character: byte for byte, character in enumerate(CHARACTERS)}


def _parts(layout: Any) -> Iterator[dict[str, Any]]:
    """Yield every part with a ``type`` in the JSON of a normaliser, pre-tokeniser or decoder, at any depth."""
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
    """Return the bytes that each token spells; none for a token of byte-level BPE whose name is not made of bytes."""
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
    """Raise IncompatibleError if the tokeniser cannot spell every byte string of valid UTF-8."""
    model = layout["model"]
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise IncompatibleError("a tokeniser that marks the parts of words does not keep bytes; use another model")
    if missing - _NEVER_IN_TEXT:
        raise IncompatibleError(
            f"the tokeniser has no token for {len(missing)} of 256 bytes; "
            "use a model with byte-level BPE, or SentencePiece with byte fallback"
        )


def _bare(layout: dict[str, Any], special: set[int]) -> dict[str, Any]:
    """Return the tokeniser's JSON without special tokens and without steps that touch only the two ends of a text."""
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


def _fallback(layout: dict[str, Any]) -> frozenset[int]:
    """Return the tokens ``<0xNN>`` of a tokeniser with byte fallback."""
    model = layout["model"]
    if not model.get("byte_fallback") or not isinstance(model["vocab"], dict):
        return frozenset()
    found = (model["vocab"].get(f"<0x{byte:02X}>") for byte in range(256))
    return frozenset(token for token in found if token is not None)
