"""From a config to the cells of a gallery: cut the prompts, draw the samples in parallel, keep each on disk."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import io
import itertools
import json
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compgen.atomic import replacing
from compgen.coding.ordered_pool import OrderedPool
from compgen.errors import UsageError
from compgen.evaluation.metrics import metrics
from compgen.gallery.config import Column, Config, Explorer, GalleryRow
from compgen.gallery.material import MADE
from compgen.media import MEDIA, Medium, recognise
from compgen.media.audio import Audio
from compgen.media.image import Image
from compgen.media.items import Item
from compgen.models import load
from compgen.registry import suggest
from compgen.sampling import sample

_VERSION = 1
"""Version of the files that keep cells; it is part of their names. A change to what a cell holds raises it."""
_MOST_LIKELY = 12
"""Bytes of a distribution that the explorer shows, the most probable ones. Chosen: they hold most of the mass,
and their bars fit the page."""


@dataclass(frozen=True)
class Cell:
    """The sample of one row (prompt) by one column (model).

    Attributes:
        made: the bytes of the sample.
        surprisals: the surprisal of each byte, bits.
        model: spec of the model, with the layout of the medium.
        seconds: time that the drawing took.
        measured: ``metrics`` of the sample.
    """

    made: bytes
    surprisals: list[float]
    model: str
    seconds: float
    measured: dict[str, Any]


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


def draw(prompt: Item, column: Column, seed: int) -> Cell:
    """Return the sample of one cell."""
    begin = time.perf_counter()
    drawn = sample(
        column.compressor,
        list(prompt.given) if len(prompt.given) > 1 else prompt.given[0],
        length=len(prompt.rest[0]),
        rule=column.rule or None,
        temperature=column.temperature,
        top_p=column.top_p,
        min_p=column.min_p,
        allow="bytes",
        frozen=prompt.medium.name != "text",
        seed=seed,
        layout=prompt.layout,
    ).joined()
    seconds = time.perf_counter() - begin
    context = b"" if len(prompt.given) > 1 else prompt.given[0]
    measured = metrics(drawn[0].data, context, prompt.part, b"".join(prompt.rest))
    measured["bits_per_byte"] = drawn[0].bits_per_byte
    surprisals = [round(bits, 2) for bits in drawn[0].surprisals.tolist()]
    return Cell(drawn[0].data, surprisals, str(drawn.model), seconds, measured)


def _key(prompt: Item, column: Column, seed: int) -> str:
    told = dataclasses.asdict(column)
    told = {key: told[key] for key in ("compressor", "rule", "temperature", "top_p", "min_p")}
    versions = load(column.compressor).versions
    digest = hashlib.sha256(json.dumps([_VERSION, told, seed, str(prompt.medium), versions]).encode())
    for piece in (*prompt.given, *prompt.rest):
        digest.update(hashlib.sha256(piece).digest())
    return digest.hexdigest()[:32]


def _kept(path: Path) -> Cell | None:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return Cell(**{**table, "made": base64.b64decode(table["made"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None  # the cell was not made yet, or its file is not whole


def cells(
    config: Config, items: list[Item], kept: Path, jobs: int, watch: Callable[[int], None]
) -> dict[tuple[int, int], Cell]:
    """Return the cells by (row, column), for every row and column that suit each other.

    Args:
        config: the gallery.
        items: the prompt of each row.
        kept: the folder of the files that keep cells. A cell that is kept there is not drawn again.
        jobs: number of processes.
        watch: called with the number of bytes made so far, kept cells included.
    """
    found: dict[tuple[int, int], Cell] = {}
    wanted: dict[tuple[int, int], Path] = {}
    made = 0
    for number, place in pairs(config, items):
        path = kept / f"{_key(items[number], config.columns[place], config.seed)}.json"
        cell = _kept(path)
        if cell is None:
            wanted[number, place] = path
        else:
            found[number, place] = cell
            made += len(cell.made)
            watch(made)
    with OrderedPool(jobs) as workers:
        results = (
            workers.run((number, place), draw, items[number], config.columns[place], config.seed)
            for number, place in wanted
        )
        for where, cell in itertools.chain(itertools.chain.from_iterable(results), workers.rest()):
            table = {**dataclasses.asdict(cell), "made": base64.b64encode(cell.made).decode()}
            with replacing(wanted[where]) as file:
                file.write(json.dumps(table).encode())
            found[where] = cell
            made += len(cell.made)
            watch(made)
    return found


def pairs(config: Config, items: list[Item]) -> Iterator[tuple[int, int]]:
    """Yield (row, column) for each row whose medium the column continues."""
    for number, prompt in enumerate(items):
        for place, column in enumerate(config.columns):
            if prompt.medium.name in column.media:
                yield number, place


def explore(explorer: Explorer, data: Path | None) -> dict[str, Any]:
    """Return the data of the explorer page.

    For each compressor and byte: the most probable bytes, and the rank and surprisal (bits) of the real byte.
    """
    text = source(explorer, data)
    start = int(explorer.start)
    text = text[start : start + (int(explorer.size) or len(text))]
    context, segment = text[: explorer.context], text[explorer.context : explorer.context + explorer.length]
    if not segment:
        raise UsageError("the explorer has no bytes to explore; give a smaller context")
    told = []
    for spec in explorer.compressors:
        state = load(spec).start([context])
        steps = []
        for symbol in segment:
            bits = -state.log2_probs()[0]
            order = np.argsort(bits, kind="stable")
            rank = int(np.flatnonzero(order == symbol)[0]) + 1
            likely = [[int(b), round(float(2 ** -bits[b]), 5)] for b in order[:_MOST_LIKELY]]
            steps.append({"bits": round(float(bits[symbol]), 3), "rank": rank, "likely": likely})
            state.extend(np.array([symbol], dtype=np.uint8))
        told.append({"name": spec, "steps": steps})
    return {"context": list(context[-200:]), "bytes": list(segment), "compressors": told}
