"""Sound as bytes: unsigned samples of 8 or 16 bits, and WAV and FLAC files that are made of any bytes.

``linear`` is the paper's coding: 8 bits, the high byte of each sample (Deletang et al. 2024, section 3.1). ``mu-law``
has smaller steps for quiet samples, where ears hear finer differences (the curve of ITU-T G.711 with mu = 255, without
its segments). ``16-bit`` keeps both bytes. The high byte comes first and is that of ``linear``, so that the noise of
the low bytes does not hide the structure.
"""

from __future__ import annotations

import functools
import io
import math
import wave
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.extras import need
from compgen.media.base import Medium
from compgen.media.layout import Layout, completed
from compgen.registry import suggest

CODINGS = ("linear", "mu-law", "16-bit")
"""The codings, the default first."""

_DEFAULT_RATE = 16_000
"""Hz. The rate of the paper's sound."""

_MOST = 1 << 28
"""Samples that are read from a file at most. Chosen: half a gigabyte of memory."""

_BLOCK = 1 << 16
"""Frames that are read at a time, since a header may promise more than there is. Chosen."""

_KINDS = {".wav": "WAV", ".flac": "FLAC"}
"""The formats, in soundfile's words, of the suffixes that are written."""


def _soundfile() -> Any:
    return need("soundfile", "media", "sound")


