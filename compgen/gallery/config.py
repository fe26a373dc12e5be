"""The config of a gallery, a TOML file. Rows are prompts, columns are ways to continue them.

::

    title = "..."                       title of the pages
    lead = "..."                        the sentence below it, which says what one sees; there is one by default
    first = "..."                       the row that the first screen shows; default: the first one of text
    seed = 1                            seed of every sample
    note = "..."                        shown at the end of the page; of a row: below its name
    url = "https://..."                 where the site will be, for the picture in links to it
    [[rows]]
    name = "..."                        heading of the row
    file = "text/alice29.txt"           a file below the data root, or made = "prose" (compgen.gallery.material)
    medium = "image:channels=1"         default: recognised from the content
    start = 0, size = 4000              the part of a text that is taken, bytes; of sound, seconds
    crop = [left, top, width, height]   the part of a picture that is taken, pixels
    sheet = 8                           of an MNIST file: digits across and down
    keep = 0.5, by_row = false          the part that is given, as in `cgn sample`
    length = 300                        bytes to make, at most those that keep leaves; default: all of those
    [[columns]]
    name = "...", compressor = "gzip", rule = "calibrated", temperature = 0.9, top_p = 0.95, min_p = 0.03
    media = ["text", "image", "audio"]  media of the rows that the column continues; default: all
    about = "...", quirk = "..."        what it is, and what to look for; default: those of compgen.gallery.portraits
    [explorer]
    made = "prose"                      or file; start and size as above
    context = 2000, length = 200        bytes known before, and bytes explored after them
    compressors = ["gzip", "xz"]
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compgen.config import build, read
from compgen.errors import UsageError


@dataclass(frozen=True)
class GalleryRow:
    """A prompt; the module's docstring explains the fields."""

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
    """A way to continue prompts: a compressor or model, and how it is sampled."""

    name: str = ""
    compressor: str = "gzip"
    rule: str = ""
    temperature: float = 1.0
    top_p: float = 1.0
    min_p: float = 0.0
    media: tuple[str, ...] = ("text", "image", "audio")
    about: str = ""
    quirk: str = ""


@dataclass(frozen=True)
class Explorer:
    """A text whose next-byte distributions are explored."""

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
    lead: str = ""
    first: str = ""
    url: str = ""
    explorer: Explorer | None = None


def read_config(path: Path) -> Config:
    """Return the gallery that a TOML file describes.

    Raises:
        UsageError: the file does not exist or is not TOML, or a key is unknown or its value of the wrong type.
    """
    table, _ = read(str(path))
    if "study" in table:
        raise UsageError(f"config '{path}' describes a study; run it with: cgn evaluate {path} -o DIR")
    for key in ("rows", "columns"):
        if not table.get(key):
            raise UsageError(f"config '{path}' needs [[{key}]]")
    table.setdefault("title", path.stem)
    config = build(Config, table, f"config '{path}'")
    if config.first and config.first not in [row.name for row in config.rows]:
        raise UsageError(f"config '{path}': first = '{config.first}' is the name of no row")
    return config
