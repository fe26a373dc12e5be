"""Draw how compressors continue pictures and sound: the figures of docs/decoder-law.md.

    python -m benchmarks.media_sheets [--data DIR] [--out DIR] [--only NAME]

``halves.png``: the lower half of a crop of a photograph. ``digits.png``: lower halves of handwritten digits, each
below 36 whole digits, of which the last is shown. ``spectrograms.png``: a second of speech in 8 bits after two that are
given, of which half a second is shown; time across, frequency upwards, to 4 kHz. Each has the original first, and then
a column for each spec of ``COLUMNS``, in that order, with one seed for all. Everything is drawn frozen, as samplers
freeze. It takes some minutes.
"""

from __future__ import annotations

import argparse
import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

import compgen
from benchmarks.long_samples import ABOVE, DIGIT, digits
from benchmarks.real_data import parsed
from compgen.errors import LossWarning
from compgen.gallery.sound import spectrogram
from compgen.media.audio import Audio
from compgen.media.image import Image
from compgen.media.layout import Layout
from compgen.models import load

COLUMNS = {
    "halves": ("gzip", "png", "xz", "jpegxl", "signal", "png+signal"),
    "digits": ("gzip", "png", "xz", "ppmd", "jpegxl", "history:stride=28", "signal"),
    "spectrograms": ("gzip", "flac", "ppmd", "signal", "flac+signal"),
}
SEED = 1
PHOTOGRAPH, CROP = "image/kodak_half/kodim23.png", (100, 40, 228, 168)  # left, top, right, bottom
DIGITS = range(DIGIT, DIGIT + 5)
SPEECH, START, RATE = "audio/librispeech_test_other/1998-15444-0000.flac", 11.1, 8000  # s; Hz
GAP = 4
"""Pixels between columns."""

Plane = NDArray[np.uint8]


def drawn(spec: str, given: bytes, length: int, layout: Layout) -> bytes:
    """Return ``length`` bytes that continue ``given``."""
    model = load(spec, layout=layout)
    return compgen.sample(model, given, length=length, samples=1, seed=SEED, frozen=True, allow="bytes")[0].data


def completed(spec: str | None, plane: Plane, half: int) -> Plane:
    """Return a gray picture whose rows from ``half`` on are drawn; as it is without a spec."""
    if spec is None:
        return plane
    width = plane.shape[1]
    data = drawn(spec, plane[:half].tobytes(), plane[half:].size, Layout(width, 1))
    return np.concatenate([plane[:half], np.frombuffer(data, np.uint8).reshape(-1, width)])


def beside(columns: list[Plane], scale: int) -> Plane:
    """Return columns of equal height beside each other, magnified."""
    large = [column.repeat(scale, axis=0).repeat(scale, axis=1) for column in columns]
    gap = np.full_like(large[0][:, :GAP], 128)
    return np.concatenate([part for column in large for part in (column, gap)][:-1], axis=1)


def half_of_photograph(spec: str | None, data: Path) -> Plane:
    """Return the crop, its lower half by ``spec``."""
    encoded, medium = Image(channels=1).encode((data / PHOTOGRAPH).read_bytes())
    left, top, right, bottom = CROP
    plane = np.frombuffer(encoded, np.uint8).reshape(-1, medium.width)[top:bottom, left:right]
    return completed(spec, plane, len(plane) // 2)


def halves_of_digits(spec: str | None, data: Path) -> Plane:
    """Return digits one beneath the other: whole ones that are given, and ones that are completed."""
    found = []
    for number in DIGITS:
        plane = digits(data)[number - ABOVE : number + 1].reshape(-1, 28)
        found.append(completed(spec, plane, len(plane) - 14)[-56:])
    return np.concatenate(found)


def speech(spec: str | None, data: Path) -> Plane:
    """Return a spectrogram: half a second that is given, and the second after it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LossWarning)  # eight bits are meant
        encoded, medium = Audio("linear", RATE, 1).encode((data / SPEECH).read_bytes())
    first, start, end = (round(RATE * (START + shift)) for shift in (-2, 0, 1))
    given, follows = encoded[first:start], encoded[start:end]
    sound = follows if spec is None else drawn(spec, given, len(follows), medium.layout)
    return np.array(Pillow.open(io.BytesIO(spectrogram(medium.waveform(given[-RATE // 2 :] + sound), RATE))))


COLUMN_OF = {"halves": half_of_photograph, "digits": halves_of_digits, "spectrograms": speech}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="docs/pictures", help="folder for the figures")
    parser.add_argument("--only", choices=COLUMNS, help="draw this one alone")
    arguments = parsed(parser)
    names = [arguments.only] if arguments.only else list(COLUMNS)
    for name in names:
        columns = []
        for spec in (None, *COLUMNS[name]):
            columns.append(COLUMN_OF[name](spec, arguments.data))
            print(f"{name}: {spec or 'the original'}", flush=True)
        scale = {"halves": 1, "digits": 2, "spectrograms": 1}[name]
        sheet = Pillow.fromarray(beside(columns, scale)).quantize(128)  # a palette: half the bytes
        sheet.save(f"{arguments.out}/{name}.png", optimize=True)


if __name__ == "__main__":
    main()
