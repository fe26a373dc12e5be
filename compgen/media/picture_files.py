"""Files of pictures as gray or RGB, with or without alpha: what Pillow reads, checked to be whole."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.errors import UsageError
from compgen.extras import need
from compgen.media import formats, whole
from compgen.media.formats import Format
from compgen.media.quiet import quiet

_MOST = 1 << 26
"""The most pixels of a picture. Chosen: about 200 MB as RGB."""

DECODERS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
"""Pillow's names of the formats that are read: the names in ``formats``, in capitals. It may decode no others: its EPS
decoder, for one, starts a program."""

_SIXTEEN = ("I;16", "I;16B", "I;16L", "I;16N", "I")
"""Pillow's modes of gray pictures with 16 bits."""

_GRAY = ("1", "L", "LA", "La")
"""Pillow's modes of gray pictures with 8 bits or one."""

_INDEXED = ("P", "PA")
"""Pillow's modes of pictures with a palette."""

_SAME_COLOURS = (*_GRAY, *_SIXTEEN, "P", "PA", "RGB", "RGBA", "RGBX", "RGBa")
"""Pillow's modes whose colours are the same in RGB. Others, such as CMYK, are converted."""

_BITS_PER_SAMPLE, _SUBFILE, _DNG_VERSION = 258, 254, 50706
"""Tags of TIFF files (TIFF 6.0; the third, DNG 1.7)."""


def read(item: bytes) -> tuple[Any, list[str]]:
    """Return a picture as a Pillow image, and what is other in it than in the file.

    Its mode is ``L`` (gray), ``LA`` (with alpha), ``RGB``, ``RGBA``, or ``I;16`` (gray of 16 bits).

    Raises:
        UsageError: the file is of another kind, damaged, cut short or too large.
    """
    pil = pillow()
    form = formats.expect(item, "image", "picture")
    whole.check(item, form)
    try:
        with warnings.catch_warnings(), quiet(form.name == "TIFF"):
            warnings.simplefilter("ignore")  # Pillow's own: of huge pictures, whose size is checked, and of odd tags
            with pil.Image.open(io.BytesIO(item), formats=(form.name.upper(),)) as picture:
                return _read(pil, picture, item, form)
    except UsageError:
        raise
    except pil.Image.DecompressionBombError:
        raise UsageError(f"the picture has more than {_MOST} pixels; shrink it") from None
    except Exception as error:  # Pillow's own errors, and whatever a hostile header makes it raise
        raise UsageError(f"the picture cannot be read: {_cause(pil, form, error)}") from None


def pillow() -> Any:
    """Return the package Pillow."""
    need("PIL.ImageOps", "media", "a picture")
    return need("PIL", "media", "a picture")


def _cause(pil: Any, form: Format, error: Exception) -> str:
    """Return why Pillow cannot read a picture, and what to do. Its own words name objects and error numbers."""
    if form.name.upper() not in pil.Image.OPEN:
        return f"this Pillow reads no {form.name}; convert it to PNG"
    if isinstance(error, MemoryError):
        return f"it asks for too much memory; {whole.advice(form)}"
    if isinstance(error, OSError) and "truncated" in str(error):
        return f"the {form.name} file is cut short; {whole.advice(form)}"
    return f"the {form.name} file is damaged, or of a kind that Pillow does not read; {whole.advice(form)}"


def _read(pil: Any, picture: Any, item: bytes, form: Format) -> tuple[Any, list[str]]:
    """Return an open picture as ``read`` does."""
    width, height = picture.size
    if width * height > _MOST:
        raise UsageError(f"the picture has {width} x {height} pixels, more than {_MOST}; shrink it")
    tags = dict(picture.tag_v2) if form.name == "TIFF" else {}
    if _DNG_VERSION in tags or tags.get(_SUBFILE, 0) == 1:
        raise UsageError("a camera raw file is not read, and the picture in it is a preview; develop it to PNG first")
    if picture.mode == "F":
        raise UsageError("the picture has samples in floating point, of no known range; convert it to 8 bits first")
    depth = _depth(picture, item, form, tags)
    losses = _changes(picture, depth)
    if form.name == "PNG":
        _mend_rule(picture, depth)
    picture.load()
    upright = pil.ImageOps.exif_transpose(picture)
    if upright.size != picture.size or upright.tobytes() != picture.tobytes():
        losses.append("it is turned upright, as its EXIF data says")
    if upright.mode in _SIXTEEN:
        return _sixteen(pil, upright, losses), losses
    mode = "L" if upright.mode in _GRAY else "RGB"
    return upright.convert(mode + "A" * bool(upright.has_transparency_data)), losses


