"""Text as a medium. It may be any bytes."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import ClassVar

from compgen.errors import UsageError
from compgen.media.base import Medium
from compgen.media.formats import is_plain, owner

_CONTINUATION = bytes(range(0x80, 0xC0))
"""The bytes of UTF-8 that begin no character (RFC 3629, section 3)."""

_MOST_MISSING = 3
"""Bytes of a character that a cut inside it leaves on one side at most."""


def is_text(data: bytes) -> bool:
    """Return whether ``data`` is UTF-8 without control characters. It may begin and end inside a character."""
    whole = data.lstrip(_CONTINUATION) if data[:1] >= b"\x80" else data
    return is_plain(whole) and len(data) - len(whole) <= _MOST_MISSING and (bool(whole) or not data)


def unfinished(data: bytes | bytearray) -> bytes:
    """Return the first bytes of a character that UTF-8 ``data`` ends inside, or nothing if it ends with a whole one."""
    for size in range(1, min(_MOST_MISSING, len(data)) + 1):
        tail = bytes(data[-size:])
        if tail[0] not in _CONTINUATION:
            try:
                return b"" if codecs.getincrementaldecoder("utf-8")().decode(tail) else tail
            except UnicodeDecodeError:
                return b""
    return b""


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
