"""Rates on sound and pictures: derived from compressors, with and without the layout, and the compressors' own.

    python benchmarks/media.py [--data DIR] [--bytes N]

Bits per byte on identical windows: after 24,000 bytes, the next N in the middle of each item: Kodak photographs as gray
and RGB rows, LibriSpeech as 8 and 16 bits. ``layout`` is what `cgn sample` and galleries tell a model of a picture or
sound. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np

from compgen.evaluation.score import own_rate, score
from compgen.media import MEDIA, Layout
from compgen.models import load
from compgen.models.code_length import CodeLengthModel

ITEMS = (
    ("kodak, gray", "image:channels=1", "image/kodak_half/kodim23.png"),
    ("kodak, gray", "image:channels=1", "image/kodak_half/kodim01.png"),
    ("kodak, RGB", "image", "image/kodak_half/kodim23.png"),
    ("kodak, RGB", "image", "image/kodak_half/kodim01.png"),
    ("speech, 8 bits", "audio", "audio/librispeech_test_other/1998-15444-0000.flac"),
    ("speech, 16 bits", "audio:coding=16-bit", "audio/librispeech_test_other/1998-15444-0000.flac"),
)
CONTEXT = 24_000
_PLACE = 0.6  # of an item, where scoring begins
SPECS = ("gzip", "png", "flac", "zstd-dict", "gzip+png")
SLOW = ("jpegxl", "ppmd")  # a candidate is a whole compression: fewer bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("COMPGEN_DATA"), help="real data; default: COMPGEN_DATA")
    parser.add_argument("--bytes", type=int, default=900, help="bytes scored in each place; slow ones: a third")
    arguments = parser.parse_args()
    if not arguments.data:
        parser.error("give --data DIR or set COMPGEN_DATA; docs/data.md says where to get the sets")
    results: dict[str, dict[str, list[float]]] = {}
    for label, medium, name in ITEMS:
        data, fitted = MEDIA.build(medium).encode((Path(arguments.data) / name).read_bytes())
        start = int(len(data) * _PLACE) // fitted.unit * fitted.unit
        context, segment = data[max(0, start - CONTEXT // fitted.unit * fitted.unit) : start], data[start:]
        row = results.setdefault(label, {})
        for spec in (*SPECS, *SLOW):
            scored = segment[: arguments.bytes // (3 if spec in SLOW else 1)]
            ways: list[tuple[str, Layout | None]] = [("layout", fitted.layout)]
            if spec == "gzip":
                ways = [("no layout", None), ("rows alone", Layout(fitted.layout.stride)), *ways]
            for way, layout in ways:
                model = load(spec, layout=layout)
                row.setdefault(f"{spec}, {way}", []).append(score(model, scored, context).derived_bpb)
            if isinstance(model, CodeLengthModel):
                row.setdefault(f"{spec}, own rate", []).append(own_rate(model, scored, context))
    means = {label: {key: float(np.mean(rates)) for key, rates in row.items()} for label, row in results.items()}
    print(f"{'':<24}" + "".join(f"{label:>18}" for label in means))
    for key in next(iter(means.values())):
        print(f"{key:<24}" + "".join(f"{row[key]:>18.3f}" for row in means.values()), flush=True)
    print(json.dumps({"benchmark": "media", "bytes": arguments.bytes, "bits_per_byte": means}))


if __name__ == "__main__":
    main()
