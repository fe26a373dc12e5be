"""The folder of a language model, in Hugging Face's layout: where it is, and what its files say.

``config.json`` describes the network, ``model.safetensors`` holds its weights, and models with a tokeniser have
``tokenizer.json`` as well.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.resources
import itertools
import json
import math
import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compgen.cache import keep, recall
from compgen.errors import UsageError

FILES = ("*.json", "*.safetensors", "*.model", "*.txt")
"""Patterns of the files that are fetched from a hub."""

_CONFIG = "config.json"
"""The file that describes the network."""

_TOKENISER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "vocab.txt", "merges.txt", "*.model",
)  # fmt: skip
"""Patterns of the files that transformers reads a tokeniser from."""

_IDLE = frozenset((
    "_name_or_path", "name_or_path", "transformers_version", "architectures", "torch_dtype", "dtype", "use_cache",
    "_commit_hash", "chat_template", "model_max_length", "is_local", "local_files_only", "clean_up_tokenization_spaces",
    "padding_side", "truncation_side", "tokenizer_file", "processor_class",
))  # fmt: skip
"""Entries of JSON files that change no frequency: where a model comes from, which version saved it, the type in which
its weights were saved (the spec chooses the type of the arithmetic), and what chats, padding and generation need.
Chosen by reading transformers 5.24; an entry that is not here counts."""

_FORMAT = 1
"""Changes with how digests are computed."""

_SETTLED = 2_000_000_000
"""Nanoseconds that a file must be unchanged before its digest is kept: a second change in the same tick of the file
system's clock might not show in its times. Chosen: the coarsest clock in use, FAT's, ticks every two seconds."""

BYTE_SYMBOLS = 257
"""Symbols of a byte-level network: 256 bytes, and one that begins a text."""


def find(path: str) -> Path:
    """Return the folder of a model: the package's own for an empty ``path``, a folder on disk, or one from the hub.

    Raises:
        UsageError: there is no such folder, or the hub does not give it.
    """
    if not path:
        return Path(str(importlib.resources.files("compgen.neural").joinpath("weights")))
    if Path(path).is_dir():
        return Path(path)
    if Path(path).is_file() and path.endswith(".gguf"):
        raise UsageError(
            f"'{path}' is a GGUF file; convert it once: cgn convert {shlex.quote(path)} -o DIR; then use llm:DIR"
        )
    if Path(path).exists():
        raise UsageError(f"'{path}' is a file; name the folder that holds config.json and model.safetensors")
    if path.startswith((".", "/", "~")) or path.count("/") > 1:  # a hub id is NAME or OWNER/NAME
        raise UsageError(f"'{path}' is no folder here; check the path")
    return _fetched(path)


@functools.lru_cache(maxsize=16)
def _fetched(path: str) -> Path:
    """Return the local copy of a hub id, the same one for as long as this process runs."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(path, allow_patterns=list(FILES)))
    except Exception as error:  # the hub's client, the network and the id fail in ways of their own
        raise UsageError(
            f"'{path}' is no folder here (check the path), and the hub did not give it: {reason(error)}"
        ) from None


