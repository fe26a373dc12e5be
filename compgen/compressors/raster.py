"""Lossless picture codecs from imagecodecs: JPEG XL (ISO/IEC 18181), JPEG-LS (ISO/IEC 14495), WebP lossless.

A blob is the length of the data in four bytes, then the codec's own file. A last row that lacks bytes repeats those of
the row above (``compgen.media.layout.completed``). Every candidate codes the whole picture, and shows whole bytes.
"""

from __future__ import annotations

import struct
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from compgen.compressors.base import Compressor
from compgen.errors import CompressorError, CorruptDataError, UsageError
from compgen.laws.base import NoLaw
from compgen.media.layout import Layout, completed

_LENGTH = struct.Struct("<I")
"""Bytes of the data: the header of a blob."""
_ROW_TIME = 0.3
"""Microseconds that coding a byte of a row takes. Measured: 0.29 for JPEG XL, less for the others."""
_JPEGLS_HEADER = 52
"""Bytes of CharLS's header, which holds the size of the picture."""
_JPEGLS_MOST = 5
"""Bytes of code that one byte of a picture may take. A sample takes at most four times its own bits (ISO/IEC 14495-1,
annex A: LIMIT = 2 (bpp + max(8, bpp))), and after a byte of ones one bit of the next is lost: 32/7 in all. CharLS's own
estimate is smaller, and noise overflows it."""
_JPEGLS_SPARE = 1024
"""Bytes for the header and the end of a JPEG-LS file. Chosen: far above both."""
_WEBP_MOST = 16382
"""The most rows, and the most pixels of a row, of a WebP file that imagecodecs writes."""
_MOST_TIMES = 1 << 17
"""Bytes of a picture that one byte of its blob may stand for. Chosen: a forged length allocates no more."""


@dataclass(frozen=True)
class Raster(Compressor):
    """Bytes as a picture: rows of ``width`` pixels of ``channels`` samples of ``bits`` bits, the high byte first."""

    width: int = 64
    channels: int = 1
    bits: int = 8

    window: ClassVar[int] = 4096
    law_kind: ClassVar[str] = "none"
    depths: ClassVar[tuple[int, ...]] = (8, 16)
    widest: ClassVar[int] = 16383

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise UsageError(f"{self.name}:channels must be 1 or 3, not {self.channels}")
        if self.bits not in self.depths:
            raise UsageError(f"{self.name}:bits must be {' or '.join(map(str, self.depths))}, not {self.bits}")
        if not 1 <= self.width <= self.widest:
            raise UsageError(f"{self.name}:width must be between 1 and {self.widest} pixels, not {self.width}")

    @classmethod
    @abstractmethod
    def encode(cls, picture: NDArray[Any]) -> bytes:
        """Return the codec's file of ``picture``, (rows, width) or (rows, width, channels)."""

    @classmethod
    @abstractmethod
    def decode(cls, file: bytes, out: NDArray[Any]) -> NDArray[Any]:
        """Return the picture in ``file``. ``out`` has the picture's shape, so that no size in a header is trusted."""

    def laid_out(self, layout: Layout) -> Raster:
        """Return the compressor with width, channels and bits of ``layout``, if it has the defaults."""
        return layout.fill(self)

    @property
    def call_time(self) -> float:
        """Microseconds of a code length: at least one row is coded."""
        return 400 + self.row * _ROW_TIME

    def encoder_memory(self, size: int) -> int:
        """Return the bytes of an encoder of ``size`` bytes, or of a row if it is longer."""
        return super().encoder_memory(2 * max(size, self.row))

    @property
    def row(self) -> int:
        """Bytes of a row."""
        return self.width * self.channels * self.bits // 8

    def law(self) -> NoReturn:
        """Raise NoLaw: pictures are decoded as a whole."""
        raise NoLaw("picture codecs decode whole pictures, so they have no law of the next byte; use --rule calibrated")

    def compress(self, data: bytes) -> bytes:
        """Return the length of ``data``, and the codec's file."""
        if len(data) >= 1 << 32:
            raise UsageError(f"{self.name} takes up to 4 GB")
        picture = self._picture(data)
        try:
            return _LENGTH.pack(len(data)) + (self.encode(picture) if data else b"")
        except (RuntimeError, ValueError) as error:
            raise CompressorError(f"{self.name} does not take {len(picture)} rows: {error}; give a width") from None

    def _picture(self, data: bytes) -> NDArray[Any]:
        """Return ``data`` as a picture, (rows, width) or (rows, width, channels)."""
        kind = np.dtype(">u2" if self.bits == 16 else "u1")
        rows = completed(data, self.width * self.channels * kind.itemsize)
        shape = (-1, self.width) if self.channels == 1 else (-1, self.width, self.channels)
        picture: NDArray[Any] = np.frombuffer(rows, dtype=kind).reshape(shape).astype(kind.newbyteorder("="))
        return picture

    def decompress(self, blob: bytes) -> bytes:
        """Return the data of one whole blob.

        Raises:
            CorruptDataError: the blob is not the whole and unchanged output of ``compress``.
        """
        try:
            (length,) = _LENGTH.unpack_from(blob)
            if length > _MOST_TIMES * len(blob):
                raise CorruptDataError(f"not a {self.name} blob: it promises more than it can hold")
            picture = self._picture(bytes(length))
            if length:
                picture = self.decode(blob[_LENGTH.size :], picture)
        except (RuntimeError, ValueError, MemoryError, struct.error) as error:
            raise CorruptDataError(f"not a {self.name} blob: {error}") from None
        data: bytes = picture.astype(">u2" if self.bits == 16 else "u1").tobytes()[:length]
        # Not every codec has a checksum. The encoders are deterministic, so coding the data again is a check.
        if self.compress(data) != blob:
            raise CorruptDataError(f"the {self.name} blob is damaged: it is not what its data is coded as")
        return data


