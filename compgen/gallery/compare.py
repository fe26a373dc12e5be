"""How far compressors are apart: distances between their next-byte distributions, and where they disagree most."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.display import readable_lines
from compgen.errors import UsageError
from compgen.gallery.cells import Cell, real
from compgen.gallery.config import Explorer
from compgen.gallery.prompts import source
from compgen.media.audio import Audio
from compgen.media.image import Image
from compgen.media.items import Item
from compgen.models import load

_MOST_LIKELY = 12
"""Bytes of a distribution that the explorer shows, the most probable ones. Chosen: they hold most of the mass,
and their bars fit the page."""
_BARS = 5
"""Bytes of a distribution that a place of disagreement shows. Chosen: two distributions fit a phone."""
_PLACES = 3
"""Places shown for two compressors. Chosen: enough to see what they disagree about."""
_APART = 8
"""Bytes between two such places at least. Chosen: neighbours disagree about the same thing."""
_BEFORE = 60
"""Bytes of text shown before such a place. Chosen: a line or two."""
_NAMES = {9: "\\t", 10: "\\n", 13: "\\r", 32: "space"}


def label(byte: int, medium: str) -> str:
    """Return what a byte is called: a character of text, the level of a pixel or sample as a number."""
    if medium != "text":
        return str(byte)
    return _NAMES.get(byte) or (chr(byte) if 32 < byte < 127 else f"x{byte:02x}")


def jensen_shannon(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Jensen-Shannon divergence, (n,) bits, of (n, 256) distributions: from 0 (equal) to 1 (disjoint)."""

    def entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = -(shares * np.log2(np.maximum(shares, 1e-300))).sum(axis=1)
        return found

    return np.maximum(entropy((one + other) / 2) - (entropy(one) + entropy(other)) / 2, 0.0)


def compared(prompt: Item, drawn: dict[int, Cell]) -> dict[str, Any]:
    """Return the distances between columns on the real continuation of a row, and the places of most disagreement.

    Args:
        prompt: the row.
        drawn: its cells by column, two or more.

    Returns:
        ``columns``, their numbers; ``distances``, a list of rows, the mean divergence of two columns in bits; and
        ``places``, for "i-j" (i before j) a list of the places where they disagree most.
    """
    columns = sorted(drawn)
    shares = {place: drawn[place].distributions for place in columns}
    distances = [[0.0] * len(columns) for _ in columns]
    places = {}
    for i, one in enumerate(columns):
        for j in range(i + 1, len(columns)):
            other = columns[j]
            apart = jensen_shannon(shares[one], shares[other])
            distances[i][j] = distances[j][i] = round(float(apart.mean()), 4)
            places[f"{one}-{other}"] = [
                _place(prompt, step, float(apart[step]), shares[one][step], shares[other][step])
                for step in _furthest(apart)
            ]
    return {"columns": columns, "distances": distances, "places": places}


def _furthest(apart: NDArray[np.float64]) -> list[int]:
    """Return the steps where two columns are furthest apart, no two of them neighbours."""
    found: list[int] = []
    for step in np.argsort(-apart, kind="stable").tolist():
        if all(abs(step - other) >= _APART for other in found):
            found.append(step)
        if len(found) == _PLACES:
            break
    return found


def _place(
    prompt: Item, step: int, bits: float, one: NDArray[np.float64], other: NDArray[np.float64]
) -> dict[str, Any]:
    context, data = real(prompt)
    medium = prompt.medium.name
    told = [_likely(shares, data[step], medium) for shares in (one, other)]
    known = context + data[:step]
    before = readable_lines(known[-_BEFORE:]) if medium == "text" else _where(prompt, len(known))
    return {"bits": round(bits, 3), "before": before, "came": label(data[step], medium), "bars": told}


def _where(prompt: Item, known: int) -> str:
    """Return where in a picture or sound the byte number ``known`` stands."""
    layout = prompt.medium.layout
    if isinstance(prompt.medium, Audio):
        return f"at {known / layout.pixel / prompt.medium.rate:.3f} s"
    row, column = divmod(known, layout.stride or 1)
    if len(prompt.given) > 1:
        row = len(prompt.given) // 2
    channel = "" if layout.channels == 1 else f", channel {column % layout.channels + 1}"
    return f"row {row + 1}, pixel {column // layout.pixel + 1}{channel}" if isinstance(prompt.medium, Image) else ""


def _likely(shares: NDArray[np.float64], came: int, medium: str) -> list[list[Any]]:
    """Return [label, probability, whether it came] of the most probable bytes, and of the one that came."""
    most = np.argsort(-shares, kind="stable")[:_BARS].tolist()
    return [
        [label(byte, medium), round(float(shares[byte]), 4), byte == came]
        for byte in (most if came in most else [*most[:-1], came])
    ]


def explore(explorer: Explorer, data: Path | None) -> dict[str, Any]:
    """Return the data of the explorer page.

    For each compressor and byte: the most probable bytes, and the rank and surprisal (bits) of the real byte.
    """
    text = source(explorer, data)
    start = int(explorer.start)
    text = text[start : start + (int(explorer.size) or len(text))]
    context, segment = text[: explorer.context], text[explorer.context : explorer.context + explorer.length]
    if not segment:
        raise UsageError("the explorer has no bytes to explore; give a smaller context")
    told = []
    for spec in explorer.compressors:
        state = load(spec).start([context])
        steps = []
        for symbol in segment:
            bits = -state.log2_probs()[0]
            order = np.argsort(bits, kind="stable")
            rank = int(np.flatnonzero(order == symbol)[0]) + 1
            likely = [[int(b), round(float(2 ** -bits[b]), 5)] for b in order[:_MOST_LIKELY]]
            steps.append({"bits": round(float(bits[symbol]), 3), "rank": rank, "likely": likely})
            state.extend(np.array([symbol], dtype=np.uint8))
        told.append({"name": spec, "steps": steps})
    return {"context": list(context[-200:]), "bytes": list(segment), "compressors": told}
