"""Sound as bytes: unsigned samples of 8 or 16 bits, and WAV and FLAC files that are made of any bytes.

A sound comes back as it came: by default its bytes have the file's own rate, its channels, and ``16-bit`` where its
samples have more than 8 bits. What a model does not see it cannot continue, so models see all 16 bits.

``linear`` is the paper's coding: 8 bits, the high byte of each sample (Deletang et al. 2024, section 3.1). ``mu-law``
has smaller steps for quiet samples, where ears hear finer differences (the curve of ITU-T G.711 with mu = 255, without
its segments). ``16-bit`` keeps both bytes. The high byte comes first and is that of ``linear``, so that the noise of
the low bytes does not hide the structure.
"""

from __future__ import annotations

import functools
import io
import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.media import sound_files
from compgen.media.base import Medium, warn_of
from compgen.media.formats import format_of
from compgen.media.layout import Layout, completed
from compgen.registry import suggest

CODINGS = ("linear", "mu-law", "16-bit")
"""The codings. No coding given means that of the file: ``16-bit`` for more than 8 bits, otherwise ``linear``."""

_MOST_CHANNELS = 8
"""The most channels of a sound. FLAC has no more (RFC 9639, section 9.1.3)."""

_DEFAULT_RATE = 16_000
"""Hz. The rate of the paper's sound."""

_RATES = (1000, 192_000)
"""Hz. The least and the greatest rate of samples. Chosen: players take no others."""

_MOST = 1 << 28
"""The most samples that a sound may have after a change of its rate. Chosen: half a gigabyte of memory."""

_BLOCK = 1 << 20
"""Samples that are coded at a time. Chosen: little memory beside the sound."""

_KINDS = {".wav": "WAV", ".flac": "FLAC"}
"""The formats, in soundfile's words, of the suffixes that are written."""


