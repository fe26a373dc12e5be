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
    ("speech, 8 bits", "audio:coding=linear", SPEECH),
    ("speech, 16 bits", "audio:coding=16-bit", SPEECH),
)
CONTEXT = 24_000
"""Bytes of context before those that are scored. Chosen: within the 32 KB that gzip looks back."""

OWN = 6000
"""Bytes that own rates are measured over. Chosen: several rows of a picture."""

_PLACE = 0.6
"""The share of an item before the bytes that are scored. Chosen."""

COMPRESSORS = ("gzip", "png", "flac", "xz", "zstd", "ppmd", "null")
"""Compressors with a law: each has its own rate, that of its law, and that of its law calibrated."""
OTHERS = ("jpegxl:rule=calibrated", "signal", "gzip+signal", "png+signal", "flac+signal")
"""jpegxl has no law; its proposals are priced. ``signal`` is no compressor. Mixtures take compressors by their laws."""


def rates_of(spec: str, context: bytes, segment: bytes, scored: bytes, layout: Layout) -> dict[str, float]:
    """Return the rates of a row of SPECS by their names, bits per byte."""
    named = [f"{spec}:rule={rule}" for rule in ("decoder", "calibrated")] if spec in COMPRESSORS else [spec]
    models = {name: load(name, layout=layout) for name in named}
    found = {}
    first = models[named[0]]
    if isinstance(first, CodeLengthModel):
        before, after = first.compressor.code_lengths(context, [b"", segment])
        found[f"{spec.split(':')[0]}, own rate"] = float(after - before) / len(segment)
    for name, model in models.items():
        found[name] = score(model, scored, context).derived_bpb
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=900, help="bytes scored in each item")
    parser.add_argument("--spec", action="append", help="a row; default: all of the lists in this file")
    arguments = parsed(parser)
    results: dict[str, dict[str, list[float]]] = {}
    for label, medium, names in SETS:
        row = results.setdefault(label, {})
        for name in names:
            data, fitted = MEDIA.build(medium).encode((arguments.data / name).read_bytes())
            start = int(len(data) * _PLACE) // fitted.unit * fitted.unit
            context = data[max(0, start - CONTEXT // fitted.unit * fitted.unit) : start]
            segment = data[start : start + OWN // fitted.unit * fitted.unit]
            scored = segment[: arguments.bytes]
            for spec in arguments.spec or (*COMPRESSORS, *OTHERS):
                for key, rate in rates_of(spec, context, segment, scored, fitted.layout).items():
                    row.setdefault(key, []).append(rate)
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
