"""A gallery as a static site: two pages, their scripts and style sheet, and media files; nothing else is loaded."""

from __future__ import annotations

import importlib.resources
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from compgen.atomic import replacing
from compgen.display import graphemes, readable, surprisal_colour
from compgen.gallery.build import Cell, cells, explore, item, pairs
from compgen.gallery.config import Config
from compgen.gallery.material import spectrogram, waveform_path
from compgen.locks import alone_in
from compgen.media.audio import Audio
from compgen.media.image import Image
from compgen.media.items import Item

_SHOWN = 600
"""Bytes of a text prompt that a page shows, its last ones. Chosen: enough to know the text, few enough
to leave the samples in sight."""
_WIDE = 256
"""Width that small pictures are enlarged to, screen pixels. Chosen: pixels of a small picture show, and
pictures still stand side by side."""
_RULE = re.compile(r"\brule=([a-z-]+)")
"""A rule in the spec of a model, where each is named."""
_STATIC = ("gallery.css", "gallery.js", "explorer.js")
"""Files of ``site/`` that are copied as they are."""


def total(config: Config, data: Path | None) -> int:
    """Return the number of bytes that building the gallery makes, for progress."""
    items = [item(row, data) for row in config.rows]
    return sum(sum(map(len, items[number].rest)) for number, _ in pairs(config, items))


def build(config: Config, out: Path, data: Path | None, jobs: int, watch: Callable[[int], None]) -> Path:
    """Write the site into ``out``, and return the path of its first page. Cells in ``out/cells`` are not made again.

    Raises:
        UsageError: a row or column of the config is wrong.
        CompgenError: a compressor failed, or another process builds a gallery in ``out``.
    """
    with alone_in(out):
        return _build(config, out, data, jobs, watch)


def _build(config: Config, out: Path, data: Path | None, jobs: int, watch: Callable[[int], None]) -> Path:
    items = [item(row, data) for row in config.rows]
    for folder in ("cells", "media"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    drawn = cells(config, items, out / "cells", jobs, watch)
    rows = []
    for number, (row, prompt) in enumerate(zip(config.rows, items, strict=True)):
        shown = [_original(prompt, out, number)]
        for place, column in enumerate(config.columns):
            if (number, place) in drawn:
                shown.append(_shown(prompt, drawn[number, place], column.name, out, f"{number}-{place}"))
                shown[-1]["rule"] = " ".join(sorted(set(_RULE.findall(shown[-1]["model"]))))
        rows.append({"row": row, "medium": prompt.medium, "cells": shown, "given": _given(prompt)})
    site = jinja2.Environment(
        loader=jinja2.PackageLoader("compgen.gallery", "site"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    explored = None if config.explorer is None else explore(config.explorer, data)
    _write(out / "index.html", site.get_template("index.html").render(config=config, rows=rows, explored=explored))
    if explored is not None:
        # The data is inside a script element, which a "<" in it could end.
        told = json.dumps(explored, separators=(",", ":")).replace("<", "\\u003c")
        _write(out / "explorer.html", site.get_template("explorer.html").render(config=config, told=told))
    for name in _STATIC:
        _write(out / name, importlib.resources.files("compgen.gallery").joinpath("site", name).read_text("utf-8"))
    return out / "index.html"


def _write(path: Path, content: str | bytes) -> None:
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _given(prompt: Item) -> str:
    if prompt.medium.name != "text":
        return f"{sum(map(len, prompt.given)):,} bytes given, {sum(map(len, prompt.rest)):,} to make"
    text = prompt.given[0]
    return ("…" if len(text) > _SHOWN else "") + readable(text[-_SHOWN:])


def _original(prompt: Item, out: Path, number: int) -> dict[str, Any]:
    from compgen.evaluation.metrics import metrics

    rest = b"".join(prompt.rest)
    context = b"" if len(prompt.given) > 1 else prompt.given[0]
    cell = Cell(rest, [], "original", 0.0, metrics(rest, context, prompt.part, rest))
    return {**_shown(prompt, cell, "original", out, f"{number}-original"), "rule": "original"}


def _shown(prompt: Item, cell: Cell, name: str, out: Path, stem: str) -> dict[str, Any]:
    """Write the media files of a cell, and return the values that the template shows it with."""
    medium = prompt.medium
    shown: dict[str, Any] = {"name": name, "model": cell.model, "seconds": cell.seconds, "measured": cell.measured}
    if isinstance(medium, Image):
        _write(out / f"media/{stem}.png", prompt.file(cell.made, ".png"))
        width = medium.width
        height = -(-(len(cell.made) + sum(map(len, prompt.given))) // medium.layout.stride)
        # Enlarge by a whole number, so that all pixels of the picture have the same size.
        shown.update(image=f"media/{stem}.png", width=width, height=height, scale=max(_WIDE // width, 1))
    elif isinstance(medium, Audio):
        _write(out / f"media/{stem}.wav", prompt.file(cell.made, ".wav"))
        sound = np.concatenate([medium.waveform(prompt.given[0]), medium.waveform(cell.made)])
        _write(out / f"media/{stem}.png", spectrogram(sound, medium.rate))
        share = len(prompt.given[0]) / (len(prompt.given[0]) + len(cell.made))
        shown.update(
            audio=f"media/{stem}.wav", spectrogram=f"media/{stem}.png", path=waveform_path(sound), share=100 * share
        )
    elif cell.surprisals:
        coloured = graphemes(cell.made, np.array(cell.surprisals))
        shown["text"] = [(text, surprisal_colour(bits), f"{bits:.2f}") for text, bits in coloured]
    else:
        shown["text"] = [(readable(cell.made), "", "")]
    return shown
