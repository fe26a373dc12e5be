"""Pictures as bytes: rows of gray or RGB samples of 8 bits, and PNG files that are made of any bytes."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.extras import need
from compgen.media.base import Medium
from compgen.media.layout import MIDDLE, Layout, completed

_MOST = 1 << 26
"""Pixels of a picture at most. Chosen: about 200 MB as RGB."""

_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
"""The first bytes of PNG and JPEG files."""

_MODES = {1: "L", 3: "RGB"}
"""Pillow's modes for numbers of channels."""

_SIXTEEN = ("I;16", "I;16B", "I;16L", "I;16N", "I")
"""Pillow's modes of pictures with 16 bits."""


def _pillow() -> Any:
    need("PIL.ImageOps", "media", "a picture")
    return need("PIL", "media", "a picture")


@dataclass(frozen=True)
class Image(Medium):
    """Rows of ``width`` pixels with 1 channel (gray) or 3 (RGB). 0 takes width and channels from the file.

    Of samples with 16 bits, the high byte is kept. Transparent pixels are laid over white, palettes become colours, and
    a picture whose EXIF data says how the camera was held is turned upright.
    """

    channels: int = 0
    width: int = 0

    name: ClassVar[str] = "image"
    suffixes: ClassVar[tuple[str, ...]] = (".png",)
    reference: ClassVar[str] = "png"

    def __post_init__(self) -> None:
        if self.channels not in (0, *_MODES):
            raise UsageError(f"image:channels must be 1 or 3, not {self.channels}")
        if self.width < 0:
            raise UsageError(f"image:width must be a number of pixels, not {self.width}")

    @property
    def layout(self) -> Layout:
        """The layout: rows of pixels."""
        channels = self.channels or 1
        return Layout(self.width * channels, channels)

    @classmethod
    def recognises(cls, item: bytes) -> bool:
        """Return whether ``item`` begins as a PNG, JPEG or WebP file."""
        return item.startswith(_STARTS) or (item[:4] == b"RIFF" and item[8:12] == b"WEBP")

    def encode(self, item: bytes) -> tuple[bytes, Image]:
        """Return the rows of a PNG, JPEG or WebP file.

        Raises:
            UsageError: the file is damaged, too large or of another format, or is not ``width`` pixels wide.
        """
        pil = _pillow()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's warning of huge pictures; the size is checked below
                with pil.Image.open(io.BytesIO(item), formats=("PNG", "JPEG", "WEBP")) as picture:
                    width, height = picture.size
                    if width * height > _MOST:
                        raise UsageError(f"the picture has {width} x {height} pixels, more than {_MOST}; shrink it")
                    upright = _flat(pil, pil.ImageOps.exif_transpose(picture))
        except (OSError, SyntaxError, ValueError, pil.Image.DecompressionBombError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"the picture cannot be read: {error or 'it is damaged'}") from None
        channels = self.channels or (1 if upright.mode == "L" else 3)
        fitted = replace(self, channels=channels, width=upright.width)
        if self.width not in (0, upright.width):
            raise UsageError(f"the picture is {upright.width} pixels wide, not {self.width}; leave the width out")
        return upright.convert(_MODES[channels]).tobytes(), fitted

    def decode(self, data: bytes, suffix: str = "") -> bytes:
        """Return ``data`` as a PNG file. An incomplete last row is completed from the row above.

        No bytes become one row of gray.

        Raises:
            UsageError: ``suffix`` is not that of a PNG file, or the width is not known.
        """
        self.checked(suffix)
        if not self.width:
            raise UsageError("bytes make a picture only with a width; give one, such as image:width=64")
        file = io.BytesIO()
        _pillow().Image.fromarray(self.pixels(data)).save(file, "PNG", optimize=True)
        return file.getvalue()

    def pixels(self, data: bytes) -> NDArray[np.uint8]:
        """Return the samples: (rows, width) if they are gray, (rows, width, 3) if they are RGB."""
        rows = completed(data or bytes([MIDDLE]), self.layout.stride)
        shape = (-1, self.width) if self.layout.channels == 1 else (-1, self.width, 3)
        return np.frombuffer(rows, dtype=np.uint8).reshape(shape)


def _flat(pil: Any, picture: Any) -> Any:
    """Return a picture of 8 bits without palette and transparency, in the mode ``L`` (gray) or ``RGB``."""
    if picture.mode in _SIXTEEN:
        high = (np.asarray(picture).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8)
        return pil.Image.fromarray(high)
    gray = picture.mode in ("1", "L", "LA", "La")
    if picture.has_transparency_data:
        over = picture.convert("RGBA")
        white = pil.Image.new("RGBA", over.size, "white")
        picture = pil.Image.alpha_composite(white, over)
    return picture.convert("L" if gray else "RGB")
