"""The file format .cgn, version 1: reading and writing its frames. docs/format.md describes it byte by byte.

    magic version { frame } end

    frame = model     what the coded segments after it are coded with; there is none in a file that is all stored
          | coded     bytes, by that model
          | tokens    bytes, by that model as its tokens
          | stored    bytes, as they are
    end   = total length and checksum; nothing comes after it

Nothing is allocated on the word of a header: a segment's length is bounded, and what it says is read piece by piece.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from compgen.coding.fingerprint import SIZE as FINGERPRINT_SIZE
from compgen.errors import CorruptDataError, IncompatibleError

MAGIC = b"\x89CGN"
VERSION = 1
MAX_SEGMENT = 1 << 24
"""Most bytes in a segment."""
MAX_LANES = 1 << 12
_MAX_CODE = MAX_SEGMENT + 8 * MAX_LANES

_MODEL = struct.Struct(f"<BBI{FINGERPRINT_SIZE}sHB")  # precision, flags, lanes, fingerprint, bytes of spec, of versions
_CODED = struct.Struct("<II8s")  # length, length of the code, checksum
_STORED = struct.Struct("<I8s")  # length, checksum
_END = struct.Struct("<Q16s")  # length of all, checksum of all
_CHECK = 4  # bytes of the model frame's own checksum
_INDEPENDENT = 1
MAX_SPEC = 4096
_MAX_VERSIONS = 255


@dataclass(frozen=True)
class ModelFrame:
    """What coded segments need: the model's spec and fingerprint, and how they were coded.

    Attributes:
        spec: of the model.
        fingerprint: of its behaviour, 8 bytes.
        lanes: in each coded segment.
        independent: True where each segment was coded with nothing known; otherwise a coded segment goes on from the
            coded segment before it.
        versions: libraries and weights at the time of writing, for messages.
        precision: log2 of what frequencies sum to.
    """

    spec: str
    fingerprint: bytes
    lanes: int
    independent: bool
    versions: str
    precision: int

    def pack(self) -> bytes:
        """Return the frame's bytes, after its letter."""
        spec = self.spec.encode()
        versions = self.versions.encode()[:_MAX_VERSIONS]
        fixed = _MODEL.pack(
            self.precision, int(self.independent), self.lanes, self.fingerprint, len(spec), len(versions)
        )
        body = fixed + spec + versions
        return body + hashlib.blake2b(body, digest_size=_CHECK).digest()


@dataclass(frozen=True)
class SegmentFrame:
    """A segment: ``length`` bytes, stored as they are or ``coded``, perhaps as ``tokens``, and their checksum."""

    length: int
    body: bytes
    checksum: bytes
    coded: bool
    tokens: bool = False

    def pack(self) -> bytes:
        """Return the frame's bytes, after its letter."""
        if self.coded:
            return _CODED.pack(self.length, len(self.body), self.checksum) + self.body
        return _STORED.pack(self.length, self.checksum) + self.body

    @property
    def size(self) -> int:
        """Bytes in the file, with its letter."""
        return 1 + (_CODED if self.coded else _STORED).size + len(self.body)


@dataclass(frozen=True)
class EndFrame:
    """The length of all data, and its checksum."""

    length: int
    checksum: bytes

    def pack(self) -> bytes:
        """Return the frame's bytes, after its letter."""
        return _END.pack(self.length, self.checksum)


Frame: TypeAlias = ModelFrame | SegmentFrame | EndFrame


def checksum(number: int, data: bytes) -> bytes:
    """Return the 8 bytes that check segment ``number``, counted from 0: the same data elsewhere has others."""
    return hashlib.blake2b(data, digest_size=8, salt=number.to_bytes(8, "little")).digest()


class FrameWriter:
    """Writes frames, and keeps the checksum of the whole."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._whole = hashlib.blake2b(digest_size=16)
        self._length = 0
        self.written = 0
        self._write(MAGIC + bytes([VERSION]))

    def model(self, frame: ModelFrame) -> None:
        """Write what the coded segments that follow need."""
        self._write(b"M" + frame.pack())

    def segment(self, frame: SegmentFrame, data: bytes) -> None:
        """Write a segment that holds ``data``."""
        self._whole.update(data)
        self._length += len(data)
        self._write((b"S" if not frame.coded else b"T" if frame.tokens else b"C") + frame.pack())

    def end(self) -> None:
        """Write the end."""
        self._write(b"E" + EndFrame(self._length, self._whole.digest()).pack())

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self.written += len(data)


class FrameReader:
    """Reads frames, one at a time."""

    def __init__(self, source: BinaryIO) -> None:
        """Read the magic number.

        Raises:
            CorruptDataError: it is not there.
            IncompatibleError: the version is not one that this compgen knows.
        """
        self._source = source
        self.read_bytes = len(MAGIC) + 1
        magic = source.read(self.read_bytes)
        if magic[: len(MAGIC)] != MAGIC:
            raise CorruptDataError("this is no .cgn file: it does not begin with its magic number")
        if len(magic) == len(MAGIC):
            raise CorruptDataError("the file is cut short")
        if magic[-1] != VERSION:
            raise IncompatibleError(
                f"this file has format version {magic[-1]}; this compgen reads {VERSION}: update it"
            )

    def read(self) -> Frame:
        """Return the next frame.

        Raises:
            CorruptDataError: there is none, or it is damaged.
        """
        letter = self._exactly(1)
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
            end = EndFrame(*_END.unpack(self._exactly(_END.size)))
            if self._source.read(1):
                raise CorruptDataError("the file goes on after its end; cut off what was added")
            return end
        raise CorruptDataError("the file is damaged: where a segment should begin there is none")

    def _model(self) -> ModelFrame:
        fixed = self._exactly(_MODEL.size)
        precision, flags, lanes, fingerprint, spec_size, versions_size = _MODEL.unpack(fixed)
        text = self._exactly(spec_size + versions_size)
        if hashlib.blake2b(fixed + text, digest_size=_CHECK).digest() != self._exactly(_CHECK):
            raise CorruptDataError("the file is damaged: the name of its model does not check")
        try:
            spec, versions = text[:spec_size].decode(), text[spec_size:].decode()
        except UnicodeDecodeError:
            raise CorruptDataError("the file is damaged: the name of its model is no text") from None
        if spec_size > MAX_SPEC or flags > _INDEPENDENT or not 1 <= lanes <= MAX_LANES:
            raise CorruptDataError("the file is damaged: its model frame holds values that no version writes")
        return ModelFrame(spec, fingerprint, lanes, bool(flags & _INDEPENDENT), versions, precision)

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
