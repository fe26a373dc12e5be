"""The cells of a gallery: samples drawn in parallel, and what each model expects of what really came; kept on disk."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from compgen.atomic import replacing
from compgen.coding.ordered_pool import OrderedPool
from compgen.evaluation.metrics import metrics
from compgen.evaluation.score import own_rate
from compgen.gallery.config import Column, Config
from compgen.media.items import Item
from compgen.models import load
from compgen.models.base import ByteModel
from compgen.models.derived.model import CodeLengthModel
from compgen.sampling import sample

_VERSION = 2
"""Version of the files that keep cells; it is part of their names. A change to what a cell holds raises it."""
_FOLLOWED = 200
"""Bytes of the real continuation that a model follows. Chosen: enough for a rate, and a small part of the time."""
_FINENESS = 1024
"""Steps of a bit in which the distributions of a cell are kept. Chosen: probabilities to 0.1%, and the least of all
models, 2**-24, fits 16 bits."""
_PAUSE = 0.25
"""Seconds between two looks at how far cells are. Chosen: a bar that moves, and no load."""


@dataclass(frozen=True)
class Cell:
    """The sample of one row (prompt) by one column (model), and what the model expects of the real continuation.

    Attributes:
        made: the bytes of the sample.
        surprisals: the surprisal of each byte, bits.
        model: spec of the model, with the layout of the medium.
        seconds: time that the drawing took.
        measured: ``metrics`` of the sample; besides ``bits_per_byte``, the rate of the sample, ``real_bpb``, that of
            the real continuation, and ``own_bpb``, what the compressor itself spends on it.
        expected: (n, 256) distributions before each of the first bytes of the real continuation, packed.
    """

    made: bytes
    surprisals: list[float]
    model: str
    seconds: float
    measured: dict[str, Any]
    expected: str

    @property
    def distributions(self) -> NDArray[np.float64]:
        """(n, 256) probabilities before each of the first real bytes; of rows, of the middle one."""
        steps = np.frombuffer(zlib.decompress(base64.b64decode(self.expected)), dtype="<u2").reshape(-1, 256)
        shares: NDArray[np.float64] = 2.0 ** (-steps / _FINENESS)
        shares /= shares.sum(axis=1, keepdims=True)
        return shares


def real(prompt: Item) -> tuple[bytes, bytes]:
    """Return the context and the real bytes after it that models follow. Of rows that is the middle one."""
    piece = len(prompt.given) // 2
    return prompt.given[piece], prompt.rest[piece][:_FOLLOWED]


def draw(prompt: Item, column: Column, seed: int, kept: Path) -> Cell:
    """Draw the sample of one cell, and keep the cell in the file ``kept``. A file beside it tells how far it is."""
    begin = time.perf_counter()
    told = 0.0
    part = kept.with_suffix(".part")

    def watch(made: int, final: bytes) -> None:
        nonlocal told
        if time.perf_counter() - told > _PAUSE:
            told = time.perf_counter()
            part.write_text(str(made * len(prompt.given)))

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
        watch=watch,
    ).joined()
    seconds = time.perf_counter() - begin
    context = b"" if len(prompt.given) > 1 else prompt.given[0]
    measured = metrics(drawn[0].data, context, prompt.part, b"".join(prompt.rest))
    measured["bits_per_byte"] = drawn[0].bits_per_byte
    expected, rates = _follow(drawn.model, *real(prompt))
    surprisals = [round(bits, 2) for bits in drawn[0].surprisals.tolist()]
    cell = Cell(drawn[0].data, surprisals, str(drawn.model), seconds, {**measured, **rates}, expected)
    table = {**dataclasses.asdict(cell), "made": base64.b64encode(cell.made).decode()}
    with replacing(kept) as file:
        file.write(json.dumps(table).encode())
    part.unlink(missing_ok=True)
    return cell


def _follow(model: ByteModel, context: bytes, data: bytes) -> tuple[str, dict[str, float | None]]:
    """Return the distributions before each byte of ``data``, packed, and the rates of ``data``, bits per byte."""
    state = model.start([context])
    bits = np.empty((len(data), 256))
    for place, symbol in enumerate(data):
        bits[place] = -state.log2_probs()[0]
        state.extend(np.array([symbol], dtype=np.uint8))
    steps = np.rint(bits * _FINENESS).astype("<u2")
    spent = bits[np.arange(len(data)), np.frombuffer(data, dtype=np.uint8)]
    own = own_rate(model, data, context) if isinstance(model, CodeLengthModel) else None
    return base64.b64encode(zlib.compress(steps.tobytes())).decode(), {"real_bpb": float(spent.mean()), "own_bpb": own}


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
        cell = Cell(**{**table, "made": base64.b64decode(table["made"])})
        return cell if cell.distributions.size else None
    except (OSError, ValueError, TypeError, KeyError, zlib.error):
        return None  # the cell was not made yet, or its file is not whole


def pairs(config: Config, items: list[Item]) -> Iterator[tuple[int, int]]:
    """Yield (row, column) for each row whose medium the column continues."""
    for number, prompt in enumerate(items):
        for place, column in enumerate(config.columns):
            if prompt.medium.name in column.media:
                yield number, place


Where: TypeAlias = tuple[int, int]
"""A row and a column, by their numbers."""


def find(config: Config, items: list[Item], kept: Path) -> tuple[dict[Where, Cell], dict[Where, Path]]:
    """Return the cells that are kept in the folder ``kept``, and the files for those that are still to be drawn."""
    found: dict[Where, Cell] = {}
    wanted: dict[Where, Path] = {}
    for number, place in pairs(config, items):
        path = kept / f"{_key(items[number], config.columns[place], config.seed)}.json"
        cell = _kept(path)
        if cell is None:
            path.unlink(missing_ok=True)  # it is not whole, or there is none
            path.with_suffix(".part").unlink(missing_ok=True)
            wanted[number, place] = path
        else:
            found[number, place] = cell
    return found, wanted


def draw_all(
    config: Config,
    items: list[Item],
    found: dict[Where, Cell],
    wanted: dict[Where, Path],
    jobs: int,
    watch: Callable[[int], None],
) -> Iterator[tuple[Where, Cell]]:
    """Yield the cells that are wanted, as they are finished.

    Args:
        config: the gallery.
        items: the prompt of each row.
        found: the cells that need not be drawn.
        wanted: the file of each cell to draw.
        jobs: number of processes.
        watch: called now and then with the number of bytes made so far, kept cells and unfinished ones included.
    """
    made = sum(len(cell.made) for cell in found.values())
    sizes = [sum(map(len, items[number].rest)) for number, _ in wanted]
    with _watched(made, list(wanted.values()), sizes, watch), OrderedPool(jobs, most=len(wanted)) as workers:
        for (number, place), path in wanted.items():
            column = config.columns[place]
            yield from workers.run((number, place), draw, items[number], column, config.seed, path)
        yield from workers.finished()


@contextmanager
def _watched(made: int, paths: list[Path], sizes: list[int], watch: Callable[[int], None]) -> Iterator[None]:
    """Call ``watch`` in a thread while the block runs, with the bytes made so far as the files at ``paths`` tell."""
    over = threading.Event()

    def done(path: Path, size: int) -> int:
        try:
            return size if path.exists() else int(path.with_suffix(".part").read_text())
        except (OSError, ValueError):
            return 0  # not begun, or just being written

    def look() -> None:
        while not over.wait(_PAUSE):
            watch(made + sum(map(done, paths, sizes)))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    watch(made + sum(sizes))
