"""The normalised compression distance (Cilibrasi and Vitanyi 2005)."""

from __future__ import annotations

from compgen.compressors import COMPRESSORS
from compgen.compressors.base import Compressor
from compgen.errors import UsageError
from compgen.media.text import as_bytes
from compgen.registry import Spec


def ncd(a: bytes | str, b: bytes | str, compressor: str | Spec | Compressor = "xz") -> float:
    """Return (L(ab) - min(L(a), L(b))) / max(L(a), L(b)): near 0 for similar strings, near 1 for unrelated ones.

    L is the code length. Similarity beyond the compressor's window (32 KB for gzip) is not seen.

    Raises:
        UsageError: both strings are empty, or the spec is wrong.
        CompgenError: the compressor failed.
    """
    a, b = as_bytes(a, "the first string"), as_bytes(b, "the second string")
    if not a and not b:
        raise UsageError("the distance of two empty strings is not defined; give some bytes")
    if not isinstance(compressor, Compressor):
        compressor = COMPRESSORS.build(compressor)
    alone = compressor.code_length(a), compressor.code_length(b)
    return (compressor.code_length(a + b) - min(alone)) / max(alone)
