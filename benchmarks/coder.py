"""Measure the coder: the sizes of its files beside other programs' files, and the entropy coder's throughput.

    python -m benchmarks.coder [--data DIR] [--quick]

First it codes whole files, by single compressors and by a mixture, decodes them again, and prints their sizes beside
the compressors' own output. Then it prints the symbols per second of the entropy coder with 1,024 lanes and 256
symbols, beside constriction's if that is installed. The last line is JSON.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import compgen
from benchmarks.real_data import parsed
from compgen.coding import rans
from compgen.compressors import COMPRESSORS
from compgen.models.base import find

LANES, SYMBOLS, PRECISION = 1024, 256, 24
"""The shape of the throughput test: bytes, as models have them, in many lanes. Chosen."""

MIXTURE = "gzip+bz2+xz+zstd+brotli+ppmd"
"""All compressors of bytes that code at a bearable speed. Chosen."""


def rates(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Print and return the sizes of coded files beside the sizes of the compressors' own output."""
    alice = (data / "corpora/canterbury/alice29.txt").read_bytes()
    rows: list[dict[str, Any]] = []
    print(f"{'what':<34}{'bytes':>9}{'own output':>12}{'.cgn':>9}{'smaller by':>12}{'bytes/s':>9}")
    head = 512 if quick else 8192
    cases = [("alice29.txt", alice[: 2048 if quick else len(alice)], "gzip"), ("alice29.txt", alice[:head], "gzip")]
    cases += [("alice29.txt", alice[:head], spec) for spec in (*MIXTURE.split("+")[1:], MIXTURE)]
    for name, text, spec in cases:
        members = [len(COMPRESSORS.build(member).compress(text)) for member in spec.split("+")]
        begin = time.perf_counter()
        blob = compgen.compress(text, spec, verify=False)
        seconds = time.perf_counter() - begin
        assert compgen.decompress(blob, spec) == text  # to check six models takes longer than a file may ask
        saved = 1 - len(blob) / min(members)
        row = {"file": name, "bytes": len(text), "spec": spec, "own": min(members), "cgn": len(blob)}
        rows.append({**row, "smaller_by": saved, "bytes_per_second": len(text) / seconds})
        print(
            f"{spec:<34}{len(text):>9}{min(members):>12}{len(blob):>9}{saved:>12.1%}{len(text) / seconds:>9.0f}",
            flush=True,
        )
    return rows


def throughput(steps: int) -> dict[str, float]:
    """Print and return the throughput of the entropy coder in million symbols per second, the best of three runs."""
    generator = np.random.default_rng(1)
    weights = generator.random(SYMBOLS) ** 6
    widths = 1 + np.floor(weights / weights.sum() * ((1 << PRECISION) - SYMBOLS)).astype(np.int64)
    widths[0] += (1 << PRECISION) - widths.sum()
    ends = np.cumsum(widths)
    lows = ends - widths
    symbols = generator.choice(SYMBOLS, (steps, LANES), p=widths / (1 << PRECISION))
    low, width = lows[symbols].astype(np.uint32), widths[symbols].astype(np.uint32)
    code = rans.encode(low, width, PRECISION, [rans.LEAST] * LANES)
    rows = np.tile(widths, (LANES, 1))

    def decode(look: Callable[[Any], tuple[Any, Any]]) -> None:
        decoder = rans.Decoder(code, LANES, PRECISION)
        for _ in range(steps):
            decoder.advance(*look(decoder.points()))
        assert decoder.left == 0

    def by_table(points: Any) -> tuple[Any, Any]:
        found = np.searchsorted(ends, points, side="right")
        return lows[found], widths[found]

    speeds: dict[str, Callable[[], Any]] = {
        "encode from intervals": lambda: rans.encode(low, width, PRECISION, [rans.LEAST] * LANES),
        "decode from a prepared table": lambda: decode(by_table),
        "decode from a fresh row per symbol": lambda: decode(lambda points: find(rows, points)[1:]),
    }
    if importlib.util.find_spec("constriction"):
        import constriction

        flat = symbols.ravel().astype(np.int32)
        model = constriction.stream.model.Categorical(widths / (1 << PRECISION), perfect=False)
        coder = constriction.stream.stack.AnsCoder()
        coder.encode_reverse(flat, model)
        words = coder.get_compressed()
        speeds["constriction: encode"] = lambda: constriction.stream.stack.AnsCoder().encode_reverse(flat, model)
        speeds["constriction: decode"] = lambda: constriction.stream.stack.AnsCoder(words).decode(model, len(flat))
    result = {}
    print(f"\nentropy coder, one core, {SYMBOLS} symbols, {LANES} lanes, {steps * LANES} symbols (million per second)")
    for name, work in speeds.items():
        best = 0.0
        for _ in range(3):
            begin = time.perf_counter()
            work()
            best = max(best, steps * LANES / (time.perf_counter() - begin) / 1e6)
        result[name] = best
        print(f"  {name:<38}{best:>8.1f}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short inputs, for CI")
    arguments = parsed(parser)
    files = rates(arguments.data, arguments.quick)
    speeds = throughput(200 if arguments.quick else 2000)
    print(json.dumps({"benchmark": "coder", "quick": arguments.quick, "files": files, "throughput": speeds}))


if __name__ == "__main__":
    main()
