"""Pictures as bytes: rows of pixels, and PNG, BMP and TIFF files that are made of any bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.media import picture_files
from compgen.media.base import Medium, warn_of
from compgen.media.formats import format_of
from compgen.media.layout import MIDDLE, MOST_STRIDE, Layout, completed

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Pillow's modes for numbers of channels."""

_KINDS = {".png": "PNG", ".bmp": "BMP", ".tiff": "TIFF", ".tif": "TIFF"}
"""The formats, in Pillow's words, of the suffixes that are written."""


@dataclass(frozen=True)
class Image(Medium):
    """Rows of ``width`` pixels with 1 channel (gray), 2 (with alpha), 3 (RGB) or 4 (with alpha), of 8 or 16 ``bits``.

    What is 0 is taken from the file. Gray alone has 16 bits, the high byte first. With 1 or 3 channels, transparent
    pixels are laid over white. Palettes become RGB, and a picture whose EXIF data says how the camera was held is
    turned upright.
    """

    channels: int = 0
    width: int = 0
    bits: int = 0

    name: ClassVar[str] = "image"
    suffixes: ClassVar[tuple[str, ...]] = tuple(_KINDS)
    reference: ClassVar[str] = "png"

    def __post_init__(self) -> None:
        if self.channels not in (0, *_MODES):
            raise UsageError(f"image:channels must be between 1 and {max(_MODES)}, not {self.channels}")
        if self.bits not in (0, 8, 16) or (self.bits == 16 and self.channels > 1):
            raise UsageError(f"image:bits must be 8, or 16 for gray (channels=1), not {self.bits}")
        widest = MOST_STRIDE // self.layout.pixel
        if not 0 <= self.width <= widest:
            raise UsageError(f"image:width must be between 0 and {widest} pixels, not {self.width}; cut the picture")

    @property
    def layout(self) -> Layout:
        """The layout: rows of pixels."""
        layout = Layout(0, self.channels or 1, self.bits or 8)
        return replace(layout, stride=self.width * layout.pixel)

    @classmethod
    def recognises(cls, item: bytes) -> bool:
        """Return whether ``item`` begins as a picture of a format that is read."""
        form = format_of(item)
        return form is not None and form.medium == cls.name

    def encode(self, item: bytes) -> tuple[bytes, Image]:
        """Return the rows of a picture.

        Warns:
            LossWarning: the rows are other than the picture, and no option says so: a palette became RGB, for example.

        Raises:
            UsageError: the file is of another kind, damaged, cut short or too large, or is not ``width`` pixels wide.
        """
        upright, losses = picture_files.read(item)
        sixteen = upright.mode == "I;16"
        channels = self.channels or (1 if sixteen else len(upright.getbands()))
        bits = self.bits or (16 if sixteen and channels == 1 else 8)
        fitted = replace(self, channels=channels, width=upright.width, bits=bits)
        if self.width not in (0, upright.width):
            raise UsageError(f"the picture is {upright.width} pixels wide, not {self.width}; leave the width out")
        if sixteen and bits == 8 and not self.bits:
            losses.append("its samples of 16 bits become samples of 8")
        if channels % 2:
            upright, clear = picture_files.over_white(upright)
            losses += ["its transparent pixels are laid over white"] if clear else []
        warn_of(losses, "picture")
        if sixteen and bits == 16:
            return np.asarray(upright).astype(">u2").tobytes(), fitted
        rows = picture_files.high_bytes(upright).convert(_MODES[channels])
        return (np.asarray(rows).astype(">u2") * 257).tobytes() if bits == 16 else rows.tobytes(), fitted

    def checked(self, suffix: str) -> str:
        """Return ``suffix`` in lower case, or the default suffix if it is empty.

        Raises:
            UsageError: the medium writes no such files, or none with alpha or 16 bits, as BMP.
        """
        suffix = super().checked(suffix)
        if suffix == ".bmp" and (self.bits == 16 or self.channels % 2 == 0 < self.channels):
            raise UsageError(
                "BMP keeps neither alpha nor 16 bits; name a .png or .tiff, or give --medium image:channels=3"
            )
        return suffix

    def decode(self, data: bytes, suffix: str = "") -> bytes:
        """Return ``data`` as a PNG, BMP or TIFF file. An incomplete last row is completed from the row above.

        No bytes become one row of gray.

        Raises:
            UsageError: ``suffix`` is another, or the width is not known.
        """
        kind = _KINDS[self.checked(suffix)]
        if not self.width:
            raise UsageError("bytes make a picture only with a width; give one, such as image:width=64")
        file = io.BytesIO()
        options = {"optimize": True} if kind == "PNG" else {}
        picture_files.pillow().Image.fromarray(self.pixels(data).astype(f"u{self.layout.bits // 8}")).save(
            file, kind, **options
        )
        return file.getvalue()

    def pixels(self, data: bytes) -> NDArray[np.uint8 | np.uint16]:
        """Return the samples: (rows, width) if they are gray, otherwise (rows, width, channels)."""
        rows = completed(data or bytes([MIDDLE]), self.layout.stride)
        channels = self.layout.channels
        shape = (-1, self.width) if channels == 1 else (-1, self.width, channels)
        return np.frombuffer(rows, dtype=f">u{self.layout.bits // 8}").reshape(shape)
