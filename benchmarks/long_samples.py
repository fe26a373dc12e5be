"""Measure whether long samples of sound and pictures stay alive and bounded, by level, spectrum and gradients.

    python -m benchmarks.long_samples [--data DIR] [--specs SPEC ...] [--only ITEM] [--seconds S] [--quick]

Each spec continues sound (speech, a solo guitar, music, noise; 8 bits, mu-law and 16 bits at 8 kHz) and pictures
(digits, line art, photographs; the lower half), four samples each, frozen as samplers freeze. A sample is cut into
fifths. Columns, over all samples of a row:

- ``held``: share of samples of which every fifth is within 6 dB of the prompt's level; ``first`` and ``last``: the
  level of the first and the last fifth beside the prompt's, median, dB. The level of sound is its power around the
  mean; that of a picture the power of its gradients, the differences between neighbours.
- ``full``: the greatest share of values above 0.99 of full scale in a sample, and in brackets the prompt's. A
  picture may be black and white; there it is the share of both.
- ``shape``: for sound the distance of its spectrum from the prompt's, dB; for pictures the ratio of the mean gradients.
- ``black``: of pictures, the share of rows without a value above 16, and in brackets the prompt's.

``original`` is what really follows; ``uniform`` knows nothing. Noise and line art are made here. The last line is JSON.
``--quick`` takes short samples after prompts that the project makes, and needs no data.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import compgen
from compgen.errors import CompgenError, LossWarning
from compgen.evaluation.metrics import spectrum_distance
from compgen.gallery.material import MADE
from compgen.media.audio import CODINGS, Audio
from compgen.media.image import Image
from compgen.models import load

BOTH, SOUND, PICTURES = ("sound", "pictures"), ("sound",), ("pictures",)
SPECS = {
    "gzip": BOTH,
    "xz": BOTH,
    "ppmd": BOTH,
    "flac": SOUND,
    "png": PICTURES,
    "gzip:rule=calibrated": BOTH,
    "flac:rule=calibrated": SOUND,
    "png:rule=calibrated": PICTURES,
    "jpegxl": PICTURES,
    "signal": BOTH,
    "flac+signal": SOUND,
    "png+signal": PICTURES,
    "uniform": BOTH,
}
"""The rows of each table, and the media that each continues; their layout is told to all."""
QUICK = ("gzip", "gzip:rule=calibrated", "uniform")
SAMPLES = 4
"""Samples of each item by each spec. Chosen: so the whole table takes some ten minutes on one core."""
RATE = 8000
GIVEN = 2.0
"""Seconds of sound before a sample. Chosen: 32 KB at 16 bits, what gzip looks back."""
SIZE = 48
"""Rows and columns of a picture; half of the rows are given."""
FIFTHS, HELD = 5, 6.0  # parts of a sample; dB

SOUNDS = {
    "speech": ("audio/librispeech_test_other/1998-15444-0000.flac", 11.1),
    "guitar": ("audio/sonicpi/guit_em9.flac", 2.5),
    "music": ("audio/sonicpi/loop_garzul.flac", 3.6),
}
"""Files, and where the sample begins, seconds: where the original itself is held. In the music the calibrated rule used
to run away (docs/log.md)."""
PHOTOGRAPHS = {
    "camera": ("image/skimage/camera.png", 1, 240, 340),
    "parrots": ("image/kodak_half/kodim23.png", 3, 20, 80),
}
"""Files, channels, and left and top of the crops: where the original itself is held."""
DIGIT, ABOVE = 40, 36  # which digit is completed, and how many whole digits are given above it: 28 KB


@dataclass(frozen=True)
class Item:
    """A prompt and what follows it, as bytes of a medium."""

    name: str
    medium: Audio | Image
    given: bytes
    original: bytes


def sounds(data: Path | None, seconds: float) -> list[Item]:
    """Return the items of sound, of each kind in each coding; without data one that is made here, in one coding."""
    files = {"vowels": (MADE["vowels"](), 1.0)}
    if data is not None:
        files = {name: ((data / path).read_bytes(), start) for name, (path, start) in SOUNDS.items()}
    noise = np.random.default_rng(5).normal(0, 0.1, round((GIVEN + seconds) * RATE))
    files["noise"] = (Audio("16-bit", RATE, 1).decode(_sixteen(noise), ".wav"), GIVEN)
    items = []
    for name, (file, start) in files.items():
        for coding in CODINGS if data is not None else CODINGS[:1]:
            medium = Audio(coding, RATE, 1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LossWarning)  # eight bits are what is measured
                encoded, _ = medium.encode(file)
            width = medium.layout.pixel
            at, length = round(start * RATE) * width, round(seconds * RATE) * width
            given = encoded[max(0, at - round(GIVEN * RATE) * width) : at]
            items.append(Item(f"{name}, {coding}", medium, given, encoded[at : at + length]))
    return items


def _sixteen(sound: NDArray[np.float64]) -> bytes:
    return np.rint(32768 + 32767 * np.clip(sound, -1, 1)).astype(">u2").tobytes()


def pictures(data: Path | None) -> list[Item]:
    """Return the items that are pictures: halves."""
    planes = {"line art": _line_art()}
    if data is not None:
        planes["digit"] = digits(data)[DIGIT]
    files = {"hills": (MADE["hills"](), 1, 0, 0)}
    if data is not None:
        files = {
            name: ((data / path).read_bytes(), channels, left, top)
            for name, (path, channels, left, top) in PHOTOGRAPHS.items()
        }
    for name, (file, channels, left, top) in files.items():
        encoded, medium = Image(channels=channels).encode(file)
        whole = np.frombuffer(encoded, np.uint8).reshape(-1, medium.width, channels)
        planes[name] = whole[top : top + SIZE, left : left + SIZE]
    items = []
    for name, plane in planes.items():
        channels = plane.shape[2] if plane.ndim == 3 else 1
        half = len(plane) // 2
        medium = Image(channels=channels, width=plane.shape[1])
        above = digits(data)[DIGIT - ABOVE : DIGIT].tobytes() if data is not None and name == "digit" else b""
        items.append(Item(name, medium, above + plane[:half].tobytes(), plane[half:].tobytes()))
    return items


def digits(data: Path) -> NDArray[np.uint8]:
    """Return (n, 28, 28) handwritten digits of MNIST."""
    file = gzip.decompress((data / "image/mnist/t10k-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(file, np.uint8, offset=16).reshape(-1, 28, 28)


def _line_art() -> NDArray[np.uint8]:
    """Return black lines on white: two grids of slanted lines, and a circle."""
    y, x = np.mgrid[:SIZE, :SIZE]
    black = ((x + y) % 16 < 2) | ((x - 2 * y) % 23 < 1) | (np.abs(np.hypot(x - 32, y - 30) - 20) < 1)
    return np.where(black, 0, 255).astype(np.uint8)


def level(item: Item, data: bytes, first: int, last: int) -> float:
    """Return the level of a part of ``data``, from its fifth ``first`` to before ``last``, dB."""
    if isinstance(item.medium, Audio):
        sound = item.medium.waveform(data)
        part = sound[len(sound) * first // FIFTHS : len(sound) * last // FIFTHS]
        power = float(np.square(part - part.mean()).mean())
    else:
        rows = _rows(item, data)
        part = rows[len(rows) * first // FIFTHS : len(rows) * last // FIFTHS]
        power = float(np.mean([np.square(np.diff(part, axis=axis) / 255).mean() for axis in (0, 1)]))
    return 10 * float(np.log10(power + 1e-9))


def _rows(item: Item, data: bytes) -> NDArray[np.float64]:
    """Return a picture as (rows, width, channels) values."""
    assert isinstance(item.medium, Image)
    return np.frombuffer(data, np.uint8).reshape(-1, item.medium.width, item.medium.channels or 3).astype(np.float64)


def full(item: Item, data: bytes) -> float:
    """Return the share of values above 0.99 of full scale: of sound; of pictures, that are black or white."""
    if isinstance(item.medium, Audio):
        return float((np.abs(item.medium.waveform(data)) > 0.99).mean())
    return float((np.abs(np.frombuffer(data, np.uint8) / 127.5 - 1) > 0.99).mean())


def shape(item: Item, data: bytes) -> float:
    """Return how far the spectrum is from the prompt's, dB, or the ratio of mean gradients."""
    if isinstance(item.medium, Audio):
        return spectrum_distance(item.medium.waveform(data), item.medium.waveform(item.given))
    sample, given = (
        np.mean([np.abs(np.diff(_rows(item, part), axis=axis)).mean() for axis in (0, 1)])
        for part in (data, item.given)
    )
    return float(sample / max(given, 1e-9))


