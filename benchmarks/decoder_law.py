"""Decoder's laws: the law's rate and the compressor's own on identical windows.

    python -m benchmarks.decoder_law [--data DIR] [--quick]

Laws fitted from code lengths, for several compressors, at 8,000 bytes of context; then those of xz, zstd and gzip,
read from their own output, the latter at 32,000. Rates are bits per byte, means of five windows spread evenly over
each file; the ratio is law / own. Bytes per second of fitted laws hold the fit at 8,192 bytes, which the segments
cross. The row ``null`` is a compressor that knows nothing: whatever its law gained would be no compressor's
knowledge. Texts are enwik8_tail.xml, tinyshakespeare.txt and news. The last line is JSON. ``--quick`` takes one
window of 100 bytes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.real_data import parsed, read, windows
from compgen.compressors import COMPRESSORS
from compgen.laws.base import Law, NoLaw
from compgen.laws.fitted import MOST_MISFIT, FittedLaw, misfit
from compgen.laws.forward import LOOPS
from compgen.types import CodeLengths

SPECS = ("null", "gzip", "zstd", "zstd-dict", "xz", "brotli", "command:gzip -9 -n", "ppmd", "bz2", "command:bzip2 -9")
TEXTS = ("text/enwik8_tail.xml", "text/tinyshakespeare.txt", "corpora/calgary/news")
SMALL = (*TEXTS, "corpora/canterbury/alice29.txt", "corpora/calgary/progc", "corpora/canterbury/kennedy.xls")
LARGE = (
    *TEXTS, "corpora/calgary/progc", "corpora/canterbury/kennedy.xls", "corpora/canterbury/ptt5", "corpora/calgary/geo",
    "corpora/calgary/obj2", "speech", "kodak",
)  # fmt: skip


def of_nothing(context: bytes, continuations: Sequence[bytes]) -> CodeLengths:
    return np.array([8.0 * len(context + continuation) for continuation in continuations])


def rates(law: Law, lengths: Any, pairs: list[tuple[bytes, bytes]]) -> dict[str, float]:
    """Return own and law's bits per byte over all windows, and bytes per second of each part."""
    own, bits, opening, reading = 0.0, 0.0, 0.0, 0.0
    for context, segment in pairs:
        empty, whole = lengths(context, [b"", segment])
        own += whole - empty
        begin = time.process_time()
        state = law.start(context)
        opening += time.process_time() - begin
        begin = time.process_time()
        _, width = state.consume(np.frombuffer(segment, dtype=np.uint8))
        reading += time.process_time() - begin
        bits += float((24 - np.log2(width)).sum())
    scored = sum(len(segment) for _, segment in pairs)
    return {
        "own": own / scored,
        "law": bits / scored,
        "ratio": bits / own if own else float("nan"),
        "opening_seconds": opening / len(pairs),
        "bytes_per_second": scored / max(reading, 1e-9),
    }


def measured(
    name: str, law: Law, lengths: Any, data: Path, files: Sequence[str], shape: tuple[int, int, int]
) -> list[dict[str, Any]]:
    """Print a row for each file; return the results."""
    results: list[dict[str, Any]] = []
    for file in files:
        result = rates(law, lengths, windows(read(data, file), *shape))
        results.append({"spec": name, "file": file, "context": shape[0], **result})
        print(
            f"{name:<20}{file:<32}{result['own']:>8.3f}{result['law']:>8.3f}{result['ratio']:>8.3f}"
            f"{result['opening_seconds']:>9.2f} s{result['bytes_per_second']:>10.0f}",
            flush=True,
        )
    texts: list[float] = [result["ratio"] for result in results if result["file"] in TEXTS]
    print(f"{name:<20}{'mean of three texts':<48}{np.mean(texts):>8.3f}", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short window of each file")
    arguments = parsed(parser)
    data = arguments.data
    scored, offsets = (100, 1) if arguments.quick else (1000, 5)
    LOOPS.cost = 0.0
    results: list[dict[str, Any]] = []
    misfits: dict[str, float] = {}
    print(f"{'fitted law of':<20}{'file':<32}{'own':>8}{'law':>8}{'ratio':>8}{'opening':>11}{'bytes/s':>10}")
    for spec in SPECS:
        compressor = None if spec == "null" else COMPRESSORS.build(spec)
        lengths = of_nothing if compressor is None else compressor.code_lengths
        fitted = FittedLaw(lengths, b"" if compressor is None else compressor.static_dictionary())
        misfits[spec] = misfit(fitted)
        try:
            law = fitted.checked()
        except NoLaw:
            print(f"{spec:<20}no law: {misfits[spec]:.2f} of its own bits on made text, above {MOST_MISFIT}")
            continue
        results += measured(spec, law, lengths, data, SMALL, (8000, scored, offsets))
    print("\nlaws of xz and zstd, from their own output, at 8,000 and 32,000 bytes")
    for spec, context in itertools.product(("xz", "zstd", "zstd:level=19"), (8000, 32_000)):
        one = COMPRESSORS.build(spec)
        files = (*SMALL, "corpora/calgary/geo")
        results += measured(f"{spec}, exact", one.law(), one.code_lengths, data, files, (context, scored, offsets))
    print("\ngzip's law, from its blocks, at 32,000 bytes")
    gzip = COMPRESSORS.build("gzip")
    results += measured("gzip, exact", gzip.law(), gzip.code_lengths, data, LARGE, (32_000, 2 * scored, offsets))
    print("\nppmd's law, its own model, at 32,000 bytes")
    ppmd = COMPRESSORS.build("ppmd")
    results += measured("ppmd, exact", ppmd.law(), ppmd.code_lengths, data, TEXTS, (32_000, 25 * scored, 2))
    report = {"benchmark": "decoder_law", "quick": arguments.quick, "misfits": misfits, "results": results}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
