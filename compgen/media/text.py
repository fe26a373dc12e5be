"""Text as a medium. It may be any bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compgen.errors import UsageError
from compgen.media.base import Medium
from compgen.media.formats import owner


def as_bytes(value: object, what: str) -> bytes:
    """Return bytes as they are, and text as UTF-8. ``what`` names the value in errors.

    Raises:
        UsageError: ``value`` is neither bytes nor text, or holds half a surrogate pair, which UTF-8 cannot encode.
    """
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{what} holds half a surrogate pair, which UTF-8 cannot; give bytes") from None
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise UsageError(f"{what} must be bytes or text, not {type(value).__name__}")


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
