"""Fit what the models ``history`` and ``signal`` begin with, and write compgen/models/contexts/weights.json.

    python -m benchmarks.fit_contexts [--data DIR] [--pieces N] [--only NAME]

A row learns its mixer's weights and its escapes online. It begins with what was learnt over many pieces of training
text, speech, music and pictures, at a falling learning rate: the data of ``fit_calibration.py``, none of which is in a
benchmark or a gallery. There is one fit for ``bytes`` of any kind, and one each for samples in ``rows`` and in a
``line``.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import compgen
from benchmarks.fit_calibration import RATES, REACH, WINDOW, Progress, dump, signals, sources
from benchmarks.real_data import parsed
from compgen.media import Layout
from compgen.models.contexts.blending import first_escapes
from compgen.models.contexts.patterns import ORDERS
from compgen.models.contexts.records import ABOVE, period
from compgen.models.contexts.row import ContextRow, Plan
from compgen.models.contexts.sets import SETS
from compgen.models.contexts.weights import Initial
from compgen.models.mixing import WEIGHT_ONE
from compgen.models.samples.prediction import PREDICTIONS

OUTPUT = Path(compgen.__file__).parent / "models/contexts/weights.json"
SCORED = {"bytes": 1000, "rows": 500, "line": 500}
"""Bytes of a piece that are learnt from. Chosen."""

PIECES = {"bytes": 800, "rows": 400, "line": 400}
"""Pieces of a fit. Chosen: all three together take about seven minutes."""

Draw = Callable[[random.Random], tuple[bytes, bytes, Layout]]
"""Draws a context, the piece that follows it, and their layout."""


def beginning(name: str) -> Initial:
    """Return what the fit begins with: weight on the orders 2, 3 and 24; for samples on the predictions alone."""
    patterns = sum(map(len, Plan(WINDOW, Layout(), 0).patterns(Layout()))) + 2
    if name != "bytes":
        patterns = len(ORDERS) + (ABOVE if name == "rows" else 0)
    experts = 1 + patterns + (0 if name == "bytes" else PREDICTIONS)
    families = tuple(np.zeros((sets, experts), dtype=np.int64) for sets in SETS[name])
    if name == "bytes":
        families[0][:, len(ORDERS)] = WEIGHT_ONE // 2
        families[0][:, [1 + ORDERS.index(2), 1 + ORDERS.index(3)]] = WEIGHT_ONE // 5
    else:
        families[0][:, -PREDICTIONS:] = WEIGHT_ONE // PREDICTIONS
    return Initial(families, first_escapes(patterns))


def bytes_of(data: Path) -> Draw:
    """Return a function that draws bytes of any kind, of which none is in records."""
    draws = sources(data)

    def draw(generator: random.Random) -> tuple[bytes, bytes, Layout]:
        window = b""
        while not window or period(window):  # records would add contexts, which are not fitted
            drawn = generator.choice(draws)(generator)
            known = int(REACH * generator.random() ** 2)  # short contexts more often than long ones
            start = generator.randrange(known, len(drawn) - SCORED["bytes"])
            window = drawn[start - known : start]
        return window, drawn[start : start + SCORED["bytes"]], Layout()

    return draw


def samples_of(data: Path, name: str) -> Draw:
    """Return a function that draws samples."""
    draw_signal = signals(data, name)

    def draw(generator: random.Random) -> tuple[bytes, bytes, Layout]:
        drawn, layout = draw_signal(generator)
        unit = layout.stride or layout.pixel
        known = int(REACH * generator.random() ** 2)
        if not layout.stride and generator.random() < 1 / 4:
            known = 250 * layout.pixel  # as long as the rows of pictures in the paper
        start = generator.randrange(known, max(len(drawn) - SCORED[name] - unit, known + 1)) // unit * unit
        known = known // layout.pixel * layout.pixel
        return drawn[max(0, start - known) : start], drawn[start : start + SCORED[name]], layout

    return draw


def fit(name: str, pieces: int, draw: Draw) -> Initial:
    """Return what rows have learnt after ``pieces`` pieces."""
    generator = random.Random(1)
    first = beginning(name)
    progress = Progress(name, pieces)
    for piece in range(pieces):
        window, segment, layout = draw(generator)
        row = ContextRow(Plan(WINDOW, layout, 0), window, first=first)
        faster = RATES[piece * len(RATES) // pieces]
        row.mixer.rate *= faster
        row.mixer.common_rate *= faster
        bits = 0.0
        for symbol in segment:
            bits += row.added_length(symbol)
            row.extend(symbol)
        progress.add(bits, len(segment))
        first = Initial(tuple(family.copy() for family in row.mixer.families), row.blend.escapes)
    return first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, help=f"pieces of each fit; default {PIECES}")
    parser.add_argument("--only", choices=sorted(SETS), action="append")
    arguments = parsed(parser)
    for name in arguments.only or sorted(SETS):
        draw = bytes_of(arguments.data) if name == "bytes" else samples_of(arguments.data, name)
        first = fit(name, arguments.pieces or PIECES[name], draw)
        fitted: dict[str, Any] = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
        fitted[name] = {"weights": [family.tolist() for family in first.weights], "escapes": first.escapes.tolist()}
        OUTPUT.write_text(dump(fitted))


if __name__ == "__main__":
    main()
