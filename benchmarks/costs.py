"""Compare what decoding takes with the models' own estimates of it, which bound what a file may choose.

    python -m benchmarks.costs [--quick]

For each model, it prints the memory of a state after some bytes of noise in each of its rows, measured as growth of the
peak of a process of its own, beside ``ByteModel.memory``; and the time to load it and of the fingerprint beside
``ByteModel.start_time``. Compiled loops are left out, as their library takes 130 MB once. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from typing import Any

CASES = [
    # spec, rows, bytes in each row
    ("uniform", 4096, 4),
    ("backoff", 16, 8000),
    ("backoff:order=32", 4, 2000),
    ("history", 100, 2),
    ("history", 4, 5000),
    ("history:stride=1000", 4, 2000),
    ("signal:stride=24,pixel=2,depth=16", 4, 2000),
    ("signal:pixel=1", 50, 2),
    ("gzip:rule=one-step", 500, 2),
    ("gzip:rule=decoder", 64, 300),
    ("gzip:rule=decoder", 32, 2000),
    ("xz:rule=decoder", 16, 1100),
    ("zstd:rule=decoder", 32, 300),
    ("brotli:rule=decoder", 16, 1000),
    ("brotli:rule=decoder,quality=11", 16, 1000),
    ("ppmd:rule=decoder", 200, 300),
    ("ppmd:rule=decoder,order=64", 16, 3000),
    ("png:rule=decoder", 64, 300),
    ("png:rule=decoder", 16, 2000),
    ("png:rule=decoder,width=700", 8, 1000),
    ("png:rule=decoder,width=65536,channels=4", 4, 300),
    ("null:rule=decoder", 32, 1000),
    ("gzip:rule=calibrated", 200, 2),
    ("gzip:rule=calibrated", 8, 2000),
    ("xz:rule=calibrated", 200, 2),
    ("zstd:rule=calibrated", 8, 1000),
    ("brotli:rule=calibrated", 8, 1000),
    ("ppmd:rule=calibrated", 100, 2),
    ("png:rule=calibrated", 8, 1000),
    ("flac:rule=decoder", 8, 1000),
    ("flac:rule=calibrated", 8, 1000),
    ("zstd-dict:rule=calibrated", 200, 2),
    ("bz2:rule=calibrated", 8, 1000),
    ("bz2:rule=calibrated,effort=best", 4, 1000),
    ("bz2:rule=calibrated,stride=24,pixel=2,depth=16", 4, 1000),
    ("png:rule=calibrated,width=4096", 100, 2),
    ("gzip:rule=calibrated+xz:rule=calibrated", 100, 2),
    ("llm", 64, 64),
]
QUICK = {"uniform", "backoff", "gzip:rule=one-step", "gzip:rule=decoder"}


def measured(spec: str, rows: int, length: int) -> dict[str, Any]:
    """Return what a state of ``rows`` rows takes after ``length`` bytes of noise in each, in this process."""
    import numpy as np

    from compgen.coding.fingerprint import fingerprint
    from compgen.models import load

    load("gzip").start([b""])  # loads modules
    begin = time.process_time()
    model = load(spec)  # may fit a law
    seconds = time.process_time() - begin
    state = model.start([b""])  # loads libraries
    state.frequencies()
    begin = time.process_time()
    fingerprint(model)
    seconds += time.process_time() - begin
    noise = np.frombuffer(random.Random(1).randbytes(rows * length), dtype=np.uint8).reshape(length, rows)
    before = _peak()
    state = model.start([b""] * rows)
    for column in noise:
        state.frequencies()
        state.extend(column)
    state.frequencies()
    return {
        "spec": spec,
        "rows": rows,
        "bytes": length,
        "memory": _peak() - before,
        "memory_estimate": model.memory(rows, length),
        "start": seconds,
        "start_estimate": model.start_time,
    }


def _peak() -> int:
    """Return the peak memory of this process, bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="four models")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        sys.modules["numba"] = None  # type: ignore[assignment]  # an import then fails as if it were not installed
        print(json.dumps(measured(arguments.one[0], int(arguments.one[1]), int(arguments.one[2]))))
        return
    print(f"{'model':<50}{'rows':>6}{'bytes':>7}{'MB':>9}{'estimate':>10}{'start s':>9}{'estimate':>10}")
    results = []
    for spec, rows, length in CASES:
        if arguments.quick and spec not in QUICK:
            continue
        words = [sys.executable, "-m", "benchmarks.costs", "--one", spec, str(rows), str(length)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{spec:<50}  {done.stderr.strip().splitlines()[-1][:100]}")
            continue
        row = json.loads(done.stdout)
        results.append(row)
        memory = f"{row['memory'] / 1e6:>9.1f}{row['memory_estimate'] / 1e6:>10.1f}"
        start = f"{row['start']:>9.2f}{row['start_estimate']:>10.2f}"
        print(f"{spec:<50}{rows:>6}{length:>7}{memory}{start}", flush=True)
    over = [row["spec"] for row in results for key in ("memory", "start") if row[key] > row[f"{key}_estimate"]]
    print(json.dumps({"benchmark": "costs", "quick": arguments.quick, "over": over, "results": results}))


if __name__ == "__main__":
    main()
