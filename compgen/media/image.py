"""Pictures as bytes: rows of gray or RGB samples of 8 bits, and PNG, BMP and TIFF files that are made of any bytes."""

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

_MODES = {1: "L", 3: "RGB"}
"""Pillow's modes for numbers of channels."""

_KINDS = {".png": "PNG", ".bmp": "BMP", ".tiff": "TIFF", ".tif": "TIFF"}
"""The formats, in Pillow's words, of the suffixes that are written."""


@dataclass(frozen=True)
class Image(Medium):
    """Rows of ``width`` pixels with 1 channel (gray) or 3 (RGB). 0 takes width and channels from the file.

    Of samples with 16 bits, the high byte is kept. Transparent pixels are laid over white, palettes become colours, and
    a picture whose EXIF data says how the camera was held is turned upright.
    """

    channels: int = 0
    width: int = 0

    name: ClassVar[str] = "image"
    suffixes: ClassVar[tuple[str, ...]] = tuple(_KINDS)
    reference: ClassVar[str] = "png"

    def __post_init__(self) -> None:
        if self.channels not in (0, *_MODES):
            raise UsageError(f"image:channels must be 1 or 3, not {self.channels}")
        widest = MOST_STRIDE // (self.channels or 1)
        if not 0 <= self.width <= widest:
            raise UsageError(f"image:width must be between 0 and {widest} pixels, not {self.width}; cut the picture")

    @property
    def layout(self) -> Layout:
        """The layout: rows of pixels."""
        channels = self.channels or 1
        return Layout(self.width * channels, channels)

    @classmethod
    def recognises(cls, item: bytes) -> bool:
        """Return whether ``item`` begins as a picture of a format that is read."""
        form = format_of(item)
        return form is not None and form.medium == cls.name

    def encode(self, item: bytes) -> tuple[bytes, Image]:
        """Return the rows of a picture.

        Warns:
            LossWarning: the rows lack something of the picture, such as its transparency.

        Raises:
            UsageError: the file is of another kind, damaged, cut short or too large, or is not ``width`` pixels wide.
        """
        upright, losses = picture_files.read(item)
        channels = self.channels or (1 if upright.mode == "L" else 3)
        fitted = replace(self, channels=channels, width=upright.width)
        if self.width not in (0, upright.width):
            raise UsageError(f"the picture is {upright.width} pixels wide, not {self.width}; leave the width out")
        warn_of(losses, "picture")
        return upright.convert(_MODES[channels]).tobytes(), fitted

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
        picture_files.pillow().Image.fromarray(self.pixels(data)).save(file, kind, **options)
        return file.getvalue()

    def pixels(self, data: bytes) -> NDArray[np.uint8]:
        """Return the samples: (rows, width) if they are gray, (rows, width, 3) if they are RGB."""
        rows = completed(data or bytes([MIDDLE]), self.layout.stride)
        shape = (-1, self.width) if self.layout.channels == 1 else (-1, self.width, 3)
        return np.frombuffer(rows, dtype=np.uint8).reshape(shape)
