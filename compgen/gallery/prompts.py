"""The prompts of a gallery: the file, or made item, that a row names, cut as the row says."""

from __future__ import annotations

import dataclasses
import gzip
import io
import zlib
from pathlib import Path

import numpy as np

from compgen.errors import UsageError
from compgen.gallery.config import Explorer, GalleryRow
from compgen.gallery.material import MADE
from compgen.media import MEDIA, Medium, recognise
from compgen.media.audio import Audio
from compgen.media.image import Image
from compgen.media.items import Item
from compgen.registry import suggest


def source(row: GalleryRow | Explorer, data: Path | None) -> bytes:
    """Return the content of the file that a row names, or of the made item that it names.

    Raises:
        UsageError: the row names neither or both, the file does not exist, or there is no data root.
    """
    if bool(row.file) == bool(row.made):
        raise UsageError("a row or explorer needs either file or made, and not both")
    if row.made:
        if row.made not in MADE:
            raise UsageError(f"nothing called '{row.made}' is made{suggest(row.made, MADE)}")
        return MADE[row.made]()
    if data is None:
        raise UsageError(f"'{row.file}' is real data: give --data DIR or set COMPGEN_DATA (docs/data.md)")
    path = (data / row.file).resolve()
    if not path.is_relative_to(data.resolve()) or not path.is_file():
        raise UsageError(f"there is no '{row.file}' below '{data}'; docs/data.md says where to get it")
    return path.read_bytes()


def item(row: GalleryRow, data: Path | None) -> Item:
    """Return the prompt of a row, cut as the row says.

    Raises:
        UsageError: the file is missing or damaged, or the cut leaves nothing.
    """
    file = source(row, data)
    if row.sheet:
        file = _sheet(file, row)
    content, medium = _content(row, file)
    if row.crop and isinstance(medium, Image):
        if len(row.crop) != 4 or not all(isinstance(n, int) and n >= 0 for n in row.crop):
            raise UsageError("crop is [left, top, width, height], in pixels")
        left, top, width, height = row.crop
        pixels = medium.pixels(content)[top : top + height, left : left + width]
        if not pixels.size:
            raise UsageError(f"the crop of '{row.name}' lies outside the picture")
        content, medium = pixels.tobytes(), dataclasses.replace(medium, width=pixels.shape[1])
    scale = medium.rate * medium.layout.pixel if isinstance(medium, Audio) else 1
    if row.start or row.size:
        begin = int(row.start * scale) // medium.unit * medium.unit
        content = content[begin : begin + (int(row.size * scale) or len(content))]
    cut = Item.cut(content, medium, row.keep, row.by_row)
    if not cut.rest[0]:
        raise UsageError(f"'{row.name}' leaves nothing to make; give a keep below 1")
    if row.length and not row.by_row:
        return dataclasses.replace(cut, rest=(cut.rest[0][: max(row.length // medium.unit, 1) * medium.unit],))
    return cut


def _content(row: GalleryRow, file: bytes) -> tuple[bytes, Medium]:
    """Return the bytes of a row's file, and their medium.

    Raises:
        UsageError: the file is damaged, or of a format that is not read.
    """
    kind = MEDIA.build(row.medium) if row.medium else None
    try:
        return (kind or recognise(file)).encode(file)
    except UsageError as error:
        other = "" if row.medium else '; or give medium = "text"'
        raise UsageError(f"'{row.name}': {error}{other}") from None


def _sheet(file: bytes, row: GalleryRow) -> bytes:
    """Return the first ``row.sheet`` squared digits of a gzipped MNIST file as one PNG.

    Raises:
        UsageError: the file is damaged, or holds fewer digits.
    """
    side = row.sheet
    size = 16 + 28 * 28 * side * side
    try:
        with gzip.open(io.BytesIO(file)) as unpacked:
            data = unpacked.read(size)  # and no more, whatever the file would give
    except (OSError, EOFError, zlib.error):
        data = b""
    if len(data) < size:
        raise UsageError(f"'{row.name}': '{row.file}' is no gzipped MNIST file of {side * side} digits or more")
    digits = np.frombuffer(data, dtype=np.uint8, offset=16).reshape(-1, 28, 28)
    rows = digits.reshape(side, side, 28, 28).swapaxes(1, 2).reshape(28 * side, 28 * side)
    return Image(channels=1, width=28 * side).decode(rows.tobytes())
