"""The ladder: what each part of gzip's law, and each step of its calibration, is worth on text.

    python -m benchmarks.ladder [--data DIR] [--bytes N]

Each rung is a rate in bits per byte, after 32,000 bytes of context, on the same bytes. The one-step rungs score fewer
of them, since each byte costs 256 encodings. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import compgen
from benchmarks.calibration import one_step
from benchmarks.real_data import parsed, read, windows
from compgen.compressors import COMPRESSORS
from compgen.laws.base import SHARE_BITS
from compgen.laws.parts import ORDERS
from compgen.models.bit_mixing import WEIGHT_ONE
from compgen.models.derived.calibrated import RATE, WARM_UP, CalibratedRow, initial_weights
from compgen.models.mixing import WEIGHT_ONE as BYTE_ONE
from compgen.models.mixing import Mixer
from compgen.models.quantise import log2_units
from compgen.models.window import Window
from compgen.powers import FRACTION

FILES = ("text/enwik8_tail.xml", "text/tinyshakespeare.txt", "corpora/calgary/news")
CONTEXT = 32_000
"""Bytes of context."""
BYTE_RATE, COMMON_RATE = 131_072, 65_536
"""Learning rates of the mixer of bytes: those of the calibrated rule over proposals."""

Pairs = list[tuple[bytes, bytes]]


def rate(pairs: Pairs, begin: Callable[[bytes], CalibratedRow]) -> float:
    """Return the rate of a calibrated row that ``begin`` opens on the context without its last bytes."""
    bits, count = 0.0, 0
    for context, segment in pairs:
        row = begin(context[:-WARM_UP])
        row.consume(np.frombuffer(context[-WARM_UP:], dtype=np.uint8))
        _, width = row.consume(np.frombuffer(segment, dtype=np.uint8))
        bits, count = bits + float((24 - np.log2(width)).sum()), count + len(segment)
    return bits / count


def alone(pairs: Pairs, part: int) -> float:
    """Return the rate of one part of gzip's law."""
    law = COMPRESSORS.build("gzip").law()
    bits, count = 0.0, 0
    for context, segment in pairs:
        state = law.start(context)
        for symbol in segment:
            shares, _ = state.parts()
            bits += SHARE_BITS - float(np.log2(max(int(shares[part, symbol]), 1)))
            state.append(symbol)
        count += len(segment)
    return bits / count


def by_bytes(pairs: Pairs) -> float:
    """Return the rate of gzip's parts mixed byte by byte, from even weights that learn."""
    law = COMPRESSORS.build("gzip").law()
    bits, count = 0.0, 0
    for context, segment in pairs:
        state = law.start(context[:-WARM_UP])
        parts = len(state.parts()[0])
        even = np.full((len(ORDERS), parts), BYTE_ONE // parts, dtype=np.int64)
        zero = np.zeros((64, parts), dtype=np.int64)
        mixer = Mixer([even, zero, zero], BYTE_RATE, COMMON_RATE)
        for place, symbol in enumerate(context[-WARM_UP:] + segment):
            shares, numbers = state.parts()
            frequencies = mixer.mix(log2_units(shares + 1) - (SHARE_BITS << FRACTION), numbers)
            bits += (24 - float(np.log2(frequencies[symbol]))) * (place >= WARM_UP)
            mixer.learn(symbol)
            state.append(symbol)
        count += len(segment)
    return bits / count


def row_with(weights: tuple[NDArray[np.int64], ...], learning: int) -> Callable[[bytes], CalibratedRow]:
    """Return a function that opens a row of gzip's parts with these weights and learning rate."""
    compressor = COMPRESSORS.build("gzip")

    def begin(context: bytes) -> CalibratedRow:
        row = CalibratedRow(compressor, compressor.law(), Window(1 << 20), context, weights)
        row.mixer.rate = learning
        return row

    return begin


def rungs(pairs: Pairs, count: int) -> dict[str, float]:
    """Return the rate of each rung, bits per byte."""
    steps = one_step([(context, segment[:count]) for context, segment in pairs], count)
    fitted = initial_weights("copies")
    parts = fitted[0].shape[1]
    even = (np.full_like(fitted[0], WEIGHT_ONE // parts), *(np.zeros_like(one) for one in fitted[1:]))
    scores = [compgen.score("gzip", segment, context) for context, segment in pairs]
    found = {
        "one step, whole bytes (the paper's, ziplm's)": steps["one_step_whole_bytes"],
        "one step, exact bits": steps["one_step_exact_bits"],
        "gzip's own rate": float(np.mean([score.own_bpb or 0.0 for score in scores])),
        "literals alone": alone(pairs, 0),
        "copies that begin alone": alone(pairs, 1),
    }
    for order in (1, 2, 3, 4, 6, 24):
        found[f"copies that have run {order}, blended down, alone"] = alone(pairs, 1 + ORDERS.index(order))
    return found | {
        "the law as a whole": float(np.mean([score.derived_bpb for score in scores])),
        "all parts, mixed byte by byte, learning from even weights": by_bytes(pairs),
        "all parts, mixed bit by bit, learning from even weights": rate(pairs, row_with(even, 5 * RATE)),
        "all parts, bit by bit, fitted weights, fixed": rate(pairs, row_with(fitted, 0)),
        "all parts, bit by bit, fitted weights, learning: calibrated": rate(pairs, row_with(fitted, RATE)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=1000, help="scored in each of five windows of a file")
    arguments = parsed(parser)
    table = {
        name: rungs(windows(read(arguments.data, name), CONTEXT, arguments.bytes, 5), min(arguments.bytes, 20))
        for name in FILES
    }
    first = next(iter(table.values()))
    for rung in first:
        print(f"{rung:<62}" + "".join(f"{found[rung]:>10.3f}" for found in table.values()), flush=True)
    print(json.dumps({"benchmark": "ladder", "results": table}))


if __name__ == "__main__":
    main()
