"""FLAC (RFC 9639), lossless sound, from libFLAC by way of soundfile, with bit-exact code lengths.

A *frame of sound* is one sample of every channel; a *FLAC frame* is the code of a block of 4,096 frames of sound. Each
block is coded on its own, by linear prediction and Rice codes. So a candidate costs the coding of the last, open block,
and the compressor looks no further back.

The exact length of one channel is read as follows. FLAC codes up to eight channels independently. So eight copies of a
block take eight times the bits of one, and as many whole bytes as one takes bits. Two channels are coded together and
show whole bytes only.
"""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import soundfile

from compgen.compressors.base import Compressor, Meter, measure
from compgen.errors import CorruptDataError, UsageError
from compgen.laws.flac import FlacLaw
from compgen.laws.flac_frames import LEFT_SIDE, SIDE_RIGHT, Frame, frames_in
from compgen.media.layout import MIDDLE, Layout, completed
from compgen.types import CodeLengths

_BLOCK = 4096
"""Frames of sound in a block: libFLAC's default at this level."""
_MAGIC = b"fLaC"
"""The first four bytes of a stream."""
_STREAMINFO = 4 + 4 + 34
"""Bytes of magic, header of the STREAMINFO block, and STREAMINFO block (RFC 9639, section 8.2)."""
_MARK = b"cgLN"
"""Id of compgen's application block, which says how many bytes the last frame of sound lacks."""
_LAST, _APPLICATION = 0x80, 2
"""In the header of a metadata block: the flag of the last one, and the type of an application block (section 8.1)."""
_RATE = 16_000
"""The sample rate in the header, Hz. Chosen; it does not change the code length."""
_COPIES = 8
"""Copies of a channel that make every bit of it a byte; FLAC's most channels."""


