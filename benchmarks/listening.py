"""Whether a rule listens: derived rates should follow own rates from one compressor to another.

    python -m benchmarks.listening [--data DIR] [--rules decoder,calibrated] [--scored N] [--quick]

On each window of a file every compressor has a rate of its own, and a derived rate under the rule. A rule that listens
derives low rates where the compressor itself has low ones. So each rate is taken minus the mean of its window over the
compressors, and the pairs are compared: their correlation; the slope of derived on own; and the share of pairs of
compressors, within windows, that both rates put in the same order; ties count half. Then the same without records, and
for the LZ family alone. In brackets stands what *names alone* would score, a control that gives each compressor its
mean derived rate in every window: it knows which compressor is better, and nothing of the window. ``null``, which knows
nothing, and ``zlib``, which is gzip in another container, are controls and no members: null's derived rate is what the
rule gives without any compressor, and zlib's must be gzip's. The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

import compgen
from benchmarks.real_data import parsed

MEMBERS = ("gzip", "xz", "zstd", "brotli", "ppmd")
LZ = ("gzip", "xz", "zstd", "brotli")
CONTROLS = ("null", "zlib")
RECORDS = ("kennedy.xls", "geo")
FILES = (
    "canterbury/alice29.txt",
    "calgary/book2",
    "calgary/news",
    "canterbury/asyoulik.txt",
    "calgary/progc",
    "calgary/progl",
    "calgary/bib",
    "calgary/trans",
    "canterbury/cp.html",
    "calgary/obj2",
    "calgary/geo",
    "canterbury/kennedy.xls",
)
CONTEXT = 8000  # bytes


def rates(data: bytes, rule: str, scored: int) -> dict[str, tuple[float, float]]:
    """Return (own, derived) bits per byte of each compressor, in the middle of ``data``."""
    begin = (len(data) - CONTEXT - scored) // 2
    context, segment = data[begin : begin + CONTEXT], data[begin + CONTEXT : begin + CONTEXT + scored]
    found = {}
    for name in (*MEMBERS, *CONTROLS):
        score = compgen.score(name, segment, context, rule=rule)
        assert score.own_bpb is not None
        found[name] = score.own_bpb, score.derived_bpb
    return found


def centred(windows: dict[str, dict[str, tuple[float, float]]], members: tuple[str, ...]) -> np.ndarray:
    """Return (windows, members, 2) own and derived rates, each minus its window's mean over the members."""
    table = np.array([[window[name] for name in members] for window in windows.values()])
    centred_table: np.ndarray = table - table.mean(axis=1, keepdims=True)
    return centred_table


def agreement(table: np.ndarray) -> dict[str, float]:
    """Return the correlation, the slope of derived on own rates, and the share of pairs in the same order."""
    own, derived = table[:, :, 0].ravel(), table[:, :, 1].ravel()
    same = [
        (1 + np.sign(row[i, 0] - row[j, 0]) * np.sign(row[i, 1] - row[j, 1])) / 2
        for row in table
        for i, j in itertools.combinations(range(len(row)), 2)
    ]
    return {
        "correlation": float(np.corrcoef(own, derived)[0, 1]),
        "slope": float((own * derived).sum() / (own * own).sum()),
        "same_order": float(np.mean(same)),
    }


def names_alone(table: np.ndarray) -> np.ndarray:
    """Return ``table`` with each compressor's derived rate replaced by its mean over the windows."""
    control = table.copy()
    control[:, :, 1] = table[:, :, 1].mean(axis=0)
    return control


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", default="decoder,calibrated")
    parser.add_argument("--scored", type=int, default=600, help="bytes of each window")
    parser.add_argument("--quick", action="store_true", help="three windows of 20 bytes")
    arguments = parsed(parser)
    files, scored = (FILES[:2] + FILES[-1:], 20) if arguments.quick else (FILES, arguments.scored)
    results: dict[str, Any] = {}
    for rule in arguments.rules.split(","):
        names = (*MEMBERS, *CONTROLS)
        print(f"\n{rule}: own / derived, bits per byte\n{'':<14}" + "".join(f"{name:>15}" for name in names))
        windows = {}
        for path in files:
            name = Path(path).name
            window = windows[name] = rates((arguments.data / "corpora" / path).read_bytes(), rule, scored)
            cells = "".join(f"{f'{own:.2f} / {derived:.2f}':>15}" for own, derived in window.values())
            print(f"{name:<14}{cells}", flush=True)
        plain = {name: window for name, window in windows.items() if name not in RECORDS}
        results[rule] = {"windows": windows}
        for label, chosen, members in (
            ("all", windows, MEMBERS),
            ("without records", plain, MEMBERS),
            ("LZ family", windows, LZ),
            ("LZ family, without records", plain, LZ),
        ):
            table = centred(chosen, members)
            found, control = agreement(table), agreement(names_alone(table))
            results[rule][label] = {"rule": found, "names_alone": control}
            shown = [f"{key.replace('_', ' ')} {value:.2f} ({control[key]:.2f})" for key, value in found.items()]
            print(f"{label + ':':<28}{', '.join(shown)}")
        null = np.mean([window["null"][1] for window in windows.values()])
        best = np.mean([min(window[name][1] for name in MEMBERS) for window in windows.values()])
        print(f"null control: {null:.2f} derived, where the best member of each window has {best:.2f}")
    print(json.dumps({"benchmark": "listening", "quick": arguments.quick, "results": results}))


if __name__ == "__main__":
    main()
