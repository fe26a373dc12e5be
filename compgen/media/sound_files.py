"""Files of sound as samples of 16 bits: what libsndfile reads, checked to be whole."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.extras import need
from compgen.media import formats, whole
from compgen.media.formats import Format
from compgen.media.quiet import quiet

_MOST = 1 << 28
"""The most samples of a file. Chosen: half a gigabyte of memory."""

_BLOCK = 1 << 18
"""Samples that are read at a time, since a header may promise more than there is. Chosen."""

_LIMITS = (1, 768_000)
"""Hz. The lowest and the highest rate of files that are read. Chosen: no converter is faster, so a header that says so
is wrong."""

FLOATS = ("FLOAT", "DOUBLE")
"""libsndfile's words for samples in floating point."""


@dataclass(frozen=True, eq=False)
class Sound:
    """What a file of sound holds.

    Attributes:
        frames: (n, channels) samples.
        rate: frames in a second.
        bits: the bits of a sample in the file: 16 if the file is compressed with losses.
        losses: what ``frames`` lack of the file, apart from bits.
    """

    frames: NDArray[np.int16]
    rate: int
    bits: int
    losses: tuple[str, ...] = ()


def soundfile() -> Any:
    """Return the package soundfile."""
    return need("soundfile", "media", "sound")


def read(item: bytes) -> Sound:
    """Return the samples of a file.

    Raises:
        UsageError: the file is of another kind, damaged, cut short or too long.
    """
    library = soundfile()
    form = formats.expect(item, "audio", "sound")
    whole.check(item, form)
    try:
        with quiet(form.name == "MP3"), library.SoundFile(io.BytesIO(item)) as file:
            if not _LIMITS[0] <= file.samplerate <= _LIMITS[1]:
                raise UsageError(
                    f"the sound has {file.samplerate} samples a second by its header; {whole.advice(form)}"
                )
            sound = _samples(file, item, form)
    except UsageError:
        raise
    except Exception:  # soundfile's own errors, and whatever a hostile header makes it raise
        if form.name == "WAV" and (plain := _plain(item)) is not None:
            return plain
        raise UsageError(
            f"the sound cannot be read: the {form.name} file is damaged, or of a kind that libsndfile does not read; "
            f"{whole.advice(form)}"
        ) from None
    if form.name in ("Ogg", "MP3") and not len(sound.frames):
        raise UsageError(f"the sound cannot be read: the {form.name} file holds none; {whole.advice(form)}")
    return sound


def _samples(file: Any, item: bytes, form: Format) -> Sound:
    """Return the samples of an open file.

    Raises:
        UsageError: it has too many samples, or its checksum is not that of its samples.
    """
    promise = _Promise(item) if form.name == "FLAC" else None
    data = bytearray()
    clipped = False
    subtype = str(file.subtype)
    for block in _blocks(file):
        if len(data) // 2 + block.size > _MOST:
            raise UsageError(f"the sound has more than {_MOST} samples; cut it first")
        clipped |= subtype in FLOATS and not bool((np.abs(block) <= 1).all())
        data += sixteen(block).tobytes()
        if promise is not None:
            promise.update(block)
    if promise is not None and not promise.holds:
        raise UsageError(f"the FLAC file is damaged: its samples are not those of its checksum; {whole.advice(form)}")
    losses = ("samples beyond full scale are clipped",) if clipped else ()
    frames = np.frombuffer(data, np.int16).reshape(-1, file.channels)
    return Sound(frames, file.samplerate, _bits(subtype), losses)


def _blocks(file: Any) -> Iterator[NDArray[Any]]:
    while len(block := _block(file, max(1, _BLOCK // file.channels))):
        yield block


def _block(file: Any, count: int) -> NDArray[Any]:
    """Return the next frames: floating point, or whole numbers that fill the high bits of 32."""
    dtype = "int32" if file.subtype.startswith("PCM") else "float64"
    block: NDArray[Any] = file.read(count, dtype=dtype, always_2d=True)
    return block


def sixteen(block: NDArray[Any]) -> NDArray[np.int16]:
    """Return samples with 16 bits, of floating point, or of whole numbers that fill the high bits of 32."""
    if block.dtype == np.int32:
        return (block >> 16).astype(np.int16)
    return rounded(np.clip(np.nan_to_num(block), -1, 1) * 32768)


def _bits(subtype: str) -> int:
    """Return the bits of a sample of a subtype, which is libsndfile's word."""
    if subtype in FLOATS:
        return 32 if subtype == "FLOAT" else 64
    digits = subtype.rpartition("_")[2].lstrip("SU")
    return int(digits) if subtype.startswith(("PCM", "ALAC")) and digits.isdigit() else 16


class _Promise:
    """The number of samples that the first block of a FLAC file promises, and their MD5 (RFC 9639, section 8.2)."""

    def __init__(self, item: bytes) -> None:
        block = item[formats.tag_end(item) + 8 :][:34]
        numbers = int.from_bytes(block[10:18])  # rate, channels, bits of a sample, frames
        bits = (numbers >> 36 & 31) + 1
        self._frames = numbers & (1 << 36) - 1
        self._expected = block[18:]
        self._shift = 32 - bits
        self._bytes = (bits + 7) // 8
        self._digest = hashlib.md5(usedforsecurity=False)
        self._seen = 0

    def update(self, block: NDArray[np.int32]) -> None:
        """Add frames, whose samples fill the high bits of 32."""
        width = 4 if self._bytes == 3 else self._bytes
        numbers = (block >> self._shift).astype(f"<i{width}").reshape(-1, 1).view(np.uint8)
        self._digest.update(numbers[:, : self._bytes].tobytes())
        self._seen += len(block)

    @property
    def holds(self) -> bool:
        """Whether the number of frames and the MD5 are those promised. A promise of zeros says nothing."""
        right = not any(self._expected) or self._digest.digest() == self._expected
        return right and self._frames in (0, self._seen)


def _plain(item: bytes) -> Sound | None:
    """Return the samples of a WAV file of 8 or 16 bits, or None if it is no such file.

    libsndfile takes samples that happen to begin with ``OggS`` or ``wvpk`` for another format, and does not read them.
    """
    chunks = {name: item[begin : begin + size] for name, begin, size in whole.riff_chunks(item)}
    form, data = chunks.get(b"fmt ", b""), chunks.get(b"data", b"")
    if not data.startswith((b"OggS", b"wvpk")) or len(form) < 16:
        return None
    kind, channels, rate, bits = (int.from_bytes(form[a:b], "little") for a, b in ((0, 2), (2, 4), (4, 8), (14, 16)))
    if kind != 1 or bits not in (8, 16) or not channels or not _LIMITS[0] <= rate <= _LIMITS[1] or len(data) > _MOST:
        return None
    data = data[: len(data) - len(data) % (bits // 8 * channels)]
    samples = np.frombuffer(data, "<i2") if bits == 16 else (np.frombuffer(data, np.uint8).astype(np.int16) - 128) << 8
    return Sound(samples.astype(np.int16).reshape(-1, channels), rate, bits)


def rounded(samples: NDArray[np.float64]) -> NDArray[np.int16]:
    """Return samples rounded to whole numbers of 16 bits."""
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
