"""The folder that holds a language model, in Hugging Face's layout: where it is, and what it holds."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import json
import math
from pathlib import Path
from typing import Any

from compgen.errors import UsageError

FILES = ("*.json", "*.safetensors", "*.model", "*.txt")
"""The files of a folder that are fetched from a hub, and that its digest covers."""

BYTE_SYMBOLS = 257
"""Symbols of a network over bytes: 256 bytes, and one that starts a text."""


def find(path: str) -> Path:
    """Return the folder of a model: the package's own, one on disk, or one fetched from the hub.

    Raises:
        UsageError: there is none.
    """
    if not path:
        return Path(str(importlib.resources.files("compgen.neural").joinpath("weights")))
    if Path(path).is_dir():
        return Path(path)
    if Path(path).exists():
        raise UsageError(f"'{path}' is a file; name the folder that holds config.json and model.safetensors")
    return _fetched(path)


@functools.lru_cache(maxsize=16)
def _fetched(path: str) -> Path:
    """Return the folder of a model of the hub, the same one for as long as this process runs."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(path, allow_patterns=list(FILES)))
    except Exception as error:  # whatever the hub's client, the network or the name brings
        raise UsageError(
            f"'{path}' is no folder here (check the path), and the hub did not give it: {str(error).splitlines()[0]}"
        ) from None


@functools.lru_cache(maxsize=8)
def digest(path: str) -> bytes:
    """Return a digest of the weights and the tokeniser of a folder."""
    found = hashlib.blake2b(digest_size=16)
    for file in sorted(file for pattern in FILES for file in Path(path).glob(pattern)):
        found.update(file.name.encode())
        with file.open("rb") as source:
            while piece := source.read(1 << 20):
                found.update(piece)
    return found.digest()


def weights_file(path: Path) -> Path:
    """Return the file of weights in a folder."""
    weights = path / "model.safetensors"
    if not weights.exists():
        raise UsageError(f"'{path}' holds no model.safetensors; other formats are not read")
    return weights


def read_config(path: Path) -> dict[str, Any]:
    """Return what ``config.json`` in a folder says.

    Raises:
        UsageError: it is not there, or no JSON object.
    """
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except OSError:
        raise UsageError(f"'{path}' holds no config.json; name a folder in Hugging Face's layout") from None
    except ValueError as error:
        raise UsageError(f"'{path}/config.json' is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise UsageError(f"'{path}/config.json' is no JSON object")
    return config


def speaks_bytes(config: dict[str, Any]) -> bool:
    """Return whether a network is over 256 bytes and a start symbol."""
    return bool(config.get("model_type") == "llama" and config.get("vocab_size") == BYTE_SYMBOLS)


def parameters(path: Path) -> int:
    """Return how many numbers the tensors in a folder's file of weights hold.

    Raises:
        UsageError: there is no such file, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    weights = weights_file(path)
    try:
        with safe_open(weights, "numpy") as tensors:
            return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UsageError(f"'{weights}' cannot be read: {error}") from None
