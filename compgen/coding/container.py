"""Read and write the frames of the file format .cgn. docs/format.md describes it byte by byte.

    magic version ( { frame } end | short )

    frame = model     names the model of the coded segments after it; a file of stored segments alone has none
          | coded     a segment, coded by that model byte by byte
          | tokens    a segment, coded by that model as tokens
          | stored    a segment, as it is
    end   = total length and checksum; nothing comes after it
    short = model and coded segment | stored segment | nothing: all there is, in fewer bytes, and the end

A reader allocates no more than the bounds below allow, whatever lengths a file claims.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from compgen.coding.fingerprint import SIZE as FINGERPRINT_SIZE
from compgen.coding.short_spec import expanded, shortened
from compgen.errors import CorruptDataError, IncompatibleError
from compgen.models.base import PRECISION

MAGIC = b"\x89CGN"
"""The first bytes of every file. No text in UTF-8 begins with 0x89."""

VERSION = 3
"""The version of the format that is written. Versions 1 and 2 are read as well. They have no short containers, and in
version 1 some specs meant other models (``trust.py``)."""

_FIRST_VERSION = 1

_FIRST_WITH_SHORT = 3
"""The first version with short containers."""

SHORT = 1 << 14
"""Bytes of code or of stored data that a short container holds at most. Chosen: it saves some 75 bytes, which are
nothing to longer ones, and gives up the versions, half of the fingerprint, and half of the checksum for them."""

MAX_SEGMENT = 1 << 24
"""Bytes in a segment at most. Chosen for the format: it bounds what a reader holds in memory."""

MAX_LANES = 1 << 12
"""Lanes in a segment at most. Chosen for the format: with ``MAX_SEGMENT``, each lane has 4 KB, the least that pays."""

MAX_SPEC = 4096
"""Bytes in the spec of a model at most. Chosen for the format: a file may not make a reader parse more."""

_MAX_CODE = MAX_SEGMENT + 8 * MAX_LANES
"""Bytes in the code of a segment at most: as many as its data, and the 8 bytes that each lane takes."""

_MODEL = struct.Struct(f"<BBI{FINGERPRINT_SIZE}sHB")
"""Precision, flags, lanes, fingerprint, bytes of the spec, bytes of the versions."""

_CODED = struct.Struct("<II8s")
"""Bytes of the data, bytes of the code, checksum of the data."""

_STORED = struct.Struct("<I8s")
"""Bytes of the data, checksum of the data."""

_END = struct.Struct("<Q16s")
"""Bytes of all data, checksum of all data."""

END_SIZE = 1 + _END.size
"""Bytes of the end frame, with its letter."""

_CHECK = 4
"""Bytes of the model frame's own checksum."""

_SHORT_FINGERPRINT = 4
"""Bytes of the fingerprint in a short container. What it misses, the checksums of the data find."""

_SHORT_CHECK = 2
"""Bytes of the checksum of the model's name in a short container: it tells damage from a model that is another here."""

_SHORT_CHECKSUM = 4
"""Bytes of the checksum of a coded segment in a short container. The lane has a CRC-32 besides."""

_CHECKSUM = 8
"""Bytes of the checksum of any other segment."""

_LONGEST_NUMBER = 4
"""Bytes of a number in a short container at most. They hold 28 bits, more than any length has."""

_STATE = 8
"""Bytes of the state that the code of one lane begins with."""

_INDEPENDENT = 1
"""The flag of a file whose coded segments were each coded with nothing known."""

_WRONG_NAME = "the file is damaged: the checksum of its model's name does not hold"
_ODD_MODEL = "the file is damaged: its model frame holds values that no version writes"

_MAX_VERSIONS = 255
"""Bytes of the versions at most: their number has one byte. Longer ones are cut, since they are for messages alone."""


