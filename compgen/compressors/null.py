"""The null compressor, which knows nothing: the control of every claim about a compressor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NoReturn

from compgen.compressors.base import Compressor
from compgen.laws.base import NoLaw


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


@dataclass(frozen=True)
class Lawless(Null):
    """The same without a law: the control of a compressor that has none and gets proposals."""

    law_kind: ClassVar[str] = "none"

    def law(self) -> NoReturn:
        """Raise NoLaw, as compressors without a law do."""
        raise NoLaw("the control of a compressor without a law has none; use --rule calibrated")
