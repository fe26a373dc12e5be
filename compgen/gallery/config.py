"""What a gallery shows, read from a TOML file: rows are prompts, columns are ways to continue them.

::

    title = "..."                       shown above
    seed = 1                            of every sample
    [[rows]]
    name = "..."                        a file below the data root, or what the project makes itself
    file = "text/alice29.txt"           or: made = "prose" (compgen.gallery.material)
    medium = "image:channels=1"         default: as the content tells
    start = 0, size = 4000              the bytes of a text that are taken; of sound, in seconds
    crop = [left, top, width, height]   the pixels of a picture that are taken
    sheet = 8                           of an MNIST file: so many digits across and down
    keep = 0.5, by_row = false          what is given, as in `cgn sample`
    length = 300                        bytes to make, at most what keep leaves
    [[columns]]
    name = "...", compressor = "gzip", rule = "calibrated", temperature = 0.9, top_p = 0.95, min_p = 0.03
    media = ["text", "image", "audio"]  rows that it continues; default: all
    [explorer]
    made = "prose"                      or file, start, size
    context = 2000, length = 200        bytes known before, and bytes explored
    compressors = ["gzip", "xz"]
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compgen.config import build, read
from compgen.errors import UsageError


@dataclass(frozen=True)
class GalleryRow:
    """A prompt."""

    name: str = ""
    file: str = ""
    made: str = ""
    medium: str = ""
    start: float = 0
    size: float = 0
    crop: tuple[int, ...] = ()
    sheet: int = 0
    keep: float = 0.5
    by_row: bool = False
    length: int = 0
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A way to continue."""

    name: str = ""
    compressor: str = "gzip"
    rule: str = ""
    temperature: float = 1.0
    top_p: float = 1.0
    min_p: float = 0.0
    media: tuple[str, ...] = ("text", "image", "audio")


@dataclass(frozen=True)
class Explorer:
    """A text whose next bytes are explored."""

    file: str = ""
    made: str = ""
    start: float = 0
    size: float = 0
    context: int = 2000
    length: int = 200
    compressors: tuple[str, ...] = ("gzip",)


@dataclass(frozen=True)
class Config:
    """A gallery."""

    title: str
    rows: tuple[GalleryRow, ...]
    columns: tuple[Column, ...]
    seed: int = 1
    note: str = ""
    explorer: Explorer | None = None


def read_config(path: Path) -> Config:
    """Return the gallery that a TOML file describes.

    Raises:
        UsageError: there is no such file, it is no TOML, or a key is unknown or of the wrong type.
    """
    table, _ = read(str(path))
    for key in ("rows", "columns"):
        if not table.get(key):
            raise UsageError(f"config '{path}' needs [[{key}]]")
    table.setdefault("title", path.stem)
    return build(Config, table, f"config '{path}'")
