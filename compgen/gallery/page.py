"""A gallery as a static site: pages, their scripts and style sheets, and media files; nothing else is loaded."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compgen.atomic import replacing
from compgen.gallery.card import card
from compgen.gallery.cells import Cell, draw_all, find, pairs
from compgen.gallery.compare import compared, explore
from compgen.gallery.config import Config
from compgen.gallery.portraits import leaders, words
from compgen.gallery.prompts import item
from compgen.gallery.shown import Shown, slug
from compgen.locks import alone_in
from compgen.media.items import Item
from compgen.pages import STATIC as SHARED
from compgen.pages import environment, static

_STATIC = ("gallery.css", "gallery.js", "closer.js", "player.js", "explorer.js", "compare.js")
"""Files of ``site/`` that are copied as they are."""
_EVERY = 2.0
"""Seconds between two writings of the pages while cells are drawn, at least. Chosen: a reader sees them come."""
_FIRST = 6
"""Continuations on the first screen, at most. Chosen: with one prompt they fill a screen, and do not leave it."""
LEAD = (
    "A compressor gives short codes to what it expects. So feed its decoder coin flips instead of a file, and it "
    "writes what it expects. Here {count} of them {go} on from the same {what}, at the same time."
)
"""The sentence of the first screen: what one sees, for somebody who has never heard of it."""
_IDS = ("main", "theme", "prompt", "voices", "again", "building", "reload", "portraits", "portraits-title", "wall",
        "wall-title", "controls", "medium", "rule", "find", "sort", "count", "keys", "closer", "letters",
        "compared")  # fmt: skip
"""What pages call their own parts, so that no row may."""
_NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
_FIGURES = ("real_bpb", "own_bpb", "bits_per_byte", "reference_bpb", "copy_rate", "distinct_4", "spectrum_distance_db",
            "gradient_distance", "histogram_distance", "louder")  # fmt: skip
"""The measures of numbers.csv."""


def total(config: Config, data: Path | None) -> int:
    """Return the number of bytes that building the gallery makes, for progress."""
    items = [item(row, data) for row in config.rows]
    return sum(sum(map(len, items[number].rest)) for number, _ in pairs(config, items))


def build(
    config: Config,
    out: Path,
    data: Path | None,
    jobs: int,
    watch: Callable[[int], None],
    ready: Callable[[Path], None] = lambda page: None,
) -> Path:
    """Write the site into ``out``, and return the path of its first page. Cells in ``out/cells`` are not made again.

    The pages are there before the cells are drawn, and are written again as cells are finished.

    Args:
        config: the gallery.
        out: the folder.
        data: the folder of real data.
        jobs: number of processes.
        watch: called with the number of bytes made so far.
        ready: called with the path of the first page as soon as it is there.

    Raises:
        UsageError: a row or column of the config is wrong.
        CompgenError: a compressor failed, or another process builds a gallery in ``out``.
    """
    with alone_in(out):
        items = [item(row, data) for row in config.rows]
        for folder in ("cells", "media"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        found, wanted = find(config, items, out / "cells")
        site = _Site(config, items, out)
        for where, cell in found.items():
            site.add(where, cell)
        explored = None if config.explorer is None or wanted else explore(config.explorer, data)
        site.write(explored)
        ready(out / "index.html")
        last = time.monotonic()
        try:
            for where, cell in draw_all(config, items, found, wanted, jobs, watch):
                site.add(where, cell)
                if time.monotonic() - last > _EVERY:
                    site.write(None)
                    last = time.monotonic()
            if wanted:
                site.write(explored or (explore(config.explorer, data) if config.explorer else None))
        except BaseException:  # an interrupt, too
            site.tell_progress(stopped=True)
            raise
        return out / "index.html"


class _Site:
    """The pages of a gallery, as far as its cells are finished."""

    def __init__(self, config: Config, items: list[Item], out: Path) -> None:
        self._config, self._items, self._out = config, items, out
        self._templates = environment("compgen.gallery")
        taken: set[str] = {"original"}
        self._columns: list[dict[str, Any]] = [
            {"name": column.name or column.compressor, "slug": slug(column.name or column.compressor, taken),
             "words": words(column), "spec": column.compressor}
            for column in config.columns
        ]  # fmt: skip
        taken = set(_IDS)
        self._slugs = [slug(row.name, taken) for row in config.rows]
        self._shown = [Shown(prompt, config.rows[n].name, n, self._file) for n, prompt in enumerate(items)]
        self._originals = [shown.original() for shown in self._shown]
        self._wanted = list(pairs(config, items))
        self._cells: dict[tuple[int, int], Cell] = {}
        self._values: dict[tuple[int, int], dict[str, Any]] = {}
        self._distances: dict[tuple[int, int], dict[str, Any]] = {}
        for package, names in ((None, SHARED), ("compgen.gallery", _STATIC)):
            for name in names:
                self._file(name, static(name, package) if package else static(name))

    def _file(self, name: str, content: str | bytes) -> None:
        with replacing(self._out / name) as file:
            file.write(content.encode() if isinstance(content, str) else content)

    def add(self, where: tuple[int, int], cell: Cell) -> None:
        """Take in a finished cell, and write its media files."""
        number, place = where
        column = self._columns[place]
        self._cells[where] = cell
        self._values[where] = {
            **self._shown[number].cell(cell, column["name"], column["slug"]),
            "column": place,
        }

    def _rows(self) -> list[dict[str, Any]]:
        rows = []
        for number, shown in enumerate(self._shown):
            places = [place for one, place in self._wanted if one == number]
            waiting = {"ready": False, "rule": ""}
            cells = [
                self._values.get((number, place), {**self._columns[place], **waiting, "column": place})
                for place in places
            ]
            rows.append({
                "row": self._config.rows[number], "slug": self._slugs[number], "kind": shown.prompt.medium.name,
                "about": shown.about, "wide": shown.wide, "across": _across(len(cells) + 1),
                "cells": [self._originals[number], *cells],
                "given": shown.given if shown.prompt.medium.name == "text" else "", "columns": self._columns,
            })  # fmt: skip
        return rows

    def _first(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the row of the first screen, with the cells that it shows: laws and models before rules that weigh."""
        texts = [row for row in rows if row["kind"] == "text"] or rows
        named = [row for row in rows if row["row"].name == self._config.first]
        row = (named or texts)[0]
        cells = [cell for cell in row["cells"] if cell["column"] >= 0]
        own = [cell for cell in cells if self._config.columns[cell["column"]].rule in ("", "decoder")]
        return {**row, "cells": (own if len(own) > 1 else cells)[:_FIRST]}

    def _portraits(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return a portrait for each column: one cell of each medium, its words, and its rates by medium."""
        kinds = [row["kind"] for row in rows]
        table = [(place, kinds[number], value["measured"]) for (number, place), value in sorted(self._values.items())]
        leading = leaders(table)
        found = []
        for place, column in enumerate(self._columns):
            mine = [(number, value) for (number, at), value in sorted(self._values.items()) if at == place]
            rates = []
            for kind in ("text", "image", "audio"):
                some = [value["measured"] for number, value in mine if kinds[number] == kind]
                if some:
                    rates.append({"kind": kind, **{key: _mean(some, key) for key in ("own_bpb", "real_bpb")}})
            faces = [{**value, "row": rows[number]} for number, value in mine]
            best = {face["kind"]: face for face in reversed(faces)}
            pictures = [face for face in faces if face["kind"] == "image" and not face["row"]["wide"]]
            pictures = pictures[: 1 if "text" in best else 2]
            found.append(
                {**column, "leads": leading.get(place, ""), "rates": rates, "cells": best, "pictures": pictures}
            )
        return found

    def _compared(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = []
        for number, row in enumerate(rows):
            drawn = {place: cell for (one, place), cell in self._cells.items() if one == number}
            if len(drawn) > 1:
                if (number, len(drawn)) not in self._distances:  # cells only come, so their number tells them
                    self._distances[number, len(drawn)] = compared(self._items[number], drawn)
                told = {"slug": row["slug"], "name": row["row"].name, "kind": row["kind"]}
                found.append({**told, **self._distances[number, len(drawn)]})
        return found

    def write(self, explored: dict[str, Any] | None) -> None:
        """Write all pages with what is finished."""
        rows = self._rows()
        first = self._first(rows)
        compared = self._compared(rows)
        lead = self._config.lead or LEAD.format(
            count=_NUMBERS.get(len(first["cells"]), "some"),
            go="goes" if len(first["cells"]) == 1 else "go",
            what="words" if first["kind"] == "text" else "beginning",
        )
        told = {
            "config": self._config, "rows": rows, "first": first, "lead": lead, "portraits": self._portraits(rows),
            "compared": compared, "columns": self._columns, "explored": explored is not None, "letters": _letters(rows),
            "done": len(self._cells), "total": len(self._wanted), "kinds": list(dict.fromkeys(r["kind"] for r in rows)),
        }  # fmt: skip
        if compared:
            self._file("distances.html", self._templates.get_template("distances.html").render(told))
        if explored is not None:
            self._file("explorer.html", self._templates.get_template("explorer.html").render(told, data=explored))
        self._file("numbers.csv", self._numbers(rows))
        self._file("card.png", card(self._config.title, lead, first, _pictures(rows), self._out))
        self.tell_progress()
        self._file("index.html", self._templates.get_template("index.html").render(told))

    def tell_progress(self, stopped: bool = False) -> None:
        """Write how far the gallery is, and whether nobody builds it any more, for pages that are open."""
        self._file("progress.js", f"progress({len(self._cells)}, {len(self._wanted)}{', true' if stopped else ''});\n")

    def _numbers(self, rows: list[dict[str, Any]]) -> str:
        file = io.StringIO()
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["row", "column", "model", "seed", "seconds", *_FIGURES])
        for row in rows:
            for cell in row["cells"]:
                if cell["ready"]:
                    figures = [cell["measured"].get(name) for name in _FIGURES]
                    rounded = [round(one, 5) if isinstance(one, float) else one for one in figures]
                    start = [row["row"].name, cell["name"], cell["model"], self._config.seed]
                    table.writerow([*start, round(cell["seconds"], 2), *rounded])
        return file.getvalue()


def _across(count: int) -> int:
    """Return how many of ``count`` cards stand side by side on a wide screen, so that few places stay empty."""
    return min((4, 3), key=lambda across: -count % across)


def _mean(tables: list[dict[str, Any]], key: str) -> float | None:
    values = [table[key] for table in tables if isinstance(table.get(key), int | float)]
    return sum(values) / len(values) if values else None


def _letters(rows: list[dict[str, Any]]) -> dict[str, list[list[Any]]]:
    """Return the letters of each text with their bits, by the address of the cell, for the closer look."""
    return {
        f"{row['slug']}/{cell['slug']}": [[letter, round(bits, 2)] for letter, bits in cell["letters"]]
        for row in rows
        for cell in row["cells"]
        if cell["ready"] and row["kind"] == "text"
    }


def _pictures(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the cells of the first row with pictures that are finished, the original first."""
    for row in rows:
        if row["kind"] == "image" and not row["wide"]:
            return [cell for cell in row["cells"] if cell["ready"]]
    return []
