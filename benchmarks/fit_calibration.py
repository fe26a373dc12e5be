"""Fit the initial weights of the calibrated rule, and write compgen/models/derived/calibration.json.

    python -m benchmarks.fit_calibration [--data DIR] [--pieces N] [--only NAME]

The mixer learns online. Every row begins with what it has learnt after many pieces of training text, speech, music
and pictures, at a falling learning rate; none of these is in a benchmark or a gallery. There are weights for each
effort, on bytes of any kind; and for samples in ``rows`` and in a ``line``. gzip is the compressor. Weights fitted
for others were mostly worse for them: they are slower, so they saw fewer pieces (docs/calibration.md).
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import re
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import compgen
from benchmarks.real_data import parsed
from compgen.compressors import COMPRESSORS
from compgen.media import MEDIA, Layout
from compgen.models.contexts.patterns import ORDERS
from compgen.models.contexts.records import ABOVE, period
from compgen.models.derived.effort import EFFORTS, FAST
from compgen.models.derived.experts import FIRST_LOOKAHEAD, RECENT, SETS
from compgen.models.derived.proposals import COMMON_RATE, RATE, Proposals, ProposalsRow
from compgen.models.mixing import WEIGHT_ONE
from compgen.models.samples.prediction import BINS, KINDS, PREDICTIONS
from compgen.models.window import Window

OUTPUT = Path(compgen.__file__).parent / "models/derived/calibration.json"
RATES = (8, 4, 2, 1)
"""Learning rates as multiples of the rate in use; each is used for an equal share of the pieces. Chosen."""
SCORED = 500
"""Bytes of a piece that the weights learn from. Chosen."""
REACH = 32_000
"""The most bytes of context before a piece. Chosen: gzip's window."""
WINDOW = Window(REACH)
"""The context window; no piece and its context fill it."""


def sources(data: Path) -> list[Callable[[random.Random], bytes]]:
    """Return functions that draw a training file: three of five draw text, one speech, one pictures."""
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


SIGNALS = ("rows", "line")
"""The kinds of samples that have weights of their own: in rows, and in a line."""
SHOWN = "andrew-ridley-jR4Zf-riEjI.png"
"""A picture that a gallery shows, and the fit therefore leaves out."""
CODINGS = ("audio:coding=linear", "audio:coding=linear", "audio:coding=mu-law", "audio:coding=16-bit")
"""Media that sound is encoded as, drawn evenly: 8 bits twice as often. Chosen."""
MUSIC = ("rate=8000,channels=1", "rate=16000,channels=1", "rate=16000,channels=2")
"""Options added for music, drawn evenly. Chosen."""


def signals(data: Path, kind: str) -> Callable[[random.Random], tuple[bytes, Layout]]:
    """Return a function that draws signals: pictures for ``rows``; speech, music and rows of pictures for ``line``."""
    pictures = [p for p in sorted((data / "image/unsplash512").glob("*.png")) if p.name != SHOWN]
    speech = sorted((data / "audio/librispeech_train_clean").glob("*.flac"))
    music = sorted((data / "audio/music").glob("*.ogg"))

    @functools.lru_cache(64)
    def encoded(medium: str, path: Path) -> tuple[bytes, Layout]:
        item, fitted = MEDIA.build(medium).encode(path.read_bytes())
        return item, fitted.layout

    def draw(generator: random.Random) -> tuple[bytes, Layout]:
        choice = generator.random()
        if kind == "rows":
            return encoded("image:channels=1" if choice < 1 / 2 else "image", generator.choice(pictures))
        if choice < 1 / 8:
            return encoded("image:channels=1", generator.choice(pictures))[0], Layout(0, 1)
        coding = generator.choice(CODINGS)
        if choice < 3 / 4:
            return encoded(coding, generator.choice(speech))
        return encoded(f"{coding},{generator.choice(MUSIC)}", generator.choice(music))

    return draw