@dataclass(frozen=True)
class JpegXl(Raster):
    """JPEG XL in its lossless, modular mode."""

    name: ClassVar[str] = "jpegxl"

    @classmethod
    def version(cls) -> str:
        """Return the version of libjxl."""
        return str(imagecodecs.jpegxl_version())

    @classmethod
    def encode(cls, picture: NDArray[Any]) -> bytes:
        """Return a JPEG XL codestream."""
        return bytes(imagecodecs.jpegxl_encode(picture, lossless=True, numthreads=1))

    @classmethod
    def decode(cls, file: bytes, out: NDArray[Any]) -> NDArray[Any]:
        """Return the picture of a codestream."""
        return np.asarray(imagecodecs.jpegxl_decode(file, numthreads=1, out=out))


@dataclass(frozen=True)
class JpegLs(Raster):
    """JPEG-LS: LOCO-I, which predicts from three neighbours."""

    name: ClassVar[str] = "jpegls"

    @classmethod
    def version(cls) -> str:
        """Return the version of CharLS."""
        return str(imagecodecs.jpegls_version())

    @classmethod
    def encode(cls, picture: NDArray[Any]) -> bytes:
        """Return a JPEG-LS file."""
        return bytes(imagecodecs.jpegls_encode(picture, out=_JPEGLS_SPARE + _JPEGLS_MOST * picture.nbytes))

    @classmethod
    def decode(cls, file: bytes, out: NDArray[Any]) -> NDArray[Any]:
        """Return the picture of a JPEG-LS file."""
        # CharLS allocates what a header asks for, so only the header of a picture of this shape is let through.
        if file[:_JPEGLS_HEADER] != cls.encode(np.zeros_like(out))[:_JPEGLS_HEADER]:
            raise ValueError("the header is that of another picture")
        return np.asarray(imagecodecs.jpegls_decode(file, out=out))


@dataclass(frozen=True)
class WebP(Raster):
    """WebP lossless. It codes colours only, so gray is coded as three equal channels; WebP then subtracts them.

    A file holds 16,382 rows at most. A picture of more rows is several files, one after the other.
    """

    name: ClassVar[str] = "webp"
    depths: ClassVar[tuple[int, ...]] = (8,)
    widest: ClassVar[int] = _WEBP_MOST

    @classmethod
    def version(cls) -> str:
        """Return the version of libwebp."""
        return str(imagecodecs.webp_version())

    @classmethod
    def encode(cls, picture: NDArray[Any]) -> bytes:
        """Return WebP files."""
        colours = picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)
        files = (imagecodecs.webp_encode(np.ascontiguousarray(part), lossless=True) for part in _webp_parts(colours))
        return b"".join(map(bytes, files))

    @classmethod
    def decode(cls, file: bytes, out: NDArray[Any]) -> NDArray[Any]:
        """Return the picture of WebP files."""
        colours = out if out.ndim == 3 else np.empty((*out.shape, 3), dtype=out.dtype)
        place = 0
        for part in _webp_parts(colours):
            size = 8 + int.from_bytes(file[place + 4 : place + 8], "little")  # as the header of a RIFF file says
            imagecodecs.webp_decode(file[place : place + size], out=part)
            place += size
        return colours if out.ndim == 3 else colours[:, :, 0]


def _webp_parts(picture: NDArray[Any]) -> list[NDArray[Any]]:
    """Return views of the rows of ``picture``, as many as one WebP file may hold in each."""
    return [picture[begin : begin + _WEBP_MOST] for begin in range(0, len(picture), _WEBP_MOST)]
