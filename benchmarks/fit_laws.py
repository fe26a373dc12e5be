"""Fit how far the calibrated rule trusts the parts of laws, and write compgen/models/derived/law_weights.json.

    python -m benchmarks.fit_laws [--data DIR] [--pieces N] [--only FAMILY]

The mixer learns online. Every row begins with what it has learnt after many pieces of training text, speech, music and
pictures, at a falling learning rate; none of these is in a benchmark or a gallery. Laws of one family have the same
parts and share their weights: ``copies`` is fitted over gzip, xz, zstd and brotli in turn.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import compgen
from benchmarks.fit_calibration import signals, sources
from benchmarks.real_data import parsed
from compgen.compressors import COMPRESSORS
from compgen.compressors.base import Compressor
from compgen.errors import LossWarning
from compgen.laws.parts import NUMBERS
from compgen.media import Layout
from compgen.models.bit_mixing import WEIGHT_ONE
from compgen.models.derived.calibrated import RATE, CalibratedRow
from compgen.models.window import Window

OUTPUT = Path(compgen.__file__).parent / "models/derived/law_weights.json"
RATES = (5, 2, 1)
"""Learning rates as multiples of the rate in use; each is used for an equal share of the pieces. Chosen."""
SCORED = 1000
"""Bytes of a piece that the weights learn from. Chosen."""
REACH = 32_000
"""The most bytes of context before a piece. Chosen: gzip's window."""

Draw = Callable[[random.Random], tuple[str, bytes, Layout]]


def drawn(data: Path, family: str) -> Draw:
    """Return a function that draws a compressor's spec, a training item, and its layout."""
    if family in ("png", "flac"):
        draw = signals(data, {"png": "rows", "flac": "line"}[family])

        def signal(generator: random.Random) -> tuple[str, bytes, Layout]:
            while True:
                item, layout = draw(generator)
                if family == "png" or (layout.channels and not layout.stride):
                    return family, item, layout

        return signal
    texts = sources(data)
    specs = ("gzip", "gzip", "xz", "zstd", "brotli") if family == "copies" else (family,)

    def text(generator: random.Random) -> tuple[str, bytes, Layout]:
        return generator.choice(specs), generator.choice(texts)(generator), Layout()

    return text


def fit(family: str, pieces: int, draw: Draw) -> tuple[NDArray[np.int64], ...]:
    """Return the weights after ``pieces`` pieces. At first half of the weight is on the law as a whole."""
    generator = random.Random(1)
    weights: tuple[NDArray[np.int64], ...] | None = None
    begin, done, bits = time.perf_counter(), 0, 0.0
    for piece in range(pieces):
        spec, data, layout = draw(generator)
        compressor: Compressor = COMPRESSORS.build(spec).laid_out(layout)
        unit = compressor.unit
        known = int(REACH * generator.random() ** 0.7)
        start = generator.randrange(known, max(len(data) - SCORED - unit, known + 1)) // unit * unit
        context = data[max(0, start - known // unit * unit) : start]
        law = compressor.law()
        if weights is None:
            shares, _ = law.start(context).parts()
            weights = beginning(len(shares), law.numbers)
        row = CalibratedRow(compressor, law, Window(1 << 20), context, weights)
        row.mixer.rate = RATE * RATES[piece * len(RATES) // pieces]
        segment = np.frombuffer(data[start : start + SCORED], dtype=np.uint8)
        _, width = row.consume(segment)
        weights = tuple(row.mixer.families)
        done, bits = done + len(segment), bits + float((24 - np.log2(width)).sum())
        if (piece + 1) % max(pieces // 8, 1) == 0:
            seconds = time.perf_counter() - begin
            print(
                f"{family} {piece + 1}/{pieces}: {bits / max(done, 1):.3f} bits per byte, {seconds:.0f} s", flush=True
            )
            done, bits = 0, 0.0
    assert weights is not None
    return weights


def beginning(parts: int, numbers: Sequence[int]) -> tuple[NDArray[np.int64], ...]:
    """Return the weights that the fit begins with."""
    nodes = np.full((256, parts), WEIGHT_ONE // 2 // max(parts - 1, 1), dtype=np.int64)
    nodes[:, -1] = WEIGHT_ONE // 2
    return nodes, *(np.zeros((size, parts), dtype=np.int64) for size in numbers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, default=600)
    parser.add_argument("--only", default="copies,ppmd,png,flac")
    arguments = parsed(parser)
    warnings.simplefilter("ignore", LossWarning)
    for family in arguments.only.split(","):
        weights = trusting_the_law(fit(family, arguments.pieces, drawn(arguments.data, family)))
        keep(family, [[[round(w / (WEIGHT_ONE >> 12)) for w in row] for row in one.tolist()] for one in weights])


def trusting_the_law(weights: tuple[NDArray[np.int64], ...]) -> tuple[NDArray[np.int64], ...]:
    """Return the weights with those for a last byte that is new, set 0 by the longest context, on the law as a whole.

    The fit flattens all parts there, since new bytes mostly occur in the noise of pictures. Text that is sampled from a
    flat distribution falls into noise and never finds back.
    """
    if [len(one) for one in weights[1:]] != list(NUMBERS):
        return weights  # png's and flac's numbers tell other things
    nodes, longest, followers, last = (one.copy() for one in weights)
    longest[0] = -nodes[1:].mean(axis=0).astype(np.int64) - followers[0]
    longest[0, -1] += WEIGHT_ONE
    last[0] = 0
    return nodes, longest, followers, last


def keep(family: str, weights: list[list[list[int]]]) -> None:
    """Write the weights of a family beside those of the others, one line for each set."""
    found = (json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}) | {family: weights}
    families = [
        f'"{name}": [\n' + ",\n".join("[\n" + ",\n".join(map(json.dumps, one)) + "\n]" for one in sets) + "\n]"
        for name, sets in found.items()
    ]
    OUTPUT.write_text("{\n" + ",\n".join(families) + "\n}\n")


if __name__ == "__main__":
    main()
