"""A folder of the user's for what was computed once: digests and tables of large files.

It is only for speed. What is missing, damaged or cannot be written is computed anew, and nobody hears of it. Files are
renamed into place when they are complete, so processes may read and write side by side. ``COMPGEN_CACHE`` names another
folder; the default is ``compgen`` in ``XDG_CACHE_HOME``, or in ``~/.cache``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from compgen.atomic import is_temporary, replacing

_CHECK = 16
"""Bytes of the BLAKE2b digest before the content of each file: a damaged file is not believed."""

_MOST = 32
"""Files in the folder at most. Chosen: tables of a large tokeniser take some 30 MB, and few people use more models."""


def folder() -> Path:
    """Return the folder; it may not exist."""
    if named := os.environ.get("COMPGEN_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "compgen"


def recall(name: str) -> bytes | None:
    """Return what was stored as ``name``; None if nothing was, or if it is damaged."""
    try:
        content = (folder() / name).read_bytes()
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return None
    check, content = content[:_CHECK], content[_CHECK:]
    return content if check == _digest(content) else None


def keep(name: str, content: bytes) -> None:
    """Keep ``content`` as ``name``, a file name, if the folder can be written; keep the newest ``_MOST`` files."""
    with contextlib.suppress(OSError, RuntimeError):
        place = folder()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(place / name) as out:
            out.write(_digest(content) + content)
        there = (file for file in place.iterdir() if not is_temporary(file.name))
        files = sorted(there, key=lambda file: file.stat().st_mtime_ns)
        for file in files[: max(0, len(files) - _MOST)]:
            file.unlink(missing_ok=True)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_CHECK).digest()
