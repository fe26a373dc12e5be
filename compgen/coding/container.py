"""Read and write the frames of the file format .cgn. docs/format.md describes it byte by byte.

    magic version ( { frame } end | short )

    frame = model     names the model of the coded segments after it; a file of stored segments alone has none
          | coded     a segment, coded by that model byte by byte
          | tokens    a segment, coded by that model as tokens
          | stored    a segment, as it is
    end   = total length and checksum; nothing comes after it
    short = model and coded or tokens | stored segment | nothing: all there is, in fewer bytes, and the end

A reader allocates no more than the bounds below allow, whatever lengths a file claims.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, replace
from typing import BinaryIO, TypeAlias

from compgen.coding.fingerprint import SIZE as FINGERPRINT_SIZE
from compgen.coding.numbers import number
from compgen.coding.short_spec import shortened
from compgen.registry import Spec

MAGIC = b"\x89CGN"
"""The first bytes of every file. No text in UTF-8 begins with 0x89."""

VERSION = 4
"""The version of the format that is written. Versions 1 to 3 are read as well. In version 3, segments of tokens began
otherwise and had no short containers. Versions 1 and 2 had none at all. Some specs meant other models: ``trust.py``."""

NO_LIST = number(0)
"""What a segment of tokens begins with if every byte has a token. A short container leaves it out."""

SHORT_MODEL = "llm:DIR"
"""The spec of a short container of tokens, before its options. The folder is left out: who decodes names it anyway."""

SHORT = 1 << 14
"""Bytes of code or of stored data that a short container holds at most. Chosen: it saves some 75 bytes, which are
nothing to longer ones, and gives up the versions, half of the fingerprint, and half of the checksum for them."""

MAX_SEGMENT = 1 << 24
"""Bytes in a segment at most. Chosen for the format: it bounds what a reader holds in memory."""

MAX_LANES = 1 << 12
"""Lanes in a segment at most. Chosen for the format: with ``MAX_SEGMENT``, each lane has 4 KB, the least that pays."""

MAX_SPEC = 4096
"""Bytes in the spec of a model at most. Chosen for the format: a file may not make a reader parse more."""

MAX_CODE = MAX_SEGMENT + 8 * MAX_LANES
"""Bytes in the code of a segment at most: as many as its data, and the 8 bytes that each lane takes."""

MODEL = struct.Struct(f"<BBI{FINGERPRINT_SIZE}sHB")
"""Precision, flags, lanes, fingerprint, bytes of the spec, bytes of the versions."""

CODED = struct.Struct("<II8s")
"""Bytes of the data, bytes of the code, checksum of the data."""

STORED = struct.Struct("<I8s")
"""Bytes of the data, checksum of the data."""

END = struct.Struct("<Q16s")
"""Bytes of all data, checksum of all data."""

END_SIZE = 1 + END.size
"""Bytes of the end frame, with its letter."""

CHECK = 4
"""Bytes of the model frame's own checksum."""

SHORT_FINGERPRINT = 4
"""Bytes of the fingerprint in a short container. What it misses, the checksums of the data find."""

SHORT_CHECK = 2
"""Bytes of the checksum of the model's name in a short container: it tells damage from a model that is another here."""

SHORT_CHECKSUM = 4
"""Bytes of the checksum of a coded segment in a short container. The lane has a CRC-32 besides."""

STATE = 8
"""Bytes of the state that the code of one lane begins with."""

INDEPENDENT = 1
"""The flag of a file whose coded segments were each coded with nothing known."""

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
        fixed = MODEL.pack(
            self.precision, int(self.independent), self.lanes, self.fingerprint, len(spec), len(versions)
        )
        body = fixed + spec + versions
        return body + hashlib.blake2b(body, digest_size=CHECK).digest()


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
            return CODED.pack(self.length, len(self.body), self.checksum) + self.body
        return STORED.pack(self.length, self.checksum) + self.body

    @property
    def size(self) -> int:
        """Bytes that the frame takes in a file, with its letter."""
        return 1 + (CODED if self.coded else STORED).size + len(self.body)


def pack_short(segment: SegmentFrame, model: ModelFrame | None) -> bytes:
    """Return a short container after its version: its letter, ``model`` if the segment is coded, and ``segment``.

    The model is that of one lane. If the segment is one of tokens, ``fits_short`` holds.
    """
    if model is None:
        return b"s" + number(segment.length) + segment.checksum + segment.body
    letter, spec, body = b"c", model.spec, segment.body
    if segment.tokens:
        spec = str(replace(Spec.parse(spec), argument="DIR")).removeprefix(SHORT_MODEL)
        letter, body = b"t", body.removeprefix(NO_LIST)
    short = shortened(spec).encode()
    named = number(len(short)) + short + model.fingerprint[:SHORT_FINGERPRINT]
    # States are 2**32 or more. Of their 8 bytes, up to three at the end are 0 and are left out.
    code = body[:STATE].rstrip(b"\0") + body[STATE:]
    sizes = number(segment.length) + number(len(code))
    return letter + named + short_check(named) + sizes + segment.checksum[:SHORT_CHECKSUM] + code


def fits_short(segment: SegmentFrame, spec: str) -> bool:
    """Return whether a short container has room for ``segment``, coded in one lane by the model ``spec`` or stored.

    Of segments of tokens, it has room for those by ``llm:DIR`` in which every byte has a token.
    """
    if len(segment.body) > SHORT:
        return False
    return not segment.tokens or (segment.body.startswith(NO_LIST) and Spec.parse(spec).name == "llm")


def short_check(named: bytes) -> bytes:
    """Return the checksum of the model's name in a short container."""
    return hashlib.blake2b(named, digest_size=SHORT_CHECK).digest()


@dataclass(frozen=True)
class EndFrame:
    """The end of a file: the length of all data in bytes, and its checksum; none after a segment that vouches for all.

    A short container has none in the file; its reader makes one.
    """

    length: int
    checksum: bytes

    def pack(self) -> bytes:
        """Return the bytes of the frame after its letter."""
        return END.pack(self.length, self.checksum)


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