@dataclass(frozen=True)
class Audio(Medium):
    """Sound of ``channels`` at ``rate`` Hz in a ``coding``. What is not given is taken from the file.

    Without a file, it is one channel at 16 kHz of 8 bits.
    """

    coding: str = ""
    rate: int = 0
    channels: int = 0

    name: ClassVar[str] = "audio"
    suffixes: ClassVar[tuple[str, ...]] = tuple(_KINDS)
    reference: ClassVar[str] = "flac"

    def __post_init__(self) -> None:
        if self.coding and self.coding not in CODINGS:
            raise UsageError(f"unknown coding '{self.coding}'{suggest(self.coding, CODINGS)}")
        if self.rate and not _RATES[0] <= self.rate <= _RATES[1]:
            raise UsageError(f"audio:rate must be between {_RATES[0]} and {_RATES[1]} Hz, not {self.rate}")
        if not 0 <= self.channels <= _MOST_CHANNELS:
            raise UsageError(f"audio:channels must be between 1 and {_MOST_CHANNELS}, not {self.channels}")

    @property
    def layout(self) -> Layout:
        """The layout: frames of samples, in one line."""
        return Layout(0, self.channels or 1, 16 if self.coding == "16-bit" else 8)

    @classmethod
    def recognises(cls, item: bytes) -> bool:
        """Return whether ``item`` begins as a file of sound of a format that is read."""
        form = format_of(item)
        return form is not None and form.medium == cls.name

    def encode(self, item: bytes) -> tuple[bytes, Audio]:
        """Return the samples of a file of sound, with the channels and the rate that the options ask for.

        Warns:
            LossWarning: the file has more than 16 bits a sample, or more than 8 channels, and no option says so.

        Raises:
            UsageError: the file is of another kind, damaged, cut short or too long, or its rate is out of range.
        """
        sound = sound_files.read(item)
        own = sound.frames.shape[1]
        losses = list(sound.losses)
        fitted = replace(
            self,
            coding=self.coding or ("16-bit" if sound.bits > 8 else "linear"),
            rate=self.rate or self._own_rate(sound.rate),
            channels=self.channels or (own if own <= _MOST_CHANNELS else 2),
        )
        if not self.channels and own > _MOST_CHANNELS:
            losses.append(f"its {own} channels are mixed, and both channels hold the mean")
        if sound.bits > fitted.layout.bits and not self.coding:
            losses.append(f"its samples of {sound.bits} bits become samples of {fitted.layout.bits}")
        warn_of(losses, "sound")
        return fitted._bytes(fitted._resampled(sound)), fitted

    def _own_rate(self, rate: int) -> int:
        """Return the rate of a file.

        Raises:
            UsageError: it is out of range.
        """
        if not _RATES[0] <= rate <= _RATES[1]:
            nearest = 8000 if rate < _RATES[0] else 48_000
            raise UsageError(
                f"the sound has {rate} samples a second, not between {_RATES[0]} and {_RATES[1]}; name the rate you "
                f"want: --medium {replace(self, rate=nearest)}"
            )
        return rate

    def _resampled(self, sound: sound_files.Sound) -> NDArray[np.int16]:
        """Return the samples at the rate and with the channels of this medium."""
        frames = sound.frames
        if self.channels != frames.shape[1]:
            frames = np.repeat(_mixed(frames), self.channels, axis=1)
        if self.rate == sound.rate or not len(frames):
            return frames
        if frames.size * self.rate > _MOST * sound.rate:
            raise UsageError(f"the sound would have more than {_MOST} samples at {self.rate} Hz; cut it first")
        from scipy.signal import resample_poly

        common = math.gcd(self.rate, sound.rate)
        up, down = self.rate // common, sound.rate // common
        return sound_files.rounded(resample_poly(frames.astype(np.float64), up, down, axis=0))

    def _bytes(self, frames: NDArray[np.int16]) -> bytes:
        """Return samples in the coding of this medium."""
        samples = frames.reshape(-1)
        return b"".join(self._coded(samples[start : start + _BLOCK]) for start in range(0, len(samples), _BLOCK))

    def _coded(self, samples: NDArray[np.int16]) -> bytes:
        unsigned = samples.view(np.uint16) ^ np.uint16(0x8000)
        coded: NDArray[np.unsignedinteger[Any]]
        if self.coding == "mu-law":
            coded = _mu_law()[1][unsigned]
        else:
            coded = unsigned.astype(">u2") if self.coding == "16-bit" else (unsigned >> 8).astype(np.uint8)
        return coded.tobytes()

    def decode(self, data: bytes, suffix: str = "") -> bytes:
        """Return ``data`` as a WAV or FLAC file. An incomplete last frame is completed from the frame before.

        Raises:
            UsageError: ``suffix`` is another, or a FLAC file would hold no samples.
        """
        suffix = self.checked(suffix)
        if not data and suffix == ".flac":
            raise UsageError("a FLAC file must hold some sound; write a .wav")
        eight_bits = "PCM_U8" if suffix == ".wav" else "PCM_S8"
        kind = eight_bits if self.coding in ("", "linear") else "PCM_16"
        file = io.BytesIO()
        rate = self.rate or _DEFAULT_RATE
        sound_files.soundfile().write(file, self._samples(data), rate, format=_KINDS[suffix], subtype=kind)
        return file.getvalue()

    def _samples(self, data: bytes) -> NDArray[np.int16]:
        """Return (frames, channels) samples that ``data`` stands for."""
        data = completed(data, self.layout.pixel)
        if self.coding == "16-bit":
            samples = (np.frombuffer(data, dtype=">u2").astype(np.int32) - 32768).astype(np.int16)
        elif self.coding == "mu-law":
            samples = _mu_law()[0][np.frombuffer(data, dtype=np.uint8)]
        else:
            samples = ((np.frombuffer(data, dtype=np.uint8).astype(np.int32) - 128) << 8).astype(np.int16)
        return samples.reshape(-1, self.channels or 1)

    def waveform(self, data: bytes) -> NDArray[np.float64]:
        """Return (n,) samples between -1 and 1, the mean of all channels."""
        mean: NDArray[np.float64] = self._samples(data).mean(axis=1) / 32768
        return mean


def _mixed(frames: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return (n, 1) the mean of all channels."""
    mean = np.empty((len(frames), 1), dtype=np.int16)
    for start in range(0, len(frames), _BLOCK):
        block = frames[start : start + _BLOCK]
        total = sum(block[:, channel].astype(np.int64) for channel in range(block.shape[1]))
        mean[start : start + _BLOCK, 0] = sound_files.rounded(total / block.shape[1])
    return mean


@functools.cache
def _mu_law() -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Return (256,) the sample of each byte, and (65536,) the byte of each sample from -32768 on."""
    steps = np.arange(-127, 128) / 127
    curve = np.sign(steps) * (256 ** np.abs(steps) - 1) / 255
    decoded = np.concatenate([[-32768], np.rint(32767 * curve)]).astype(np.int16)
    borders = (decoded[:-1].astype(np.float64) + decoded[1:]) / 2
    return decoded, np.searchsorted(borders, np.arange(-32768, 32768)).astype(np.uint8)
