"""What pages show of a cell: its media files are written once, when the cell is finished."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compgen.display import RETURN, graphemes, readable_lines, surprisal_level
from compgen.evaluation.metrics import metrics
from compgen.gallery.cells import Cell
from compgen.gallery.sound import loudest, spectrogram, waveform_path
from compgen.media.audio import Audio
from compgen.media.image import Image
from compgen.media.items import Item
from compgen.media.listening import levelled

_SHOWN = 420
"""Bytes of a text prompt that a page shows, its last ones. Chosen: enough to know the text, few enough
to leave the samples in sight."""
_WIDTHS = (146, 240, 380)
"""Screen pixels that small pictures are enlarged to at most, by a whole number: two side by side on a phone, in a card,
and in a wide card. Chosen: pixels of a small picture show, and all have the same size."""
_TALL = 192
"""Height to which rows that stand alone are stretched, screen pixels. Chosen: each row can be seen."""
_TICKS = (0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 30, 60)
"""Seconds between the ticks below a spectrogram: the least that gives four or fewer."""
_RULE = re.compile(r"\brule=([a-z-]+)")
"""A rule in the spec of a model, where each is named."""

Write = Callable[[str, "str | bytes"], None]
"""A function that writes a file of the site, by its name in it."""


def slug(name: str, taken: set[str]) -> str:
    """Return ``name`` as a part of an address that is not in ``taken``, and add it there."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "item"
    found = next(one for n in itertools.count(1) if (one := plain if n == 1 else f"{plain}-{n}") not in taken)
    taken.add(found)
    return found


class Shown:
    """The cells of a row as templates show them. Files go through ``write``."""

    def __init__(self, prompt: Item, name: str, number: int, write: Write) -> None:
        self.prompt = prompt
        self._name = name
        self._number = number
        self._write = write
        self._given = b"".join(prompt.given)
        self._top = None
        if isinstance(prompt.medium, Audio):
            self._top = loudest(prompt.medium.waveform(self._given + prompt.rest[0]), prompt.medium.rate)

    @property
    def given(self) -> str:
        """The end of the prompt, if it is text."""
        text = self.prompt.given[0]
        return ("…" if len(text) > _SHOWN else "") + readable_lines(text[-_SHOWN:])

    @property
    def about(self) -> str:
        """What the prompt is, in words."""
        made, medium = sum(map(len, self.prompt.rest)), self.prompt.medium
        if isinstance(medium, Image):
            height = -(-(len(self._given) + made) // medium.layout.stride)
            colour = {1: "gray", 2: "gray and alpha", 3: "RGB", 4: "RGB and alpha"}[medium.layout.channels]
            size = f"{medium.width} \N{MULTIPLICATION SIGN} {height} pixels, {colour}"
            return f"{size}; {len(self._given):,} bytes given, {made:,} made"
        if isinstance(medium, Audio):
            seconds = [len(data) / medium.layout.pixel / medium.rate for data in (self._given, self.prompt.rest[0])]
            return f"{medium.rate / 1000:g} kHz, {medium.coding}; {seconds[0]:.2g} s given, {seconds[1]:.2g} s made"
        return f"{len(self._given):,} bytes given, {made:,} made"

    @property
    def wide(self) -> bool:
        """Whether a picture is too wide for a card among others."""
        return isinstance(self.prompt.medium, Image) and self.prompt.medium.width > _WIDTHS[1]

    def original(self) -> dict[str, Any]:
        """Return what really came, as a cell."""
        rest = b"".join(self.prompt.rest)
        context = b"" if len(self.prompt.given) > 1 else self._given
        cell = Cell(rest, [], "original", 0.0, metrics(rest, context, self.prompt.part, rest), "")
        return {**self.cell(cell, "original", "original"), "rule": "original", "column": -1}

    def cell(self, cell: Cell, name: str, stem: str) -> dict[str, Any]:
        """Write the media files of a cell, and return the values that the template shows it with."""
        medium = self.prompt.medium
        shown: dict[str, Any] = {
            "name": name, "slug": stem, "model": cell.model, "seconds": cell.seconds, "measured": dict(cell.measured),
            "rule": " ".join(sorted(set(_RULE.findall(cell.model)))), "kind": medium.name, "ready": True,
        }  # fmt: skip
        file = f"media/{self._number}-{stem}"
        if isinstance(medium, Image):
            shown.update(self._picture(cell, medium, file))
        elif isinstance(medium, Audio):
            shown.update(self._sound(cell, medium, file))
            shown["measured"]["louder"] = shown["true"][1] - shown["true"][0]
        else:
            self._write(f"{file}.txt", self.prompt.file(cell.made, ".txt"))
            bits = cell.surprisals or [0.0] * len(cell.made)
            shown.update(download=f"{file}.txt", letters=_lines(graphemes(cell.made, np.array(bits))))
            shown["spans"] = spans(shown["letters"])
        return shown

    def _picture(self, cell: Cell, medium: Image, file: str) -> dict[str, Any]:
        self._write(f"{file}.png", self.prompt.file(cell.made, ".png"))
        width = medium.width
        height = -(-(len(cell.made) + len(self._given)) // medium.layout.stride)
        rows = len(self.prompt.given) > 1
        piece = self.prompt.given[0]
        cut = len(piece) / (len(piece) + len(self.prompt.rest[0]))
        return {
            "image": f"{file}.png", "download": f"{file}.png", "width": width, "height": height, "rows": rows,
            "cut": 100 * cut,
            "widths": [max(most // width, 1) * width for most in _WIDTHS],
            "stretched": max(_TALL // height, 1) * height,
        }  # fmt: skip

    def _sound(self, cell: Cell, medium: Audio, file: str) -> dict[str, Any]:
        given, made = medium.waveform(self.prompt.given[0]), medium.waveform(cell.made)
        sound: NDArray[np.float64] = np.concatenate([given, made])
        played = levelled(given, made, medium.rate)
        self._write(f"{file}.wav", played.wav)
        self._write(f"{file}-true.wav", self.prompt.file(cell.made, ".wav"))
        self._write(f"{file}.png", spectrogram(sound, medium.rate, self._top))
        seconds = len(sound) / medium.rate
        step = next((tick for tick in _TICKS if seconds / tick <= 4), _TICKS[-1])
        nyquist = medium.rate / 2000
        return {
            "audio": f"{file}.wav", "download": f"{file}-true.wav", "spectrogram": f"{file}.png",
            "path": waveform_path(sound), "cut": 100 * len(given) / len(sound), "duration": seconds,
            "start": len(given) / medium.rate, "true": played.true, "gains": played.gains, "top": self._top,
            "seconds_at": [(f"{n * step:g}", 100 * n * step / seconds) for n in range(int(seconds / step) + 1)],
            "hertz_at": [(f"{nyquist * share:g}", 100 - 100 * share) for share in (0, 0.5, 1)],
        }  # fmt: skip


def _lines(letters: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return letters in which a carriage return before a line feed is part of it, and not a sign of its own."""
    found: list[tuple[str, float]] = []
    for letter, bits in letters:
        if letter == "\n" and found and found[-1][0] == RETURN:
            bits += found.pop()[1]
        found.append((letter, bits))
    return found


def spans(letters: list[tuple[str, float]]) -> list[tuple[str, int]]:
    """Return runs of letters of one level of surprisal, as (text, level)."""
    runs = itertools.groupby(letters, key=lambda one: surprisal_level(one[1]))
    return [("".join(letter for letter, _ in run), level) for level, run in runs]