def fit_signals(
    kind: str, pieces: int, draw: Callable[[random.Random], tuple[bytes, Layout]]
) -> tuple[NDArray[np.int64], ...]:
    """Return the weights for samples after ``pieces`` pieces. At first all weight is on the predictions."""
    generator = random.Random(1)
    compressor = COMPRESSORS.build("gzip")
    experts = FIRST_LOOKAHEAD + len(ORDERS) + (ABOVE if kind == "rows" else 0) + PREDICTIONS
    weights = tuple(np.zeros((sets, experts), dtype=np.int64) for sets in (SETS[0], BINS, KINDS))
    weights[0][:, -PREDICTIONS:] = WEIGHT_ONE // PREDICTIONS
    progress = Progress(kind, pieces)
    for piece in range(pieces):
        data, layout = draw(generator)
        unit = layout.stride or layout.pixel
        known = int(REACH * generator.random() ** 2)
        if not layout.stride and piece % 4 == 3:
            known = 250 * layout.pixel  # as long as the rows of pictures in the paper
        start = generator.randrange(known, max(len(data) - SCORED - unit, known + 1)) // unit * unit
        window = data[max(0, start - known // layout.pixel * layout.pixel) : start]
        row = ProposalsRow(Proposals(compressor, FAST, WINDOW, layout), window, weights)
        weights = learn(row, data[start : start + SCORED], RATES[piece * len(RATES) // pieces], progress)
    return weights


def beginning(effort: str) -> tuple[NDArray[np.int64], ...]:
    """Return the weights that the fit begins with: most weight on the longest context."""
    experts = FIRST_LOOKAHEAD + len(ORDERS) + len(EFFORTS[effort].sparse)
    families = tuple(np.zeros((sets, experts), dtype=np.int64) for sets in SETS)
    families[0][:, FIRST_LOOKAHEAD + len(ORDERS) - 1] = 6 * WEIGHT_ONE // 10
    families[0][:, [FIRST_LOOKAHEAD + ORDERS.index(2), FIRST_LOOKAHEAD + ORDERS.index(3)]] = 2 * WEIGHT_ONE // 10
    return families


def trusting_recent_bytes(families: tuple[NDArray[np.int64], ...]) -> tuple[NDArray[np.int64], ...]:
    """Return the weights with those for a last byte that is new (set 0 of each family) all on the recent bytes.

    The fit would flatten the recent bytes there. That is right for the noise of pictures, where new bytes mostly occur.
    But text that is sampled from a flat distribution falls into noise and never finds back (docs/calibration.md,
    "Mixing").
    """
    families = tuple(family.copy() for family in families)
    for family in families:
        family[0] = 0
    families[0][0, RECENT] = WEIGHT_ONE
    return families


def fit(effort: str, pieces: int, draw: list[Callable[[random.Random], bytes]]) -> tuple[NDArray[np.int64], ...]:
    """Return the weights for bytes of any kind after ``pieces`` pieces."""
    generator = random.Random(1)
    rule = Proposals(COMPRESSORS.build("gzip"), EFFORTS[effort], WINDOW, Layout())
    weights = beginning(effort)
    progress = Progress(effort, pieces)
    for piece in range(pieces):
        window = b""
        while not window or period(window):  # records would add experts, whose weights are not fitted
            data = generator.choice(draw)(generator)
            known = int(REACH * generator.random() ** 2)  # short contexts more often than long ones
            start = generator.randrange(known, len(data) - SCORED)
            window = data[start - known : start]
        row = ProposalsRow(rule, window, weights)
        segment = data[start : start + SCORED]
        weights = learn(row, segment, RATES[piece * len(RATES) // pieces], progress)
    return weights


class Progress:
    """Prints the rate after every eighth of the pieces."""

    def __init__(self, name: str, pieces: int) -> None:
        self._name, self._pieces = name, pieces
        self._begin = time.perf_counter()
        self._done, self._bits, self._bytes = 0, 0.0, 0

    def add(self, bits: float, size: int) -> None:
        """Count a piece of ``size`` bytes that cost ``bits``."""
        self._done, self._bits, self._bytes = self._done + 1, self._bits + bits, self._bytes + size
        if self._done % max(1, self._pieces // 8) == 0:
            seconds = time.perf_counter() - self._begin
            rate = self._bits / max(self._bytes, 1)
            print(f"{self._name} {self._done}/{self._pieces}: {rate:.3f} bits per byte, {seconds:.0f} s", flush=True)
            self._bits, self._bytes = 0.0, 0


def learn(row: ProposalsRow, segment: bytes, faster: int, progress: Progress) -> tuple[NDArray[np.int64], ...]:
    """Return the weights of ``row`` after it has learnt ``segment`` at ``faster`` times the usual rate."""
    row.mixer.rate, row.mixer.common_rate = RATE * faster, COMMON_RATE * faster
    bits = 0.0
    for symbol in segment:
        bits += 24 - np.log2(row.frequencies()[symbol])
        row.extend(symbol)
    progress.add(bits, len(segment))
    return tuple(row.mixer.families)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, default=480)
    names = [*sorted(EFFORTS), *SIGNALS]
    parser.add_argument("--only", choices=names, action="append")
    arguments = parsed(parser)
    data = arguments.data
    for name in arguments.only or names:
        fitted: dict[str, Any] = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
        if name in SIGNALS:
            families = fit_signals(name, arguments.pieces, signals(data, name))
        else:
            families = trusting_recent_bytes(fit(name, arguments.pieces, sources(data)))
        fitted[name] = [family.tolist() for family in families]
        OUTPUT.write_text(dump(fitted))


def dump(fitted: dict[str, Any]) -> str:
    """Return JSON with one line for each set of weights, so that people can read a diff."""
    text = json.dumps(fitted, indent=1, sort_keys=True)
    return re.sub(r"\[[\s\d,-]+\]", lambda numbers: " ".join(numbers[0].split()), text) + "\n"


if __name__ == "__main__":
    main()
