"""Text as a medium. It may be any bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compgen.errors import UsageError
from compgen.media.base import Medium
from compgen.media.formats import owner


@dataclass(frozen=True)
class Text(Medium):
    """Any bytes, as they are. If ``valid`` is True, bytes that are not valid UTF-8 are written as U+FFFD."""

    valid: bool = False

    name: ClassVar[str] = "text"

    @classmethod
    def recognises(cls, item: bytes) -> bool:
        """Return True: any bytes may be text."""
        return True

    def checked(self, suffix: str) -> str:
        """Return ``suffix`` in lower case. Any will do that is not that of pictures, sound or another known format.

        Raises:
            UsageError: it is one of those.
        """
        suffix = suffix.lower()
        if (form := owner(suffix)) is not None:
            prompt = {"image": ", or give a picture to continue", "audio": ", or give a sound to continue"}
            raise UsageError(
                f"text is not written as {suffix}, which is for {form.name}; name the file .txt or .bin"
                f"{prompt.get(form.medium, '')}"
            )
        return suffix

    def encode(self, item: bytes) -> tuple[bytes, Text]:
        """Return the bytes of the file."""
        return item, self

    def decode(self, data: bytes, suffix: str = "") -> bytes:
        """Return the bytes, or valid UTF-8 if the option ``valid`` is True."""
        return data.decode(errors="replace").encode() if self.valid else data
