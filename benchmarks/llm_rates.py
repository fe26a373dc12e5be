"""Rates of a language model on real files, beside classical compressors and in a mixture with them.

    python -m benchmarks.llm_rates [--model SPEC] [--bytes N] [--data DIR] [--excerpt N]

The first table is of whole files, or their first N bytes: the derived rate that ``cgn score`` prints, without context,
and the output of gzip, xz and ppmd. The second table is of an excerpt of each file after 8,000 bytes of context: the
mixture of the model with ppmd and gzip, and each of its members. All rates are in bits per byte. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import compgen
from benchmarks.real_data import parsed
from compgen.compressors import COMPRESSORS

FILES = (
    "text/enwik8_tail.xml",
    "text/wikitext2_valid.txt",
    "text/tinyshakespeare.txt",
    "corpora/canterbury/alice29.txt",
    "corpora/calgary/book1",
)
"""Text files under the data root; docs/data.md says where to get them."""

CLASSICAL = ("gzip", "xz", "ppmd")
"""Compressors for comparison."""

CONTEXT = 8000
"""Bytes before an excerpt that the model is given."""

OFFSET = 100_000
"""Where an excerpt begins in its file. Chosen: past the beginnings of the files, which are unlike the rest."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="llm")
    parser.add_argument("--bytes", type=int, default=None)
    parser.add_argument("--excerpt", type=int, default=2000)
    arguments = parsed(parser)
    model = arguments.model
    mixture = f"{model}+ppmd:rule=calibrated+gzip:rule=calibrated"
    members = (model, "ppmd:rule=calibrated", "gzip:rule=calibrated")
    rows: list[dict[str, Any]] = []
    print(f"{'whole file':<34}{model:>10}" + "".join(f"{name:>10}" for name in CLASSICAL))
    for name in FILES:
        data = (arguments.data / name).read_bytes()[: arguments.bytes]
        rates = {model: compgen.score(model, data).derived_bpb}
        for classical in CLASSICAL:
            rates[classical] = 8 * len(COMPRESSORS.build(classical).compress(data)) / len(data)
        print(f"{name:<26}{len(data):>8}" + "".join(f"{rate:>10.3f}" for rate in rates.values()), flush=True)
        rows.append({"file": name, "bytes": len(data), "rates": rates})
    print(f"\n{'excerpt':<34}{'mixture':>10}" + "".join(f"{member:>22}" for member in members))
    for row in rows:
        data = (arguments.data / row["file"]).read_bytes()
        context = data[OFFSET - CONTEXT : OFFSET]
        excerpt = data[OFFSET : OFFSET + arguments.excerpt]
        rates = {spec: compgen.score(spec, excerpt, context).derived_bpb for spec in (mixture, *members)}
        mixed, *alone = rates.values()
        shown = f"{mixed:>10.3f}" + "".join(f"{rate:>22.3f}" for rate in alone)
        print(f"{row['file']:<26}{len(excerpt):>8}{shown}", flush=True)
        row["excerpt"] = rates
    print(json.dumps({"benchmark": "llm_rates", "model": model, "rows": rows}))


if __name__ == "__main__":
    main()
