"""The contract of a medium: an item (a file of sound, a picture, a text) to bytes, and any bytes to an item.

A medium is a frozen dataclass whose fields are its options; one left at nothing (a width, a rate) is the item's own.
``encode`` returns the bytes and the medium with these filled in, and that one decodes *any* bytes: a ragged end is
completed, and no byte string is refused. What is decoded encodes to the same bytes (``compgen.testing.check_medium``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from compgen.errors import UsageError
from compgen.media.layout import Layout
from compgen.registry import Configured


class Medium(Configured, ABC):
    """A kind of item, and how its bytes lie."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Of the files that it writes, the first by default; none where any will do."""

    reference: ClassVar[str] = "xz"
    """The compressor that samples are compared by: the same for all, and made for the medium."""

    @classmethod
    @abstractmethod
    def recognises(cls, item: bytes) -> bool:
        """Return whether ``item`` looks like a file of this kind, by its first bytes."""

    @abstractmethod
    def encode(self, item: bytes) -> tuple[bytes, Self]:
        """Return the bytes of an item, and the medium with the item's own width, rate and so on.

        Raises:
            UsageError: the item is damaged, too large, or of no known format.
        """

    @abstractmethod
    def decode(self, data: bytes, suffix: str = "") -> bytes:
        """Return ``data``, any bytes, as a file of the kind that ``suffix`` names.

        Raises:
            UsageError: it writes no such files.
        """

    @property
    def layout(self) -> Layout:
        """How its bytes lie; in a line by default."""
        return Layout()

    @property
    def unit(self) -> int:
        """Bytes that a cut does not part: a row of a picture, a frame of sound."""
        return self.layout.stride or self.layout.pixel or 1

    def checked(self, suffix: str) -> str:
        """Return the kind of file to write, the default for none.

        Raises:
            UsageError: it writes no files of this kind.
        """
        suffix = suffix.lower() or next(iter(self.suffixes), "")
        if self.suffixes and suffix not in self.suffixes:
            raise UsageError(f"{self.name} is written as {' or '.join(self.suffixes)}, not {suffix}; name such a file")
        return suffix