@dataclass(frozen=True)
class Audio(Medium):
    """Sound of ``channels`` at ``rate`` Hz. 0 takes them from the file; without a file, it is one channel at 16 kHz."""

    coding: str = CODINGS[0]
    rate: int = 0
    channels: int = 0

    name: ClassVar[str] = "audio"
    suffixes: ClassVar[tuple[str, ...]] = tuple(_KINDS)
    reference: ClassVar[str] = "flac"

    def __post_init__(self) -> None:
        if self.coding not in CODINGS:
            raise UsageError(f"unknown coding '{self.coding}'{suggest(self.coding, CODINGS)}")
        if self.rate and not 1000 <= self.rate <= 192_000:
            raise UsageError(f"audio:rate must be between 1000 and 192000 Hz, not {self.rate}")
        if self.channels not in (0, 1, 2):
            raise UsageError(f"audio:channels must be 1 or 2, not {self.channels}")

    @property
    def layout(self) -> Layout:
        """The layout: frames of samples, in one line."""
        return Layout(0, self.channels or 1, 16 if self.coding == "16-bit" else 8)

    @classmethod
    def recognises(cls, item: bytes) -> bool:
        """Return whether ``item`` begins as a WAV, FLAC or Ogg file."""
        return item[:4] in (b"fLaC", b"OggS") or (item[:4] in (b"RIFF", b"RF64") and item[8:12] == b"WAVE")

    def encode(self, item: bytes) -> tuple[bytes, Audio]:
        """Return the samples of a WAV, FLAC or Ogg file, with the channels and the rate that the options ask for.

        Raises:
            UsageError: libsndfile cannot read the file, or it is too long.
        """
        frames, own_rate = _read(item)
        channels = self.channels or min(frames.shape[1], 2)
        if channels != frames.shape[1]:
            frames = np.repeat(_rounded(frames.mean(axis=1, keepdims=True)), channels, axis=1)
        rate = self.rate or own_rate
        if rate != own_rate and len(frames):
            from scipy.signal import resample_poly

            common = math.gcd(rate, own_rate)
            frames = _rounded(resample_poly(frames.astype(np.float64), rate // common, own_rate // common, axis=0))
        samples = frames.reshape(-1).astype(np.int32)
        if self.coding == "mu-law":
            data = _mu_law()[1][samples + 32768].tobytes()
        else:
            unsigned = (samples + 32768).astype(">u2")
            data = unsigned.tobytes() if self.coding == "16-bit" else (unsigned >> 8).astype(np.uint8).tobytes()
        return data, replace(self, rate=rate, channels=channels)

    def decode(self, data: bytes, suffix: str = "") -> bytes:
        """Return ``data`` as a WAV or FLAC file. An incomplete last frame is completed from the frame before.

        Raises:
            UsageError: ``suffix`` is another, or a FLAC file would hold no samples.
        """
        suffix = self.checked(suffix)
        soundfile = _soundfile()
        if not data and suffix == ".flac":
            raise UsageError("a FLAC file must hold some sound; write a .wav")
        data = completed(data, self.layout.pixel)
        if self.coding == "16-bit":
            samples = (np.frombuffer(data, dtype=">u2").astype(np.int32) - 32768).astype(np.int16)
        elif self.coding == "mu-law":
            samples = _mu_law()[0][np.frombuffer(data, dtype=np.uint8)]
        else:
            samples = ((np.frombuffer(data, dtype=np.uint8).astype(np.int32) - 128) << 8).astype(np.int16)
        kind = "PCM_16" if self.coding != "linear" else {".wav": "PCM_U8", ".flac": "PCM_S8"}[suffix]
        file = io.BytesIO()
        frames = samples.reshape(-1, self.channels or 1)
        soundfile.write(file, frames, self.rate or _DEFAULT_RATE, format=_KINDS[suffix], subtype=kind)
        return file.getvalue()

    def waveform(self, data: bytes) -> NDArray[np.float64]:
        """Return (n,) samples between -1 and 1, the mean of all channels."""
        frames, _ = _read(self.decode(data)) if data else (np.zeros((0, 1)), 0)
        mean: NDArray[np.float64] = frames.mean(axis=1) / 32768
        return mean


def _read(item: bytes) -> tuple[NDArray[Any], int]:
    """Return the samples, (frames, channels) of 16 bits, and the rate in Hz.

    Raises:
        UsageError: the sound cannot be read, or is too long.
    """
    soundfile = _soundfile()
    try:
        with soundfile.SoundFile(io.BytesIO(item)) as file:
            whole = file.subtype.startswith("PCM")
            pieces = [np.zeros((0, file.channels), dtype=np.int16)]
            count = 0
            while len(piece := file.read(_BLOCK, dtype="int16" if whole else "float64", always_2d=True)):
                pieces.append(piece if whole else _rounded(np.clip(np.nan_to_num(piece), -1, 1) * 32768))
                count += piece.size
                if count > _MOST:
                    raise UsageError(f"the sound has more than {_MOST} samples; cut it first")
            return np.concatenate(pieces), file.samplerate
    except soundfile.SoundFileError as error:
        if (plain := _plain(item)) is not None:
            return plain
        raise UsageError(f"the sound cannot be read: {error}") from None


def _plain(item: bytes) -> tuple[NDArray[np.int16], int] | None:
    """Return the samples and the rate of a WAV file of 8 or 16 bits, or None if it is no such file.

    libsndfile takes samples that happen to begin with ``OggS`` or ``wvpk`` for another format, and does not read them.
    """
    try:
        with wave.open(io.BytesIO(item)) as file:
            data, width, channels = file.readframes(file.getnframes()), file.getsampwidth(), file.getnchannels()
            rate = file.getframerate()
    except (wave.Error, EOFError):
        return None
    if width > 2 or len(data) // width > _MOST:
        return None
    data = data[: len(data) - len(data) % (width * channels)]
    samples = np.frombuffer(data, "<i2") if width == 2 else (np.frombuffer(data, np.uint8).astype(np.int16) - 128) << 8
    return samples.astype(np.int16).reshape(-1, channels), rate


def _rounded(samples: NDArray[np.float64]) -> NDArray[np.int16]:
    """Return samples rounded to whole numbers of 16 bits."""
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


@functools.cache
def _mu_law() -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Return (256,) the sample of each byte, and (65536,) the byte of each sample from -32768 on."""
    steps = np.arange(-127, 128) / 127
    curve = np.sign(steps) * (256 ** np.abs(steps) - 1) / 255
    decoded = np.concatenate([[-32768], np.rint(32767 * curve)]).astype(np.int16)
    borders = (decoded[:-1].astype(np.float64) + decoded[1:]) / 2
    return decoded, np.searchsorted(borders, np.arange(-32768, 32768)).astype(np.uint8)
