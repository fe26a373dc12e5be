"""Read the frames of the file format .cgn (``container.py``), one at a time."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import BinaryIO

from compgen.coding.container import (
    CHECK,
    CODED,
    END,
    INDEPENDENT,
    MAGIC,
    MAX_CODE,
    MAX_LANES,
    MAX_SEGMENT,
    MAX_SPEC,
    MODEL,
    NO_LIST,
    SHORT_CHECK,
    SHORT_CHECKSUM,
    SHORT_FINGERPRINT,
    SHORT_MODEL,
    STATE,
    STORED,
    VERSION,
    EndFrame,
    Frame,
    ModelFrame,
    SegmentFrame,
    short_check,
)
from compgen.coding.numbers import LONGEST, number, read_number
from compgen.coding.short_spec import expanded
from compgen.errors import CorruptDataError, IncompatibleError
from compgen.models.base import PRECISION

_FIRST_VERSION = 1

_FIRST_WITH_SHORT = 3
"""The first version with short containers."""

_FIRST_WITH_LISTS = 4
"""The first version in which a segment of tokens begins with the bytes that no token spells, and has the number of its
tokens only in several lanes. It is the first with short containers of tokens, too."""

_OLD_COUNT = struct.Struct("<I")
"""The number of tokens before version 4."""

_WRONG_NAME = "the file is damaged: the checksum of its model's name does not hold"

_ODD_MODEL = "the file is damaged: its model frame holds values that no version writes"

_CHECKSUM = 8
"""Bytes of the checksum of any other segment."""


class FrameReader:
    """Reads the frames of one container after another, one at a time.

    Attributes:
        version: the version of the format that the container at hand says.
        read_bytes: bytes read so far.
    """

    def __init__(self, source: BinaryIO) -> None:
        """Read the magic number and the version.

        Raises:
            CorruptDataError: the magic number is not there.
            IncompatibleError: this compgen does not read the version.
        """
        self._source = source
        self.read_bytes = 0
        self._next: list[Callable[[], Frame]] = []  # what reads the rest of a short container
        head = source.read(len(MAGIC) + 1)
        if head[: len(MAGIC)] != MAGIC:
            raise CorruptDataError("this is no .cgn file: it does not begin with its magic number")
        self._begin(head)

    def go_on(self) -> bool:
        """Return whether another container follows, after the end frame of one. Its magic number is then read.

        Raises:
            CorruptDataError: what follows is no container.
            IncompatibleError: this compgen does not read the container's version.
        """
        head = self._source.read(len(MAGIC) + 1)
        if not head:
            return False
        if head[: len(MAGIC)] != MAGIC:
            raise CorruptDataError("bytes that are no .cgn file follow the end of the file; cut them off")
        self._begin(head)
        return True

    def _begin(self, head: bytes) -> None:
        if len(head) == len(MAGIC):
            raise CorruptDataError("the file is cut short")
        self.version = head[-1]
        if not _FIRST_VERSION <= self.version <= VERSION:
            raise IncompatibleError(
                f"this file has format version {self.version}; this compgen reads versions {_FIRST_VERSION} to "
                f"{VERSION}: update compgen"
            )
        self._is_first = True
        self._lanes = 1
        self.read_bytes += len(head)

    def read(self) -> Frame:
        """Return the next frame.

        Raises:
            CorruptDataError: the file is cut short or damaged.
        """
        if self._next:
            return self._next.pop(0)()
        letter = self._exactly(1)
        is_first, self._is_first = self._is_first, False
        if is_first and letter in self._short_letters:
            return self._short(letter)
        if letter == b"M":
            return self._model()
        if letter in (b"C", b"T"):
            length, size, check = CODED.unpack(self._exactly(CODED.size))
            self._bound(length, MAX_SEGMENT)
            self._bound(size, MAX_CODE)
            code = self._exactly(size)
            if letter == b"T" and self.version < _FIRST_WITH_LISTS:
                code = self._with_list(code)
            return SegmentFrame(length, code, check, coded=True, tokens=letter == b"T")
        if letter == b"S":
            length, check = STORED.unpack(self._exactly(STORED.size))
            self._bound(length, MAX_SEGMENT)
            return SegmentFrame(length, self._exactly(length), check, coded=False)
        if letter == b"E":
            return EndFrame(*END.unpack(self._exactly(END.size)))
        raise CorruptDataError("the file is damaged: no frame begins where one should")

    @property
    def _short_letters(self) -> tuple[bytes, ...]:
        """The letters of short containers in this version."""
        short = (b"e", b"s", b"c") if self.version >= _FIRST_WITH_SHORT else ()
        return (*short, b"t") if self.version >= _FIRST_WITH_LISTS else short

    def _with_list(self, code: bytes) -> bytes:
        """Return the code of a segment of tokens before version 4 as one of today."""
        if len(code) < _OLD_COUNT.size:
            raise CorruptDataError("a segment's code is cut short")
        count = _OLD_COUNT.unpack_from(code)[0]
        self._bound(count, MAX_SEGMENT)
        return NO_LIST + (number(count) if self._lanes > 1 else b"") + code[_OLD_COUNT.size :]

    def _model(self) -> ModelFrame:
        fixed = self._exactly(MODEL.size)
        precision, flags, lanes, fingerprint, spec_size, versions_size = MODEL.unpack(fixed)
        text = self._exactly(spec_size + versions_size)
        if hashlib.blake2b(fixed + text, digest_size=CHECK).digest() != self._exactly(CHECK):
            raise CorruptDataError(_WRONG_NAME)
        spec, versions = _text(text[:spec_size]), _text(text[spec_size:])
        if spec_size > MAX_SPEC or flags > INDEPENDENT or not 1 <= lanes <= MAX_LANES:
            raise CorruptDataError(_ODD_MODEL)
        self._lanes = lanes
        return ModelFrame(spec, fingerprint, lanes, bool(flags & INDEPENDENT), versions, precision, self.version)

    def _short(self, letter: bytes) -> Frame:
        """Return the first frame of a short container, of the model or of a stored segment. The others come next."""
        if letter == b"e":
            return EndFrame(0, b"")
        if letter == b"s":
            length = self._number(MAX_SEGMENT)
            self._next = [lambda: EndFrame(length, b"")]
            check = self._exactly(_CHECKSUM)
            return SegmentFrame(length, self._exactly(length), check, coded=False)
        size = self._number(1 + MAX_SPEC, least=0 if letter == b"t" else 1)
        short = self._exactly(size)
        fingerprint = self._exactly(SHORT_FINGERPRINT)
        if short_check(number(size) + short + fingerprint) != self._exactly(SHORT_CHECK):
            raise CorruptDataError(_WRONG_NAME)
        spec = (SHORT_MODEL if letter == b"t" else "") + expanded(_text(short))
        if len(spec.encode()) > MAX_SPEC:
            raise CorruptDataError(_ODD_MODEL)
        self._next = [lambda: self._short_segment(tokens=letter == b"t")]
        return ModelFrame(spec, fingerprint, 1, False, "", PRECISION, self.version)

    def _short_segment(self, tokens: bool) -> SegmentFrame:
        length, size = self._number(MAX_SEGMENT), self._number(MAX_CODE)
        self._next = [lambda: EndFrame(length, b"")]
        check, code = self._exactly(SHORT_CHECKSUM), self._exactly(size)
        zeros = -size % 4  # the words after the state have 4 bytes each
        code = code[: STATE - zeros] + bytes(zeros) + code[STATE - zeros :]
        return SegmentFrame(length, (NO_LIST if tokens else b"") + code, check, coded=True, tokens=tokens)

    def _number(self, most: int, least: int = 1) -> int:
        """Return the number that comes next, from ``least`` to ``most``."""
        digits = self._exactly(1)
        while digits[-1] >= 0x80 and len(digits) < LONGEST:
            digits += self._exactly(1)
        value, _ = read_number(digits)
        self._bound(value, most, least)
        return value

    @staticmethod
    def _bound(length: int, most: int, least: int = 1) -> None:
        if not least <= length <= most:
            raise CorruptDataError("the file is damaged: a segment's length is out of bounds")

    def _exactly(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            raise CorruptDataError("the file is cut short")
        self.read_bytes += size
        return data


def _text(data: bytes) -> str:
    """Return a part of a model's name as text, or raise CorruptDataError if it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise CorruptDataError("the file is damaged: its model's name is not UTF-8") from None
