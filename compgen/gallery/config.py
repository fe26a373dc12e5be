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

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from compgen.errors import UsageError
from compgen.registry import suggest

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
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
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    seed: int = 1
    note: str = ""
    explorer: Explorer | None = None


def read_config(path: Path) -> Config:
    """Return the gallery that a TOML file describes.

    Raises:
        UsageError: there is no such file, it is no TOML, or a key is unknown or of the wrong type.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"config '{path}' cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"config '{path}' is no TOML: {error}") from None
    for key in ("rows", "columns"):
        if not isinstance(table.get(key), list) or not table[key]:
            raise UsageError(f"config '{path}' needs [[{key}]]")
    table["rows"] = tuple(_build(Row, row, path) for row in table["rows"])
    table["columns"] = tuple(_build(Column, column, path) for column in table["columns"])
    if "explorer" in table:
        table["explorer"] = _build(Explorer, table["explorer"], path)
    table.setdefault("title", path.stem)
    return _build(Config, table, path)


def _build(cls: type[T], table: object, path: Path) -> T:
    if not isinstance(table, dict):
        raise UsageError(f"config '{path}': {cls.__name__.lower()} must be a table")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            raise UsageError(f"config '{path}': {cls.__name__.lower()} has no '{key}'{suggest(key, fields)}")
        default = fields[key].default
        value = tuple(value) if isinstance(value, list) else value
        if isinstance(default, float | int) and not isinstance(default, bool):
            fits = isinstance(
                value, int if isinstance(default, int) and key != "start" and key != "size" else int | float
            )
        else:
            fits = default is dataclasses.MISSING or default is None or isinstance(value, type(default))
        if not fits:
            raise UsageError(f"config '{path}': {key} must not be {value!r}")
        values[key] = value
    return cls(**values)