@dataclass(frozen=True)
class ModelFrame:
    """The model of the coded segments, and how they were coded.

    Attributes:
        spec: the spec of the model.
        fingerprint: 8 bytes that identify the behaviour of the model.
        lanes: lanes in each coded segment.
        independent: True if each segment was coded with nothing known. Otherwise a coded segment continues in the state
            that the coded segment before it has left.
        versions: the versions of libraries and weights at the time of writing, for messages.
        precision: log2 of the sum of a row's frequencies.
        version: the version of the format that the container says. Not a part of the frame.
    """

    spec: str
    fingerprint: bytes
    lanes: int
    independent: bool
    versions: str
    precision: int
    version: int = VERSION

    def pack(self) -> bytes:
        """Return the bytes of the frame after its letter."""
        spec = self.spec.encode()
        versions = self.versions.encode()[:_MAX_VERSIONS]
        fixed = _MODEL.pack(
            self.precision, int(self.independent), self.lanes, self.fingerprint, len(spec), len(versions)
        )
        body = fixed + spec + versions
        return body + hashlib.blake2b(body, digest_size=_CHECK).digest()


@dataclass(frozen=True)
class SegmentFrame:
    """A segment of ``length`` bytes, stored as they are or coded.

    Attributes:
        length: bytes of data.
        body: the data of a stored segment, or the code of a coded one.
        checksum: 8 bytes; see ``checksum``.
        coded: True for a coded segment.
        tokens: True for a coded segment that is coded as tokens.
    """

    length: int
    body: bytes
    checksum: bytes
    coded: bool
    tokens: bool = False

    def pack(self) -> bytes:
        """Return the bytes of the frame after its letter."""
        if self.coded:
            return _CODED.pack(self.length, len(self.body), self.checksum) + self.body
        return _STORED.pack(self.length, self.checksum) + self.body

    @property
    def size(self) -> int:
        """Bytes that the frame takes in a file, with its letter."""
        return 1 + (_CODED if self.coded else _STORED).size + len(self.body)


def pack_short(segment: SegmentFrame, model: ModelFrame | None) -> bytes:
    """Return a short container after its version: its letter, ``model`` if the segment is coded, and ``segment``.

    The model is that of one lane.
    """
    if model is None:
        return b"s" + _number(segment.length) + segment.checksum + segment.body
    spec = shortened(model.spec).encode()
    named = _number(len(spec)) + spec + model.fingerprint[:_SHORT_FINGERPRINT]
    # States are 2**32 or more. Of their 8 bytes, up to three at the end are 0 and are left out.
    code = segment.body[:_STATE].rstrip(b"\0") + segment.body[_STATE:]
    sizes = _number(segment.length) + _number(len(code))
    return b"c" + named + _short_check(named) + sizes + segment.checksum[:_SHORT_CHECKSUM] + code


def _short_check(named: bytes) -> bytes:
    return hashlib.blake2b(named, digest_size=_SHORT_CHECK).digest()


def _number(value: int) -> bytes:
    """Return a number in as few bytes as it needs: 7 bits in each, the low ones first; all but the last have bit 7."""
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


@dataclass(frozen=True)
class EndFrame:
    """The end of a file: the length of all data in bytes, and its checksum; none after a segment that vouches for all.

    A short container has none in the file; its reader makes one.
    """

    length: int
    checksum: bytes

    def pack(self) -> bytes:
        """Return the bytes of the frame after its letter."""
        return _END.pack(self.length, self.checksum)


Frame: TypeAlias = ModelFrame | SegmentFrame | EndFrame


def checksum(number: int, data: bytes) -> bytes:
    """Return the checksum (8 bytes) of segment ``number``, counted from 0. Equal data elsewhere has another one."""
    return hashlib.blake2b(data, digest_size=8, salt=number.to_bytes(8, "little")).digest()


