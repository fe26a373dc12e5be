"""The calibrated rule: derived and own bits per byte on identical windows.

    python -m benchmarks.calibration [CONFIG] [--data DIR] [--quick]

For each spec and file it prints the rate of the derived distribution with its standard error, the compressor's own
rate, their ratio, and the bytes scored per second, over windows spread evenly over the file. Then it prints what text
costs under the one-step rule (with whole bytes, as ziplm does, and with exact bits) and under a backoff model. The
last line is JSON. ``--quick`` takes one short window of each file, for CI.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

import compgen
from benchmarks.real_data import parsed, read, windows
from compgen.compressors import COMPRESSORS
from compgen.registry import split_mixture

ROOT = Path(__file__).resolve().parent.parent


def rate(spec: str, pairs: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Return the derived rate, its standard error and the own rate over all windows, bits per byte; and the speed."""
    scores = [compgen.score(spec, segment, context) for context, segment in pairs]
    surprisals = np.concatenate([score.surprisals for score in scores])
    own = [score.own_bpb for score in scores if score.own_bpb is not None]
    return {
        "derived": float(surprisals.mean()),
        "error": float(surprisals.std(ddof=1) / np.sqrt(len(surprisals))),
        "own": float(np.mean(own)) if own else None,
        "bytes_per_second": len(surprisals) / sum(score.seconds for score in scores),
    }


def one_step(pairs: list[tuple[bytes, bytes]], count: int) -> dict[str, float]:
    """Return gzip's one-step rates with whole bytes (ziplm's formula) and exact bits, on ``count`` bytes a window."""
    gzip = COMPRESSORS.build("gzip")
    candidates = [bytes([b]) for b in range(256)]
    whole: list[float] = []
    exact: list[float] = []
    for context, segment in pairs:
        meter = gzip.open(context)
        for symbol in segment[:count]:
            bits = meter.code_lengths(candidates)
            for lengths, surprisals in ((np.ceil(bits / 8) * 8, whole), (bits, exact)):
                total = np.log2(np.exp2(lengths.min() - lengths).sum()) - lengths.min()
                surprisals.append(lengths[symbol] + total)
            meter.extend(candidates[symbol])
    return {"one_step_whole_bytes": float(np.mean(whole)), "one_step_exact_bits": float(np.mean(exact))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", default=str(ROOT / "configs/calibration.toml"))
    parser.add_argument("--quick", action="store_true", help="one short window of each file")
    arguments = parsed(parser)
    data = arguments.data
    config = tomllib.loads(Path(arguments.config).read_text())
    results = []
    print(f"{'spec':<34}{'file':<26}{'derived':>16}{'own':>8}{'ratio':>8}{'bytes/s':>9}")
    for run in config["runs"]:
        scored, offsets = (20, 1) if arguments.quick else (run["scored"], run["offsets"])
        every = config["text"] if run.get("text_only") else [*config["text"], *config["other"]]
        for name in run.get("files", every):
            pairs = windows(read(data, name), run["context"], scored, offsets)
            specs = [m for s in run["specs"] for m in (split_mixture(s) if run.get("members") else [])] + run["specs"]
            for spec in specs:
                result = {"spec": spec, "file": name, "context": run["context"], **rate(spec, pairs)}
                results.append(result)
                own, ratio = "-", "-"
                if result["own"] is not None:
                    own = f"{result['own']:.3f}"
                    # A few bytes may fit into the last byte of the context's code. Then they cost nothing.
                    ratio = f"{result['derived'] / result['own']:.3f}" if result["own"] else "-"
                derived = f"{result['derived']:.3f} ± {result['error']:.3f}"
                speed = f"{result['bytes_per_second']:.0f}"
                print(f"{spec:<34}{name:<26}{derived:>16}{own:>8}{ratio:>8}{speed:>9}", flush=True)
    run = config["runs"][0]
    count, offsets = (5, 1) if arguments.quick else (config["one_step_bytes"], config["one_step_offsets"])
    print(f"\ngzip on text, the first {count} bytes of {offsets} windows, beside other ways (bits per byte)")
    for name in config["text"]:
        pairs = windows(read(data, name), run["context"], count, offsets)
        row = {"file": name, **one_step(pairs, count)}
        for spec in ("gzip:rule=calibrated", config["backoff"]):
            row[spec] = rate(spec, pairs)["derived"]
        results.append(row)
        print(
            "  ".join(
                f"{key} {value if isinstance(value, str) else format(value, '.3f')}" for key, value in row.items()
            )
        )
    print(json.dumps({"benchmark": "calibration", "quick": arguments.quick, "results": results}))


if __name__ == "__main__":
    main()