def reason(error: Exception) -> str:
    """Return the first line of the message of ``error``, or the name of its class if it has no message."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@dataclass(frozen=True)
class Digests:
    """Digests, 16 bytes each, of what decides the arithmetic of a folder's model.

    Attributes:
        weights: of the tensors' files.
        config: of the network's description, without the entries in ``_IDLE``.
        tokeniser: of the tokeniser's files, without these entries.
    """

    weights: bytes
    config: bytes
    tokeniser: bytes


def digest(path: str) -> bytes:
    """Return a digest, 16 bytes, of all that decides the arithmetic of the model in a folder; see ``Digests``."""
    found = digests(path)
    return hashlib.blake2b(found.weights + found.config + found.tokeniser, digest_size=16).digest()


def digests(path: str) -> Digests:
    """Return the digests of a folder's files.

    They are kept in the user's cache together with size, inode and times of every file, and computed anew if any of
    these differs.
    """
    parts = [_matching(Path(path), patterns) for patterns in (("*.safetensors",), (_CONFIG,), _TOKENISER)]
    status = _status(parts)
    name = f"digests-{hashlib.blake2b(os.fsencode(Path(path).resolve()), digest_size=16).hexdigest()}"
    with contextlib.suppress(ValueError, TypeError, KeyError):  # what an older version stored
        known = json.loads(recall(name) or b"{}")
        if known.get("format") == _FORMAT and known.get("status") == status:
            return Digests(*map(bytes.fromhex, known["digests"]))
    found = [hashlib.blake2b(b"".join(sorted(map(_digest_of, files))), digest_size=16).digest() for files in parts]
    settled = time.time_ns() - _SETTLED
    if status == _status(parts) and all(times < settled for *_, times in status):
        content = {"format": _FORMAT, "status": status, "digests": [one.hex() for one in found]}
        keep(name, json.dumps(content).encode())
    return Digests(*found)


def _matching(folder: Path, patterns: Sequence[str]) -> list[Path]:
    return sorted({file for pattern in patterns for file in folder.glob(pattern)})


def _status(parts: Sequence[Sequence[Path]]) -> list[list[Any]]:
    """Return name, size, device, inode, time of change and time of writing of each file, the times in nanoseconds."""
    found = []
    for file in itertools.chain.from_iterable(parts):
        of = file.stat()
        found.append([file.name, of.st_size, of.st_dev, of.st_ino, of.st_ctime_ns, of.st_mtime_ns])
    return found


def _digest_of(file: Path) -> bytes:
    """Return a digest of one file: of its bytes, or if it is JSON of its content without what plays no part."""
    found = hashlib.blake2b(digest_size=16)
    if file.suffix == ".json":
        with contextlib.suppress(ValueError):
            content = json.loads(file.read_bytes())
            if isinstance(content, dict):
                content = {key: value for key, value in content.items() if key not in _IDLE}
            found.update(file.name.encode() + json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
            return found.digest()
    with file.open("rb") as source:
        while piece := source.read(1 << 20):
            found.update(piece)
    return found.digest()


@functools.lru_cache(maxsize=8)
def digest_of_all(path: str) -> bytes:
    """Return the digest, 16 bytes, that files before format version 4 have: of all files that match ``FILES``."""
    found = hashlib.blake2b(digest_size=16)
    for file in sorted(file for pattern in FILES for file in Path(path).glob(pattern)):
        found.update(file.name.encode())
        with file.open("rb") as source:
            while piece := source.read(1 << 20):
                found.update(piece)
    return found.digest()


def weights_file(path: Path) -> Path:
    """Return the path of the weights in a folder.

    Raises:
        UsageError: there are none in safetensors' format.
    """
    weights = path / "model.safetensors"
    if not weights.exists():
        raise UsageError(f"'{path}' holds no model.safetensors; convert its weights: other formats are not read")
    return weights


def read_config(path: Path) -> dict[str, Any]:
    """Return the content of a folder's ``config.json``.

    Raises:
        UsageError: there is no such file, or it is not a JSON object.
    """
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except OSError:
        raise UsageError(f"'{path}' holds no config.json; name a folder in Hugging Face's layout") from None
    except ValueError as error:
        raise UsageError(f"'{path}/config.json' is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise UsageError(f"'{path}/config.json' is no JSON object; name a folder in Hugging Face's layout")
    return config


def speaks_bytes(config: dict[str, Any]) -> bool:
    """Return whether ``config`` describes a byte-level network: Llama's type, over ``BYTE_SYMBOLS`` symbols."""
    return bool(config.get("model_type") == "llama" and config.get("vocab_size") == BYTE_SYMBOLS)


def cache_memory(config: dict[str, Any], slots: int, number: int) -> int:
    """Return the bytes of a KV cache of one row.

    Args:
        config: of the folder.
        slots: symbols that the row has room for.
        number: bytes of a number in the cache.
    """
    config = config.get("text_config") or config
    sizes = [config.get(key) for key in ("num_hidden_layers", "hidden_size", "num_attention_heads")]
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        return 0  # transformers finds out what is wrong with the folder
    layers, width, heads = (int(size or 0) for size in sizes)
    head = int(config.get("head_dim") or width // heads)
    return 2 * layers * int(config.get("num_key_value_heads") or heads) * head * slots * number


def parameters(path: Path) -> int:
    """Return how many numbers the tensors of a folder's weights hold.

    Raises:
        UsageError: there are no weights, or they are damaged.
    """
    from safetensors import SafetensorError, safe_open

    weights = weights_file(path)
    try:
        with safe_open(weights, "numpy") as tensors:
            return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UsageError(f"'{weights}' cannot be read: {error}") from None
