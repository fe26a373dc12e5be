"""The null compressor, which knows nothing: the control of every claim about a compressor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compgen.compressors.base import Compressor


@dataclass(frozen=True)
class Null(Compressor):
    """Bytes as they are, 8 bits each. What a rule gives over it is the rule's own, and no compressor's."""

    name: ClassVar[str] = "null"
    window: ClassVar[int] = 32768

    @classmethod
    def version(cls) -> str:
        """Return what it is."""
        return "nothing"

    def compress(self, data: bytes) -> bytes:
        """Return ``data``."""
        return data

    def decompress(self, blob: bytes) -> bytes:
        """Return ``blob``: nothing can be damaged."""
        return blob