@dataclass(frozen=True)
class Flac(Compressor):
    """Bytes as sound: unsigned samples of ``bits`` bits, the high byte first, of ``channels`` interleaved channels.

    A last frame that lacks bytes repeats those of the frame before (``compgen.media.layout.completed``). The file then
    says how many it lacks, in 9 bytes that no code length counts.
    """

    channels: int = 1
    bits: int = 8

    name: ClassVar[str] = "flac"
    law_kind: ClassVar[str] = "exact"
    resolution: ClassVar[float] = 1.0
    overhead: ClassVar[float] = 8.0 * (4 + 4 + 1)
    window: ClassVar[int] = 32768
    parallel: ClassVar[bool] = False  # libsndfile calls back into Python at every write

    def __post_init__(self) -> None:
        if self.channels not in (1, 2):
            raise UsageError(f"flac:channels must be 1 or 2, not {self.channels}")
        if self.bits not in (8, 16):
            raise UsageError(f"flac:bits must be 8 or 16, not {self.bits}")

    @property
    def call_time(self) -> float:
        """Microseconds of a code length."""
        return 400

    @property
    def frame(self) -> int:
        """Bytes of a frame of sound."""
        return self.channels * self.bits // 8

    @property
    def unit(self) -> int:
        """Bytes of a frame of sound: windows begin with whole ones."""
        return self.frame

    def laid_out(self, layout: Layout) -> Flac:
        """Return the compressor with channels and bits of ``layout``, if it has the defaults.

        Samples of more than two channels are one line to it.
        """
        return (layout if layout.channels <= 2 else dataclasses.replace(layout, channels=1)).fill(self)

    @classmethod
    def version(cls) -> str:
        """Return the version of libsndfile, which includes libFLAC."""
        return f"libsndfile {soundfile.__libsndfile_version__}"

    def law(self) -> FlacLaw:
        """Return the law by the frames that libFLAC writes for the last samples."""
        return FlacLaw(_Encoder(self), self.channels, self.bits)

    def compress(self, data: bytes) -> bytes:
        """Return ``data`` as one FLAC stream without tags, by libFLAC's strongest preset."""
        if not data:
            return _emptied(self.encode(bytes([MIDDLE]) * self.frame))
        stream = self.encode(completed(data, self.frame))
        missing = -len(data) % self.frame
        if not missing:
            return stream
        mark = struct.pack(">I4sB", (_LAST | _APPLICATION) << 24 | 5, _MARK, missing)
        return _MAGIC + bytes([stream[4] & ~_LAST]) + stream[5:_STREAMINFO] + mark + stream[_STREAMINFO:]

    def encode(self, data: bytes, copies: int = 1) -> bytes:
        """Return whole frames of sound as a stream with no metadata but STREAMINFO, each channel ``copies`` times."""
        unsigned = np.frombuffer(data, dtype=">u2" if self.bits == 16 else "u1").astype(np.int32)
        samples = ((unsigned - (1 << (self.bits - 1))) << (16 - self.bits)).astype(np.int16)
        frames = np.tile(samples.reshape(-1, self.channels), (1, copies))
        file = io.BytesIO()
        kind = {8: "PCM_S8", 16: "PCM_16"}[self.bits]
        soundfile.write(file, frames, _RATE, format="FLAC", subtype=kind, compression_level=1.0)
        stream = file.getvalue()
        start, end = len(_MAGIC), _STREAMINFO
        while not stream[start] & _LAST:
            start, end = end, end + 4 + int.from_bytes(stream[end + 1 : end + 4], "big")
        return _MAGIC + bytes([stream[4] | _LAST]) + stream[5:_STREAMINFO] + stream[end:]

    def decompress(self, blob: bytes) -> bytes:
        """Return the data of one whole stream.

        Raises:
            CorruptDataError: the blob is not the whole and unchanged output of ``compress``.
        """
        data = b"" if blob == self.compress(b"") else self._decode(blob)
        # libsndfile skips over damage. The encoder is deterministic, so coding the data again is a check.
        if self.compress(data) != blob:
            raise CorruptDataError("the flac stream is damaged: it is not what its data is coded as")
        return data

    def _decode(self, blob: bytes) -> bytes:
        """Return the data of a stream that holds samples.

        Raises:
            CorruptDataError: the blob is not a FLAC stream with the channels of this compressor.
        """
        marked = blob[_STREAMINFO + 4 : _STREAMINFO + 8] == _MARK
        missing = blob[_STREAMINFO + 8] if marked and len(blob) > _STREAMINFO + 8 else 0
        try:
            with soundfile.SoundFile(io.BytesIO(blob)) as file:
                if file.format != "FLAC" or file.channels != self.channels:
                    raise CorruptDataError(f"not a flac stream of {self.channels} channels")
                # In pieces, since a forged header may promise more frames than there are.
                pieces = []
                while len(piece := file.read(_BLOCK, dtype="int16", always_2d=True)):
                    pieces.append(piece.reshape(-1))
        except soundfile.SoundFileError as error:
            raise CorruptDataError(f"not a flac stream: {error}") from None
        samples = np.concatenate([*pieces, np.empty(0, np.int16)]).astype(np.int32)
        unsigned = (samples >> (16 - self.bits)) + (1 << (self.bits - 1))
        data: bytes = unsigned.astype(">u2" if self.bits == 16 else "u1").tobytes()
        return data[: max(0, len(data) - missing)]

    def code_length(self, data: bytes) -> int:
        """Return the bits of the stream, without the padding of its last FLAC frame."""
        return self.open(b"").code_length(data)

    def code_lengths(self, context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) L(context + continuation), bits."""
        return self.open(context).code_lengths(continuations)

    def open(self, context: bytes) -> FlacMeter:
        """Return a meter that codes only the open block for each candidate."""
        meter = FlacMeter(self, b"", 8 * _STREAMINFO, 0)
        meter.extend(context)
        return meter


@dataclass(frozen=True)
class _Encoder:
    """The encoder, as a function. Those of equal compressors are equal, and share what is known of the same samples."""

    compressor: Flac

    def __call__(self, block: bytes) -> Frame:
        """Return the FLAC frame of up to 4,096 frames of sound, of independent channels or of left and side.

        Where the encoder prefers another way, side is coded as it does there, and left as it does alone.
        """
        compressor = self.compressor
        frame = frames_in(compressor.encode(block), _STREAMINFO, compressor.bits)[0]
        if frame.assignment <= LEFT_SIDE:
            return frame
        alone = dataclasses.replace(compressor, channels=1)
        wide = np.frombuffer(block, dtype=">u2" if compressor.bits == 16 else "u1")
        left = frames_in(alone.encode(wide[::2].tobytes()), _STREAMINFO, compressor.bits)[0].subframes[0]
        side = frame.subframes[0 if frame.assignment == SIDE_RIGHT else 1]
        return dataclasses.replace(frame, assignment=LEFT_SIDE, subframes=[left, side])


class FlacMeter(Meter):
    """The bits of the closed blocks, and the bytes of the open one.

    Args:
        compressor: whose lengths the meter tells.
        pending: bytes of the open block.
        written: bits of the header and of the closed blocks.
        blocks: closed blocks.
    """

    def __init__(self, compressor: Flac, pending: bytes, written: int, blocks: int) -> None:
        self._compressor = compressor
        self._pending = pending
        self._written = written
        self._blocks = blocks

    def code_length(self, continuation: bytes) -> int:
        """Return L(context + continuation), bits."""
        if len(self._pending) + len(continuation) > self._size:
            ahead = self.fork()
            ahead.extend(continuation)
            return ahead.code_length(b"")
        if not self._pending and not continuation:
            return self._written
        return self._written + self._frame_length(completed(self._pending + continuation, self._compressor.frame))

    def code_lengths(self, continuations: Sequence[bytes]) -> CodeLengths:
        """Return (n,) L(context + continuation), bits."""
        return measure(self.code_length, continuations, self._compressor.parallel)

    def extend(self, data: bytes) -> None:
        """Append ``data``. A full block is closed when a byte follows it."""
        self._pending += data
        while len(self._pending) > self._size:
            block, self._pending = self._pending[: self._size], self._pending[self._size :]
            self._written += -8 * (-self._frame_length(block) // 8)
            self._blocks += 1

    @property
    def _size(self) -> int:
        """Bytes of a full block."""
        return _BLOCK * self._compressor.frame

    def _frame_length(self, block: bytes) -> int:
        """Return the bits of the FLAC frame of the next block, with its checksums and without its padding."""
        number = _coded_number(self._blocks) - 1  # the stream coded here has number 0, in one byte
        if self._compressor.channels > 1:
            return 8 * (len(self._compressor.encode(block)) - _STREAMINFO + number)
        stream = self._compressor.encode(block, _COPIES)
        size_code = stream[_STREAMINFO + 2] >> 4
        header = 4 + 1 + {6: 1, 7: 2}.get(size_code, 0) + 1  # RFC 9639, section 9.1
        bits: int = 8 * (header + number + 2) + len(stream) - _STREAMINFO - header - 2
        return bits

    def flushed(self) -> None:
        """Return None: after a block that is closed early, the next one would have nothing to predict from."""
        return

    def fork(self) -> FlacMeter:
        """Return an independent copy."""
        return FlacMeter(self._compressor, self._pending, self._written, self._blocks)


def _coded_number(number: int) -> int:
    """Return the bytes of a FLAC frame's number in its header: coded as in UTF-8, up to 36 bits (section 9.1.5)."""
    return 1 if number < 1 << 7 else next(n for n in range(2, 8) if number < 1 << (5 * n + 1))


def _emptied(stream: bytes) -> bytes:
    """Return the header of ``stream``, changed to say that there are no samples."""
    packed = int.from_bytes(stream[18:26], "big") >> 36 << 36  # clears the number of samples
    return stream[:12] + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
