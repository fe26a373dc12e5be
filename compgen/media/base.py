"""The contract of media: an item, which is a file of sound, a picture or a text, becomes bytes, and bytes an item.

A medium is a frozen dataclass whose fields are its options, such as a width or a rate. An option that is 0 is taken
from the item. ``encode`` returns the bytes, and the medium with these options filled in. That medium decodes *any*
bytes: an incomplete row or frame at the end is completed. A decoded item encodes to the same bytes
(``compgen.testing.check_medium``).
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

from compgen.errors import LossWarning, UsageError
from compgen.media.layout import Layout
from compgen.registry import Configured


class Medium(Configured, ABC):
    """A kind of item, and the layout of its bytes."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    """The suffixes of the files that it writes, the default first; empty if any suffix will do."""

    reference: ClassVar[str] = "xz"
    """The spec of the compressor that compares samples of this medium, whichever compressor drew them."""

    @classmethod
    @abstractmethod
    def recognises(cls, item: bytes) -> bool:
        """Return whether the first bytes of ``item`` are those of a file of this kind."""

    @abstractmethod
    def encode(self, item: bytes) -> tuple[bytes, Self]:
        """Return the bytes of an item, and the medium with the item's own width, rate and so on.

        Warns:
            LossWarning: the bytes lack something of the item, and no option asked for that (``warn_of``).

        Raises:
            UsageError: the item is damaged, cut short, too large, or of an unknown format.
        """

    @abstractmethod
    def decode(self, data: bytes, suffix: str = "") -> bytes:
        """Return a file that holds ``data``, which may be any bytes. ``suffix`` chooses its format.

        Raises:
            UsageError: the medium writes no files with this suffix.
        """

    @property
    def layout(self) -> Layout:
        """The layout of its bytes; by default one line."""
        return Layout()

    @property
    def unit(self) -> int:
        """The bytes of a row of a picture or a frame of sound, which are never cut apart."""
        return self.layout.stride or self.layout.pixel or 1

    def checked(self, suffix: str) -> str:
        """Return ``suffix`` in lower case, or the default suffix if it is empty.

        Raises:
            UsageError: the medium writes no files with this suffix.
        """
        suffix = suffix.lower() or next(iter(self.suffixes), "")
        if self.suffixes and suffix not in self.suffixes:
            known = ", ".join(self.suffixes[:-1]) + f" or {self.suffixes[-1]}" * (len(self.suffixes) > 1)
            raise UsageError(f"{self.name} is written as {known or self.suffixes[0]}, not {suffix}; name such a file")
        return suffix


def warn_of(losses: Sequence[str], what: str) -> None:
    """Warn of ``losses``, what is other in the bytes than in the item, in one warning. ``what`` names the item.

    Warns:
        LossWarning: there are losses.
    """
    if losses:
        warnings.warn(f"the {what} does not come back as it came: {'; '.join(losses)}", LossWarning, stacklevel=3)
