"""Measure rates on sound and pictures: derived from compressors, with and without the layout, and their own.

    python -m benchmarks.media [--data DIR] [--bytes N] [--spec SPEC]

The items are Kodak photographs as gray and RGB rows, and LibriSpeech in 8 and 16 bits. In the middle of each item, the
script scores N bytes after 24,000 bytes of context, the same for every spec. It prints the mean of the rates in bits
per byte over the items, and its standard error. ``layout`` is what `cgn sample` and galleries tell a model about a
picture or sound. An own rate is what the next 6,000 bytes add to the code length of the 24,000 before, for each of
these bytes: a codec of pictures completes the last row with the row above, so that fewer bytes would say next to
nothing. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from benchmarks.real_data import parsed
from compgen.evaluation.score import score
from compgen.media import MEDIA, Layout
from compgen.models import load
from compgen.models.derived.model import CodeLengthModel

PICTURES = tuple(f"image/kodak_half/kodim{number}.png" for number in ("01", "05", "15", "23"))
SPEECH = tuple(
    f"audio/librispeech_test_other/{name}-0000.flac"
    for name in ("1688-142285", "1998-15444", "2414-128291", "3005-163389")
)
SETS = (
    ("kodak, gray", "image:channels=1", PICTURES),
    ("kodak, RGB", "image", PICTURES),
    ("speech, 8 bits", "audio", SPEECH),
    ("speech, 16 bits", "audio:coding=16-bit", SPEECH),
)
CONTEXT = 24_000
"""Bytes of context before those that are scored. Chosen: within the 32 KB that gzip looks back."""

OWN = 6000
"""Bytes that own rates are measured over. Chosen: several rows of a picture."""

_PLACE = 0.6
"""The share of an item before the bytes that are scored. Chosen."""

SPECS = ("gzip", "png", "flac", "zstd-dict", "gzip+png")
SLOW = ("jpegxl", "ppmd")
"""Specs that are scored on fewer bytes, since they compress the whole context for each candidate."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--bytes", type=int, default=900, help="bytes scored in each item; a third of them for slow specs"
    )
    parser.add_argument("--spec", action="append", help="print derived rates of this spec alone; own rates are of all")
    arguments = parsed(parser)
    results: dict[str, dict[str, list[float]]] = {}
    for label, medium, names in SETS:
        row = results.setdefault(label, {})
        for name in names:
            data, fitted = MEDIA.build(medium).encode((arguments.data / name).read_bytes())
            start = int(len(data) * _PLACE) // fitted.unit * fitted.unit
            context = data[max(0, start - CONTEXT // fitted.unit * fitted.unit) : start]
            segment = data[start : start + OWN // fitted.unit * fitted.unit]
            for spec in (*SPECS, *SLOW):
                scored = segment[: arguments.bytes // (3 if spec in SLOW else 1)]
                ways: list[tuple[str, Layout | None]] = [("layout", fitted.layout)]
                if spec == "gzip":
                    ways = [("no layout", None), ("rows alone", Layout(fitted.layout.stride)), *ways]
                for way, layout in ways if spec in (arguments.spec or [spec]) else ():
                    rate = score(load(spec, rule="calibrated", layout=layout), scored, context).derived_bpb
                    row.setdefault(f"{spec}, {way}", []).append(rate)
                model = load(spec, rule="calibrated", layout=fitted.layout)
                if isinstance(model, CodeLengthModel):
                    before, after = model.compressor.code_lengths(context, [b"", segment])
                    row.setdefault(f"{spec}, own rate", []).append(float(after - before) / len(segment))
            print(f"{label}: {name}", flush=True)
    print(f"{'':<24}" + "".join(f"{label:>18}" for label in results))
    for key in next(iter(results.values())):
        print(
            f"{key:<24}" + "".join(f"{np.mean(row[key]):>11.2f} ± {_error(row[key]):.2f}" for row in results.values())
        )
    table = {
        label: {key: {"mean": float(np.mean(rates)), "error": _error(rates)} for key, rates in row.items()}
        for label, row in results.items()
    }
    print(json.dumps({"benchmark": "media", "bytes": arguments.bytes, "bits_per_byte": table}))


def _error(rates: list[float]) -> float:
    return float(np.std(rates, ddof=1) / np.sqrt(len(rates)))


if __name__ == "__main__":
    main()
