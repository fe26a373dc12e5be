"""Text sampled by each rule, judged by a reader that is none of them: the shipped language model.

    python -m benchmarks.rules_judged [--data DIR] [--compressor SPEC] [--samples N] [--length N] [--quick]

The prompt is the first 32 KB of a novel (book1 of the Calgary corpus), and each rule continues it with ten seeds.
``llm`` is what the language model spends on a sample after the last 1,000 bytes of the prompt, bits per byte: text that
is more like English costs less. ``copied`` is the share of its 16-byte windows that the prompt holds verbatim,
``distinct`` the share of its 4-byte windows that it did not hold before. ``own law`` is what the sample costs under the
rule that drew it. The control is ``null``, a compressor that knows nothing, under the calibrated rule; the last row is
the novel itself, in as many pieces. Means and standard errors over samples. The last line is JSON. ``--quick`` takes
two short samples after the prompt of the examples, and needs no data.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import compgen
from compgen.evaluation.metrics import copy_rate, distinct

PROMPT = 32_768  # bytes
READ = 1000  # bytes before a sample that the reader sees; the shipped model looks back 512 to 1,023
RULES = ("decoder", "calibrated", "one-step")
COLUMNS = ("llm", "copied", "distinct", "own law")


def judged(sample: bytes, prompt: bytes) -> tuple[float, float, float]:
    """Return bits per byte under the reader, the copy rate, and the share of distinct 4-grams."""
    return compgen.score("llm", sample, prompt[-READ:]).derived_bpb, copy_rate(sample, prompt), distinct(sample)


def sampled(spec: str, rule: str, prompt: bytes, samples: int, length: int) -> list[tuple[float | None, ...]]:
    """Return the columns of each sample; print the first sample."""
    found: list[tuple[float | None, ...]] = []
    for seed in range(1, samples + 1):
        sample = compgen.sample(spec, prompt, length=length, seed=seed, rule=rule, allow="bytes")[0]
        if seed == 1:
            print(f"{f'{spec}, {rule}':<20}{sample.text[:150]!r}", flush=True)
        assert sample.bits_per_byte is not None
        found.append((*judged(sample.data, prompt), sample.bits_per_byte))
    return found


def row(name: str, found: Sequence[Sequence[float | None]]) -> dict[str, object]:
    """Print and return means and standard errors of the columns."""
    table = np.array(found, dtype=np.float64)
    means = table.mean(axis=0)
    errors = table.std(axis=0, ddof=1) / np.sqrt(len(table))
    cells = [f"{mean:.3f} ± {error:.3f}" for mean, error in zip(means, errors, strict=True)]
    print(f"| {name} | " + " | ".join(cells + ["-"] * (len(COLUMNS) - len(cells))) + " |")
    return {"name": name, "means": means.tolist(), "errors": errors.tolist()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("COMPGEN_DATA"), help="real data; default: COMPGEN_DATA")
    parser.add_argument("--compressor", default="gzip")
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--length", type=int, default=300, help="bytes of a sample")
    parser.add_argument("--quick", action="store_true", help="two samples of 20 bytes after the examples' prompt")
    arguments = parser.parse_args()
    samples, length = (2, 20) if arguments.quick else (arguments.samples, arguments.length)
    if arguments.quick:
        novel = (Path(__file__).parent.parent / "examples/prompts/lighthouse.txt").read_bytes()
        size = len(novel) - samples * length
    elif arguments.data:
        novel, size = (Path(arguments.data) / "corpora/calgary/book1").read_bytes(), PROMPT
    else:
        parser.error("give --data DIR or set COMPGEN_DATA; docs/data.md says where to get the sets")
    prompt = novel[:size]
    jobs = [(arguments.compressor, rule) for rule in RULES] + [("null", "decoder"), ("null", "calibrated")]
    drawn = {f"{spec}, {rule}": sampled(spec, rule, prompt, samples, length) for spec, rule in jobs}
    print(f"\n| | {' | '.join(COLUMNS)} |\n|{' --- |' * (1 + len(COLUMNS))}")
    results = [row(name, found) for name, found in drawn.items()]
    ends = [size + length * i for i in range(samples)]
    results.append(row("the novel itself", [judged(novel[end : end + length], novel[:end]) for end in ends]))
    print(json.dumps({"benchmark": "rules_judged", "quick": arguments.quick, "results": results}))


if __name__ == "__main__":
    main()
