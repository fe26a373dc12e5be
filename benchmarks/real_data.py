"""Real data for the benchmarks: the folder that holds it, and windows of its files."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Return the command line's arguments. Among them is ``data``, the folder of real data, which must be known."""
    parser.add_argument("--data", type=Path, default=os.environ.get("COMPGEN_DATA"), help="default: COMPGEN_DATA")
    arguments = parser.parse_args()
    if not arguments.data:
        parser.error("give --data DIR or set COMPGEN_DATA; docs/data.md says where to get the sets")
    return arguments


def read(data: Path, name: str) -> bytes:
    """Return a file's bytes; ``speech`` is an utterance in 8 bits, ``kodak`` the luminance rows of a photograph."""
    if name == "speech":
        import soundfile

        samples, _ = soundfile.read(data / "audio/librispeech_test_other/1688-142285-0000.flac", dtype="int16")
        return bytes(((samples >> 8) + 128).astype(np.uint8).tobytes())
    if name == "kodak":
        from PIL import Image

        path = min((data / "image/kodak_half").glob("*.png"))
        return np.asarray(Image.open(path).convert("L")).tobytes()
    return (data / name).read_bytes()


def windows(data: bytes, context: int, scored: int, offsets: int) -> list[tuple[bytes, bytes]]:
    """Return (context, segment) pairs, spread evenly over ``data``."""
    room = len(data) - context - scored
    starts = [context + int(room * (i + 0.5) / offsets) for i in range(offsets)]
    return [(data[start - context : start], data[start : start + scored]) for start in starts]
