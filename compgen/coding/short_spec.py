"""The short form of a spec: the names and options that files name most take one byte each (docs/format.md)."""

from __future__ import annotations

import re

_WORDS = (
    ":rule=calibrated", ":rule=decoder", ":rule=one-step", ",rule=calibrated", ",rule=decoder", ",rule=one-step",
    "gzip", "zlib", "deflate", "bz2", "xz", "zstd", "brotli", "ppmd", "png", "flac", "null", "jpegxl", "jpegls", "webp",
    "history", "signal", "backoff", "uniform", "llm", "level=", "order=", "window=", "stride=", "pixel=", "depth=",
)  # fmt: skip
"""What the bytes 1 to 31 stand for, in this order. A part of the format: nothing here may change."""

_PLAIN = "\0"
"""The first character of a spec that holds control characters, and is written as it is."""

_WORD = re.compile("|".join(sorted(map(re.escape, _WORDS), key=len, reverse=True)))


def shortened(spec: str) -> str:
    """Return the short form of ``spec``."""
    if any(character < " " for character in spec):
        return _PLAIN + spec
    return _WORD.sub(lambda match: chr(1 + _WORDS.index(match[0])), spec)


def expanded(short: str) -> str:
    """Return the spec whose short form is ``short``."""
    if short.startswith(_PLAIN):
        return short.removeprefix(_PLAIN)
    return "".join(_WORDS[ord(c) - 1] if 0 < ord(c) <= len(_WORDS) else c for c in short)
