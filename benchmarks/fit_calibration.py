"""Fit the initial weights of the calibrated rule, and write compgen/models/calibration.json.

    python benchmarks/fit_calibration.py [--data DIR] [--pieces N] [--effort NAME]

The mixer learns online; what it has learnt after many pieces of training text, speech and pictures (none of
which is in a benchmark), at a falling rate, is where every row begins. gzip is the compressor; weights fitted for
others were no better for them, and mostly worse, since they are slower and saw less (docs/calibration.md).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.compressors import COMPRESSORS
from compgen.models import calibrated
from compgen.models.calibrated import COMMON_RATE, EFFORTS, RATE, SETS, Row, period
from compgen.models.mixing import WEIGHT_ONE

OUTPUT = Path(calibrated.__file__).with_name("calibration.json")
RATES = (8, 4, 2, 1)  # of the learning, over the rate in use: an equal share of the pieces each
SCORED = 500
REACH = 32_000  # bytes of context at most


def sources(data: Path) -> list[Callable[[random.Random], bytes]]:
    """Return ways to draw a training file: text three times in five, speech, pictures."""
    import soundfile
    from PIL import Image

    with tarfile.open(data / "text/train.tar.xz") as archive:
        members = [m for m in archive if m.isfile() and m.size > 60_000]
        texts = [archive.extractfile(m).read() for m in members]  # type: ignore[union-attr]
    speech = [p for p in sorted((data / "audio/librispeech_train_clean").glob("*.flac")) if p.stat().st_size > 80_000]
    pictures = sorted((data / "image/unsplash512").glob("*.png"))

    def text(generator: random.Random) -> bytes:
        return generator.choice(texts)

    def speech_as_bytes(generator: random.Random) -> bytes:
        samples, _ = soundfile.read(generator.choice(speech), dtype="int16")
        return bytes(((samples >> 8) + 128).astype(np.uint8).tobytes())

    def luminance(generator: random.Random) -> bytes:
        return np.asarray(Image.open(generator.choice(pictures)).convert("L")).tobytes()

    return [text, text, text, speech_as_bytes, luminance]


def beginning(effort: str) -> tuple[NDArray[np.int64], ...]:
    """Return weights that trust the longest context most."""
    orders, sparse = len(EFFORTS[effort].most), len(EFFORTS[effort].sparse)
    families = tuple(np.zeros((sets, 2 + orders + sparse), dtype=np.int64) for sets in SETS)
    families[0][:, 1 + orders] = 6 * WEIGHT_ONE // 10
    families[0][:, [3, 4]] = 2 * WEIGHT_ONE // 10
    return families


def fit(effort: str, pieces: int, draw: list[Callable[[random.Random], bytes]]) -> tuple[NDArray[np.int64], ...]:
    """Return the weights after ``pieces`` pieces."""
    generator = random.Random(1)
    compressor = COMPRESSORS.build("gzip")
    weights = beginning(effort)
    bits, begin = 0.0, time.perf_counter()
    for piece in range(pieces):
        window = b""
        while not window or period(window):  # records bring experts of their own, which begin with a fixed weight
            data = generator.choice(draw)(generator)
            known = int(REACH * generator.random() ** 2)  # short contexts more often than long ones
            start = generator.randrange(known, len(data) - SCORED)
            window = data[start - known : start]
        row = Row(compressor, effort, 2 * REACH, window, weights)
        faster = RATES[piece * len(RATES) // pieces]
        row.mixer.rate, row.mixer.common_rate = RATE * faster, COMMON_RATE * faster
        for symbol in data[start : start + SCORED]:
            bits += 24 - np.log2(row.frequencies()[symbol])
            row.extend(symbol)
        weights = tuple(row.mixer.families)
        if (piece + 1) % max(1, pieces // 8) == 0:
            per_byte = bits / SCORED / max(1, pieces // 8)
            speed = (piece + 1) * SCORED / (time.perf_counter() - begin)
            print(f"{effort} {piece + 1}/{pieces}: {per_byte:.3f} bits per byte, {speed:.0f} bytes/s", flush=True)
            bits = 0.0
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("COMPGEN_DATA"), help="real data; default: COMPGEN_DATA")
    parser.add_argument("--pieces", type=int, default=480)
    parser.add_argument("--effort", choices=sorted(EFFORTS), action="append")
    arguments = parser.parse_args()
    if not arguments.data:
        parser.error("give --data DIR or set COMPGEN_DATA; docs/data.md says where to get the sets")
    draw = sources(Path(arguments.data))
    for effort in arguments.effort or sorted(EFFORTS):
        fitted: dict[str, Any] = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
        fitted[effort] = [family.tolist() for family in fit(effort, arguments.pieces, draw)]
        OUTPUT.write_text(dump(fitted))


def dump(fitted: dict[str, Any]) -> str:
    """Return JSON with one line for each set of weights, so that a difference can be read."""
    text = json.dumps(fitted, indent=1, sort_keys=True)
    return re.sub(r"\[[\s\d,-]+\]", lambda numbers: " ".join(numbers[0].split()), text) + "\n"


if __name__ == "__main__":
    main()
