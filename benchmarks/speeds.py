"""How fast each compressor and model samples and compresses, with numba and without, for ``cgn compressors``.

    python -m benchmarks.speeds [--write]

Bytes per second of English text, on one core, at default options, once loops are compiled and loaded: of a sample
after 2,000 bytes, under the rule that ``cgn sample`` chooses, and of ``compgen.compress``, its verification included.
The last line is JSON. ``--write`` keeps it as ``compgen/cli/speeds.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "examples/prompts/lighthouse.txt").read_bytes()
NAMELESS = ("command", "model", "mixture")
"""They are as fast as what they run."""
LONG_ENOUGH = 0.7
"""Seconds of a measurement, at least. Chosen: two digits are wanted."""
WARM = 1.5
"""Seconds of work before a measurement, at most: loops then run compiled, and their code is loaded."""


def draw(spec: str) -> float:
    """Return the bytes per second of a sample."""
    from compgen.models import load

    state = load(spec).resolved().start([TEXT[:2000]])
    generator = np.random.default_rng(1)
    rate = 0.0
    for seconds in (WARM, LONG_ENOUGH):
        made, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < seconds:
            state.extend(state.locate(generator.integers(1 << 24, size=1))[0])
            made += 1
        rate = made / (time.perf_counter() - begin)
    return rate


def compress(spec: str) -> float:
    """Return the bytes per second of ``compgen.compress``."""
    import compgen

    size, seconds = 64, 0.0
    while seconds < LONG_ENOUGH and size < 1 << 17:
        size *= 2
        data = (TEXT * (size // len(TEXT) + 1))[:size]
        for _ in range(2 if seconds > LONG_ENOUGH / 4 or size == 128 else 1):  # the last one is warm
            begin = time.perf_counter()
            compgen.compress(data, spec)
            seconds = time.perf_counter() - begin
    return size / seconds


def measured() -> dict[str, dict[str, float]]:
    """Return the speeds of everything that is here, to two digits."""
    from compgen.compressors import COMPRESSORS
    from compgen.models import MODELS

    found = {}
    for name in [*COMPRESSORS.names(aliases=False), *MODELS.names()]:
        if name not in NAMELESS:
            found[name] = {"sample": float(f"{draw(name):.2g}"), "compress": float(f"{compress(name):.2g}")}
            print(name, found[name], file=sys.stderr, flush=True)
    return found


def child(way: str) -> Any:
    """Return what a fresh process measures, ``with`` numba or ``without``."""
    environment = {**os.environ, "COMPGEN_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.speeds", "--way", way]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT, env=environment).stdout)


def processor() -> str:
    """Return the name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    """Measure in two processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--way", choices=("with", "without"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        if options.way == "without":
            sys.modules["numba"] = None  # type: ignore[assignment]
        print(json.dumps(measured()))
        return
    with ThreadPoolExecutor(2) as pool:
        plain, compiled = pool.map(child, ("without", "with"))
    speeds = {
        name: {task: {"without_numba": plain[name][task], "with_numba": compiled[name][task]} for task in plain[name]}
        for name in plain
    }
    found = {"machine": processor(), "bytes_per_second": speeds}
    for name, tasks in speeds.items():
        print(
            f"{name:10}",
            *(f"{task} {two['without_numba']:>9,.0f} {two['with_numba']:>9,.0f}" for task, two in tasks.items()),
        )
    if options.write:
        (ROOT / "compgen/cli/speeds.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