def black(item: Item, data: bytes) -> float | None:
    """Return the share of rows of a picture without a value above 16; None for sound."""
    return None if isinstance(item.medium, Audio) else float((_rows(item, data).max(axis=(1, 2)) <= 16).mean())


def measured(item: Item, samples: list[bytes]) -> dict[str, float | None]:
    """Return the columns of samples that continue an item."""
    prompt = level(item, item.given, 0, FIFTHS)
    levels = [[level(item, data, k, k + 1) - prompt for k in range(FIFTHS)] for data in samples]
    dark = [black(item, data) for data in samples]
    return {
        "held": float(np.mean([max(map(abs, of_one)) < HELD for of_one in levels])),
        "first": float(np.median([of_one[0] for of_one in levels])),
        "last": float(np.median([of_one[-1] for of_one in levels])),
        "full": max(full(item, data) for data in samples),
        "shape": float(np.mean([shape(item, data) for data in samples])),
        "black": None if None in dark else float(np.mean([share for share in dark if share is not None])),
    }


def show(name: str, row: dict[str, float | None], item: Item, seconds: float) -> None:
    """Print a row of the table."""
    assert row["held"] is not None
    cells = [f"{100 * row['held']:>5.0f}%", f"{row['first']:>+7.1f}", f"{row['last']:>+7.1f}"]
    cells += [f"{row['full']:>7.3f} ({full(item, item.given):.3f})", f"{row['shape']:>7.2f}"]
    if row["black"] is not None:
        cells.append(f"{row['black']:>6.2f} ({black(item, item.given):.2f})")
    print(f"  {name:<26}" + " ".join(cells) + (f"   {seconds:.1f} s" if seconds else ""), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("COMPGEN_DATA"), help="real data; default: COMPGEN_DATA")
    parser.add_argument("--specs", nargs="+", help="rows; default: all of the list in this file")
    parser.add_argument("--only", default="", help="only items whose name holds this")
    parser.add_argument("--seconds", type=float, default=0.3, help="length of samples of sound")
    parser.add_argument("--quick", action="store_true", help="short samples after made prompts")
    arguments = parser.parse_args()
    if not arguments.quick and not arguments.data:
        parser.error("give --data DIR or set COMPGEN_DATA; docs/data.md says where to get the sets")
    data = None if arguments.quick else Path(arguments.data)
    seconds = 0.02 if arguments.quick else arguments.seconds
    specs = {spec: SPECS.get(spec, BOTH) for spec in arguments.specs or (QUICK if arguments.quick else SPECS)}
    print(f"{'':<28}  held   first    last    full (prompt)   shape   black (prompt)")
    results = []
    for item in [*sounds(data, seconds), *pictures(data)]:
        if arguments.only not in item.name:
            continue
        print(item.name)
        row = measured(item, [item.original])
        show("original", row, item, 0)
        results.append({"item": item.name, "spec": "original", **row})
        for spec, media in specs.items():
            if ("sound" if isinstance(item.medium, Audio) else "pictures") not in media:
                continue
            begun = time.process_time()
            try:
                model = load(spec, layout=item.medium.layout)
            except CompgenError as error:
                print(f"{spec}: left out: {error}", file=sys.stderr)
                continue
            size = len(item.original) // (2 if arguments.quick else 1)
            found = compgen.sample(model, item.given, length=size, samples=SAMPLES, seed=1, frozen=True, allow="bytes")
            samples = [one.data for one in found]
            row = measured(item, samples)
            show(spec, row, item, time.process_time() - begun)
            results.append({"item": item.name, "spec": spec, **row})
    print(json.dumps({"benchmark": "long_samples", "quick": arguments.quick, "samples": SAMPLES, "results": results}))


if __name__ == "__main__":
    main()