class FrameWriter:
    """Writes frames, and computes the checksum of all data."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._whole = hashlib.blake2b(digest_size=16)
        self._length = 0
        self.written = 0
        self._is_complete = False  # a short container needs no end
        self._write(MAGIC + bytes([VERSION]))

    def model(self, frame: ModelFrame) -> None:
        """Write the frame of the model. It comes before the first coded segment."""
        self._write(b"M" + frame.pack())

    def segment(self, frame: SegmentFrame, data: bytes) -> None:
        """Write the frame of a segment whose data is ``data``."""
        self._whole.update(data)
        self._length += len(data)
        self._write((b"S" if not frame.coded else b"T" if frame.tokens else b"C") + frame.pack())

    def short(self, frame: SegmentFrame, model: ModelFrame | None) -> None:
        """Write all of a short container: a segment of bytes in one lane, and its model, if it is coded."""
        self._write(pack_short(frame, model))
        self._is_complete = True

    def end(self) -> None:
        """Write the end of the file."""
        if self._is_complete:
            return
        self._write(b"E" + EndFrame(self._length, self._whole.digest()).pack() if self._length else b"e")

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self.written += len(data)


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
        if is_first and letter in (b"c", b"s", b"e") and self.version >= _FIRST_WITH_SHORT:
            return self._short(letter)
        if letter == b"M":
            return self._model()
        if letter in (b"C", b"T"):
            length, size, check = _CODED.unpack(self._exactly(_CODED.size))
            self._bound(length, MAX_SEGMENT)
            self._bound(size, _MAX_CODE)
            return SegmentFrame(length, self._exactly(size), check, coded=True, tokens=letter == b"T")
        if letter == b"S":
            length, check = _STORED.unpack(self._exactly(_STORED.size))
            self._bound(length, MAX_SEGMENT)
            return SegmentFrame(length, self._exactly(length), check, coded=False)
        if letter == b"E":
            return EndFrame(*_END.unpack(self._exactly(_END.size)))
        raise CorruptDataError("the file is damaged: no frame begins where one should")

    def _model(self) -> ModelFrame:
        fixed = self._exactly(_MODEL.size)
        precision, flags, lanes, fingerprint, spec_size, versions_size = _MODEL.unpack(fixed)
        text = self._exactly(spec_size + versions_size)
        if hashlib.blake2b(fixed + text, digest_size=_CHECK).digest() != self._exactly(_CHECK):
            raise CorruptDataError(_WRONG_NAME)
        spec, versions = _text(text[:spec_size]), _text(text[spec_size:])
        if spec_size > MAX_SPEC or flags > _INDEPENDENT or not 1 <= lanes <= MAX_LANES:
            raise CorruptDataError(_ODD_MODEL)
        return ModelFrame(spec, fingerprint, lanes, bool(flags & _INDEPENDENT), versions, precision, self.version)

    def _short(self, letter: bytes) -> Frame:
        """Return the first frame of a short container, of the model or of a stored segment. The others come next."""
        if letter == b"e":
            return EndFrame(0, b"")
        if letter == b"s":
            length = self._number(MAX_SEGMENT)
            self._next = [lambda: EndFrame(length, b"")]
            check = self._exactly(_CHECKSUM)
            return SegmentFrame(length, self._exactly(length), check, coded=False)
        size = self._number(1 + MAX_SPEC)
        short = self._exactly(size)
        fingerprint = self._exactly(_SHORT_FINGERPRINT)
        if _short_check(_number(size) + short + fingerprint) != self._exactly(_SHORT_CHECK):
            raise CorruptDataError(_WRONG_NAME)
        spec = expanded(_text(short))
        if len(spec.encode()) > MAX_SPEC:
            raise CorruptDataError(_ODD_MODEL)
        self._next = [self._short_segment]
        return ModelFrame(spec, fingerprint, 1, False, "", PRECISION, self.version)

    def _short_segment(self) -> SegmentFrame:
        length, size = self._number(MAX_SEGMENT), self._number(_MAX_CODE)
        self._next = [lambda: EndFrame(length, b"")]
        check, code = self._exactly(_SHORT_CHECKSUM), self._exactly(size)
        zeros = -size % 4  # the words after the state have 4 bytes each
        return SegmentFrame(length, code[: _STATE - zeros] + bytes(zeros) + code[_STATE - zeros :], check, coded=True)

    def _number(self, most: int) -> int:
        """Return the number that comes next, from 1 to ``most``."""
        value = 0
        for place in range(0, _LONGEST_NUMBER * 7, 7):
            digit = self._exactly(1)[0]
            value |= (digit & 0x7F) << place
            if digit < 0x80:
                break
        self._bound(value, most)
        return value

    @staticmethod
    def _bound(length: int, most: int) -> None:
        if not 1 <= length <= most:
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