def _changes(picture: Any, depth: int) -> list[str]:
    """Return what is other in the samples that are read of an open picture than in its file."""
    losses = []
    if getattr(picture, "is_animated", False):
        losses.append("only its first frame")
    if depth != 8 and picture.mode not in _SIXTEEN and picture.mode not in _INDEXED:
        losses.append(f"its samples of {depth} bits become samples of 8")
    if picture.mode in _INDEXED:
        losses.append("its palette becomes RGB")
    if picture.mode not in _SAME_COLOURS:
        losses.append(f"its {picture.mode} colours become RGB")
    profile = picture.info.get("icc_profile") or b""
    if profile and b"sRGB" not in profile.replace(b"\0", b""):
        losses.append("its colour profile is left out")
    return losses


def _depth(picture: Any, item: bytes, form: Format, tags: dict[int, Any]) -> int:
    """Return the bits of a sample in the file; Pillow reads most samples of 16 bits as 8."""
    if form.name == "PNG":
        return item[24]
    if form.name == "TIFF":
        bits = tags.get(_BITS_PER_SAMPLE, 1)
        return int(max(bits) if isinstance(bits, tuple) else bits)
    if form.name == "AVIF":  # byte 2 of the box av1C (AV1-ISOBMFF, section 2.3): bit 6, more than 8; bit 5, 12
        place = item.find(b"av1C") + 4
        flags = item[place + 2] if 4 <= place < len(item) - 2 else 0
        return 8 + (flags >> 6 & 1) * (2 + 2 * (flags >> 5 & 1))
    return 16 if picture.mode in _SIXTEEN else 8


def _mend_rule(picture: Any, depth: int) -> None:
    """Scale the samples that a PNG file calls transparent (tRNS) to 8 bits, as Pillow scales the picture's.

    Bits that a sample does not have are ignored (PNG, third edition, section 11.3.1.1).

    Raises:
        UsageError: Pillow shows too few bits to tell which pixels are transparent.
    """
    rule = picture.info.get("transparency")
    if isinstance(rule, int) and picture.mode == "L":
        most = (1 << depth) - 1
        picture.info["transparency"] = (rule & most) * 255 // most
    elif isinstance(rule, tuple) and depth == 16:
        high = [one >> 8 for one in rule]
        if (np.asarray(picture) == high).all(axis=-1).any():
            raise UsageError(
                "the picture calls one colour of 16-bit samples transparent, and others may look alike in 8 bits; "
                "lay it over a background first, as by 'magick IN -background white -flatten OUT.png'"
            )
        del picture.info["transparency"]
    elif isinstance(rule, tuple):
        picture.info["transparency"] = tuple(one & 255 for one in rule)


def _sixteen(pil: Any, picture: Any, losses: list[str]) -> Any:
    """Return a gray picture of 16 bits in mode ``I;16``. Pixels that a rule calls transparent become white.

    Raises:
        UsageError: a sample has more than 16 bits.
    """
    samples = _unsigned(picture)
    rule = picture.info.get("transparency")
    if isinstance(rule, int) and (clear := samples == rule).any():
        samples = np.where(clear, np.uint16(0xFFFF), samples)
        losses.append("its transparent pixels become white")
    return pil.Image.fromarray(samples)


def _unsigned(picture: Any) -> NDArray[np.uint16]:
    """Return the samples of a gray Pillow image of 16 bits.

    Raises:
        UsageError: a sample has more than 16 bits.
    """
    samples = np.asarray(picture)
    if samples.min() < 0 or samples.max() > 0xFFFF:
        raise UsageError("the picture has samples of more than 16 bits; convert it to 8 bits first")
    return samples.astype(np.uint16)


def over_white(picture: Any) -> tuple[Any, bool]:
    """Return a Pillow image without its alpha channel, laid over white, and whether a pixel was transparent at all."""
    if picture.mode not in ("LA", "RGBA"):
        return picture, False
    over = picture.convert("RGBA")
    white = pillow().Image.new("RGBA", over.size, "white")
    flat = pillow().Image.alpha_composite(white, over).convert("L" if picture.mode == "LA" else "RGB")
    return flat, over.getextrema()[3][0] < 255


def high_bytes(picture: Any) -> Any:
    """Return a gray Pillow image of 16 bits as one of 8, and any other as it is.

    Raises:
        UsageError: a sample has more than 16 bits.
    """
    if picture.mode not in _SIXTEEN:
        return picture
    return pillow().Image.fromarray((_unsigned(picture) >> 8).astype(np.uint8))
