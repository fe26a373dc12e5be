"""Measure mixtures beside their members on short texts, where a mixer has had little to learn from.

    python -m benchmarks.mixtures [--data DIR] [--llm DIR] [--quick] [--specs SPEC ...]

Each text is read once, from nothing known; its rates after 256, 1,024, 2,048 and 4,096 bytes are those of files of that
size. `excess` is the mixture's rate less that of its best member at that size: it should stay below 0.01. With --llm
DIR, mixtures of the language model in DIR are measured, too. The last line is JSON.
"""

from __future__ import annotations

import argparse
import functools
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.real_data import parsed, read
from compgen.models import ByteModel, load
from compgen.models.base import PRECISION
from compgen.models.mixture import Mixture

SPECS = ("gzip+history", "gzip+ppmd", "ppmd+history", "gzip+xz+zstd+brotli+ppmd", "png+signal")
LLM_SPECS = ("llm:{}+ppmd", "llm:{}+history")
SIZES = (256, 1024, 2048, 4096)

TEXTS = {
    "alice": ("corpora/canterbury/alice29.txt", 0),
    "fields.c": ("corpora/canterbury/fields.c", 0),
    "cp.html": ("corpora/canterbury/cp.html", 0),
    "enwik8": ("text/enwik8_tail.xml", 500_000),
    "shakespeare": ("text/tinyshakespeare.txt", 300_000),
    "news": ("corpora/calgary/news", 100_000),
    "kennedy.xls": ("corpora/canterbury/kennedy.xls", 20_000),
    "speech": ("speech", 20_000),
}
"""The files, and where in them the text begins. Chosen: kinds of text, records and samples."""


@functools.lru_cache
def surprisals(model: ByteModel, data: bytes) -> NDArray[np.float64]:
    """Return (n,) bits of each byte."""
    widths = model.start([b""]).measure(np.frombuffer(data, dtype=np.uint8)[:, None])
    return PRECISION - np.log2(widths[:, 0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llm", metavar="DIR", help="a folder of a language model")
    parser.add_argument("--specs", nargs="+", default=SPECS, metavar="SPEC", help="mixtures to measure")
    parser.add_argument("--quick", action="store_true", help="two texts of 1,024 bytes")
    arguments = parsed(parser)
    texts = dict(list(TEXTS.items())[:2]) if arguments.quick else TEXTS
    sizes = SIZES[:2] if arguments.quick else SIZES
    specs = [*arguments.specs, *(spec.format(arguments.llm) for spec in LLM_SPECS if arguments.llm)]
    rows: list[dict[str, Any]] = []
    for spec in specs:
        model = load(spec)
        assert isinstance(model, Mixture), f"{spec} is no mixture"
        heads = f"{'members':>{8 * len(model.members)}} {'mixture':>8} excess"
        print(f"\n{spec}\n{'text':12} {'bytes':>5}{heads}")
        for name, (path, begin) in texts.items():
            data = read(arguments.data, path)[begin : begin + sizes[-1]]
            bits = np.stack([surprisals(each, data) for each in (*model.members, model)])
            for size in sizes:
                *members, mixture = bits[:, :size].mean(axis=1).round(4).tolist()
                excess = mixture - min(members)
                print(f"{name:12} {size:5}" + "".join(f"{rate:8.4f}" for rate in members), end=" ")
                print(f"{mixture:8.4f} {excess:+.4f}", flush=True)
                rows.append({"spec": spec, "text": name, "bytes": size, "members": members, "mixture": mixture,
                             "excess": round(excess, 4)})  # fmt: skip
    worst = max(row["excess"] for row in rows)
    print(f"\nlargest excess: {worst:+.4f} bits per byte")
    print(json.dumps({"benchmark": "mixtures", "quick": arguments.quick, "largest_excess": worst, "results": rows}))


if __name__ == "__main__":
    main()
