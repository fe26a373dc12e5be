"""What one next-byte distribution costs under the one-step rule, compared with recompressing 256 times.

    python -m benchmarks.next_byte [CONFIG] [--data DIR]

For each compressor and context it prints the milliseconds to extend a meter by one byte and measure all 256
candidates, on one and on two threads; and the milliseconds to call the compressor's ``code_length`` for context +
candidate, one after the other, on one thread. The lengths must be equal. For zstd-dict, which prices a continuation
given a dictionary, the second way digests the dictionary for each candidate. Each case runs in a process of its own,
whose peak memory is printed. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from compgen.compressors import COMPRESSORS, Compressor

ROOT = Path(__file__).resolve().parent.parent
BYTES = [bytes([b]) for b in range(256)]


def text(size: int, data: str | None) -> bytes:
    """Return ``size`` bytes of enwik8; without ``data``, seeded nonsense made of words from the project's examples."""
    if data:
        return (Path(data) / "text/enwik8_head.xml").read_bytes()[-size:]
    words = (ROOT / "examples/prompts/lighthouse.txt").read_text().split()
    generator = random.Random(1)
    return " ".join(generator.choices(words, k=size)).encode()[:size]


def fastest(function: Callable[[], np.ndarray], repeats: int) -> tuple[float, np.ndarray]:
    """Return the least time of ``repeats`` calls, milliseconds, and what the last call returned."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        value = function()
        times.append(time.perf_counter() - begin)
    return 1e3 * min(times), value


def one_by_one(compressor: Compressor, context: bytes, candidates: list[bytes]) -> np.ndarray:
    """Return (n,) L(context + candidate), bits, each by compressing everything again."""
    if compressor.conditional:
        return np.array([compressor.code_lengths(context, [y])[0] for y in candidates])
    return np.array([compressor.code_length(context + y) for y in candidates], dtype=np.float64)


def case(spec: str, size: int, config: dict[str, Any], data: str | None) -> dict[str, Any]:
    """Measure one compressor with ``size`` bytes of context, in this process."""
    compressor = COMPRESSORS.build(spec)
    context = text(size, data)
    meter = compressor.open(context[:-1])
    result: dict[str, Any] = {"compressor": spec, "context": size}

    def step() -> np.ndarray:
        fork = meter.fork()
        fork.extend(context[-1:])
        return fork.code_lengths(BYTES)

    os.environ["COMPGEN_THREADS"] = "1"
    begin = time.perf_counter()
    one_by_one(compressor, context, BYTES[:1])
    once = time.perf_counter() - begin
    sample = max(4, min(256, int(config["budget_seconds"] / once)))
    candidates = BYTES if sample == 256 else BYTES[:: 256 // sample][:sample]
    slow, expected = fastest(lambda: one_by_one(compressor, context, candidates), 1 if sample < 256 else 2)
    result["recompress_ms"] = slow * 256 / len(candidates)
    result["recompressed"] = len(candidates)
    repeats = 1 if once * 256 > config["budget_seconds"] else config["repeats"]
    for threads in config["threads"]:
        os.environ["COMPGEN_THREADS"] = str(threads)
        result[f"meter_{threads}_ms"], lengths = fastest(step, repeats)
        assert np.array_equal(lengths[[y[0] for y in candidates]], expected), (
            f"{spec} at {size}: the meter's lengths are not the compressor's"
        )
    result["speedup"] = result["recompress_ms"] / result["meter_1_ms"]
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", default=str(ROOT / "configs/next_byte.toml"))
    parser.add_argument("--data", default=os.environ.get("COMPGEN_DATA"), help="real data; default: COMPGEN_DATA")
    parser.add_argument("--case", nargs=2, metavar=("SPEC", "BYTES"), help="one case, here, as JSON")
    arguments = parser.parse_args()
    config = tomllib.loads(Path(arguments.config).read_text())
    if arguments.case:
        print(json.dumps(case(arguments.case[0], int(arguments.case[1]), config, arguments.data)))
        return
    columns = [f"meter, {n} thread{'s' * (n > 1)}" for n in config["threads"]]
    headings = ["context", *columns, "recompress", "ratio", "peak MB"]
    print(f"ms for 256 candidates; {'enwik8' if arguments.data else 'nonsense of our own words'}")
    print(f"{'compressor':<20}" + "".join(f"{heading:>18}" for heading in headings))
    results = []
    for spec in config["compressors"]:
        for size in config["context_bytes"]:
            words = [sys.executable, __file__, arguments.config, "--case", spec, str(size)]
            words += ["--data", arguments.data] if arguments.data else []
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{spec} at {size}: {done.stderr.strip().splitlines()[-1]}")
            result = json.loads(done.stdout)
            results.append(result)
            cells = [f"{size}", *(f"{result[f'meter_{n}_ms']:.2f}" for n in config["threads"])]
            scaled = "" if result["recompressed"] == 256 else "*"
            cells += [f"{result['recompress_ms']:.1f}{scaled}", f"{result['speedup']:.1f}", f"{result['peak_mb']:.0f}"]
            print(f"{spec:<20}" + "".join(f"{cell:>18}" for cell in cells), flush=True)
    print("* scaled up from fewer candidates; all lengths compared are equal")
    print(json.dumps({"benchmark": "next_byte", "data": bool(arguments.data), "results": results}))


if __name__ == "__main__":
    main()
